// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "compute/codec/tiff_compression.hpp"
#include "compute/codec/tiff_directory.hpp"

namespace histod::compute::codec::tiff {

/// How the samples of a page are cut into chunks (strips or tiles) and coded. Valid by construction: see read_page().
struct Layout {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  unsigned bits = 8;      ///< of one stored sample: 1, 2, 4, 8 or 16
  unsigned samples = 1;   ///< of one pixel
  bool separate = false;  ///< each chunk holds one sample of its pixels
  bool tiled = false;
  std::uint32_t chunk_width = 0;
  std::uint32_t chunk_height = 0;
  Coding coding = Coding::none;
  bool predictor = false;  ///< horizontal differencing
  std::endian order = std::endian::little;

  unsigned chunk_samples() const { return separate ? 1 : samples; }
  unsigned planes() const { return separate ? samples : 1; }
  std::uint64_t across() const { return (std::uint64_t{width} + chunk_width - 1) / chunk_width; }
  std::uint64_t down() const { return (std::uint64_t{height} + chunk_height - 1) / chunk_height; }
  std::uint64_t chunks() const { return across() * down() * planes(); }
  std::size_t chunk_row_bytes() const { return (std::size_t{chunk_width} * chunk_samples() * bits + 7) / 8; }
  /// Rows that chunk row `y` stores: a last strip is short, a last tile is padded.
  std::uint32_t stored_rows(std::uint64_t y) const {
    return tiled ? chunk_height
                 : static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk_height, height - y * chunk_height));
  }
  std::uint64_t stored_bytes() const;
  std::size_t largest_chunk_bytes() const { return chunk_row_bytes() * stored_rows(0); }
};

struct Chunk {
  std::uint64_t index = 0;
  unsigned plane = 0;
  std::uint32_t x = 0;  ///< of its first pixel
  std::uint32_t y = 0;
  std::uint32_t rows = 0;       ///< stored
  std::uint32_t live_rows = 0;  ///< inside the page
  std::uint32_t live_width = 0;
};
Chunk chunk_at(const Layout& layout, std::uint64_t index);

struct Page {
  Layout layout;
  unsigned photometric = 1;
  std::uint16_t planar = 1;  ///< the tag: 2 may be there for one sample, too
  PageInfo info;
  Bytes color_map;  ///< of a palette page: 3 * 2^bits 16-bit values
  Entry offsets;
  Entry byte_counts;  ///< of no data: absent, which only an uncompressed file may do

  bool white_is_zero() const { return photometric == 0; }
  bool palette() const { return photometric == 3; }
  /// The coded bytes of a chunk; they lie in the file.
  Result<Bytes> chunk_bytes(Bytes file, const Chunk& chunk) const;
};

Result<Page> read_page(const Directory& directory, const Format& format, const Limits& limits);

}  // namespace histod::compute::codec::tiff
