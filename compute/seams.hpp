// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "compute/equalize.hpp"
#include "compute/error.hpp"

/// How visible the line is where two tiles of a mosaic adjoin: the steps between the samples on both sides of it.
namespace histod::compute {

/// Where the second image lies.
enum class Side : std::uint8_t { right, below };

/// The steps of one color, as absolute differences.
struct Seam {
  std::uint64_t pairs = 0;  ///< of pixels that were compared
  std::uint64_t sum = 0;
  std::uint32_t largest = 0;

  void merge(const Seam& other);
  friend bool operator==(const Seam&, const Seam&) = default;
};

/// One for each color, over the last column or row of `first` and the first one of `second`. A pair of which either
/// pixel is left out (mask, nodata, alpha 0) is not compared. Errc::bad_option: they differ in colors, depth or the
/// length of the line, or a mask is not of its image's size.
Result<std::vector<Seam>> seam_between(const EqualizePage& first, const EqualizePage& second, Side side);

}  // namespace histod::compute
