// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace histod::bench {

/// A gray image to measure with: CV_8UC1 or CV_16UC1, continuous.
struct Input {
  std::string name;
  cv::Mat pixels;

  std::string label() const;  ///< "noise 4000x3000 8-bit"
};

/// Uniform noise from a fixed seed.
Input noise(int width, int height, int depth_bits);

/// A photograph scaled to this size: `path`, else the first JPEG of Debian's package lomiri-wallpapers-20.04. None
/// where there is no such file, or it cannot be decoded.
std::optional<Input> photograph(const std::string& path, int width, int height, int depth_bits);

/// FNV-1a, 64 bits, of the pixels: says whether two runs measured with the same input; it is no protection.
std::uint64_t digest(const Input& input);

}  // namespace histod::bench
