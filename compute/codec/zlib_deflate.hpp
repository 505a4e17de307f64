// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/internal.hpp"

namespace histod::compute::codec {

/// What zlib's deflateInit2() asks for.
struct ZlibSettings {
  int level = 6;
  int window_bits = 15;  ///< negative: no wrapper
  int memory_level = 8;
  int strategy = 0;
};

/// Memory for zlib_deflate(): at its highest memory level zlib takes 391 KiB.
inline constexpr std::size_t k_zlib_state_bytes = 448u << 10;

/// Deflates `raw` with zlib in memory that is lent to it. The last block ends the stream when `last`, else the output
/// ends at a byte, so that another call's may follow. Returns its length; 0 when `out` is too small.
std::size_t zlib_deflate(Bytes raw, const ZlibSettings& settings, bool last, std::span<std::byte> state,
                         std::span<std::byte> out);

}  // namespace histod::compute::codec
