// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::netpbm {

struct Header {
  char kind = '5';  ///< the digit after P: 2, 3, 5, 6, 7
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t maxval = 0;
  std::uint32_t channels = 0;
  std::string_view tuple_type;  ///< PAM only; points into the file
  std::vector<std::string_view> comments;
  std::size_t data_offset = 0;  ///< first byte of the raster

  bool ascii() const { return kind == '2' || kind == '3'; }
  std::size_t sample_bytes() const { return maxval > 255 ? 2 : 1; }
  PixelFormat pixel_format() const;
};

Result<Header> read_header(Bytes file);

}  // namespace histod::compute::codec::netpbm
