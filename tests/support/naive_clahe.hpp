// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

/// Contrast-limited adaptive equalization, written out: the image is really extended, each pixel asks four tables.
namespace histod::test {

struct NaiveClahe {
  std::uint32_t width = 0, height = 0;
  std::uint32_t tiles_x = 8, tiles_y = 8;
  std::uint32_t levels = 256;
  double clip = 2.0;
  bool even = false;  ///< the remainder of what was clipped is spread evenly, and tables are rounded in integers
};

/// `samples` row by row; `keep` is empty or says 0 for what is not counted. All samples are mapped, kept or not.
std::vector<std::uint32_t> naive_clahe(const NaiveClahe& how, const std::vector<std::uint32_t>& samples,
                                       const std::vector<std::uint8_t>& keep = {});

}  // namespace histod::test
