// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "compute/codec/internal.hpp"

/// The compressors of TIFF strips and tiles: pure functions from span to span, so that chunks may be done in parallel.
namespace histod::compute::codec::tiff {

enum class Coding : std::uint16_t { none = 1, lzw = 5, deflate = 8, old_deflate = 32946, packbits = 32773 };

std::optional<Coding> coding_of(std::uint64_t compression_tag);

/// Fills all of `out`; a chunk may hold more than that, which is ignored.
Result<void> decompress(Coding coding, Bytes chunk, std::span<std::byte> out);

/// How Deflate is made: from runs and Huffman codes alone, which is fast and does for differenced photographs, or by
/// zlib, which looks for what repeats.
struct DeflateBy {
  bool search = true;
  std::span<std::byte> state{};  ///< lent to zlib: k_zlib_state_bytes
};

/// Appends `chunk`, rows of `row_bytes`, to `out`, which has room for the most that it can become.
void compress(Coding coding, Bytes chunk, std::size_t row_bytes, const DeflateBy& by, Output& out);

/// The most bytes that compress() touches for rows * row_bytes.
std::size_t compressed_bytes_max(Coding coding, std::size_t rows, std::size_t row_bytes);

bool deflates(Coding coding);

namespace lzw {
Result<void> decompress(Bytes chunk, std::span<std::byte> out);
void compress(Bytes chunk, Output& out);
}  // namespace lzw

}  // namespace histod::compute::codec::tiff
