// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

struct Chunk {
  std::string_view type;  ///< four letters, in the file
  Bytes data;
  bool after_pixels = false;
};

struct Header {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  unsigned depth_bits = 0;
  unsigned color_type = 0;  ///< as in IHDR: 0 gray, 2 RGB, 3 palette, 4 gray+alpha, 6 RGBA
  bool interlaced = false;
  bool transparency = false;     ///< has tRNS
  std::size_t stored_bits = 0;   ///< of one pixel
  std::vector<Chunk> ancillary;  ///< all chunks but IHDR, PLTE, tRNS, IDAT, IEND; their CRCs are right

  PixelFormat pixel_format() const;
  bool plain() const;  ///< PixelReader's kind
};

/// The checksum of a chunk covers its type and its data: begin with 0, go on with what came of it.
std::uint32_t chunk_crc(std::uint32_t crc, Bytes bytes);

/// Walks all chunks of the file and checks how they lie. Does not look at the CRCs of critical chunks: decode() does.
Result<Header> read_chunks(Bytes file);
/// The same for what lies before the pixels, in the file's beginning; Errc::truncated when that is too short.
Result<Header> read_chunks_to_pixels(Bytes beginning);

}  // namespace histod::compute::codec::png
