// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_small.hpp"

#include <zlib.h>

#include "compute/codec/zlib_deflate.hpp"

namespace histod::compute::codec::png {
namespace {

/// No wrapper; measured on drawings level 8 is within 2 % of level 9, in a third of its time.
constexpr ZlibSettings k_settings{.level = 8, .window_bits = -15, .memory_level = 9, .strategy = Z_FILTERED};

}  // namespace

std::size_t small_workspace_bytes(std::size_t raw_bytes) { return k_zlib_state_bytes + raw_bytes; }

Bytes deflate_small(Bytes raw, bool last, std::span<std::byte> workspace) {
  const std::span<std::byte> out = workspace.subspan(k_zlib_state_bytes);
  return out.first(zlib_deflate(raw, k_settings, last, workspace.first(k_zlib_state_bytes), out));
}

}  // namespace histod::compute::codec::png
