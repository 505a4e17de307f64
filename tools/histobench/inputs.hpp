// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "compute/codec/codec.hpp"

namespace histod::bench {

struct Size {
  int width = 0;
  int height = 0;
};
inline constexpr Size k_tiny{400, 300}, k_1mp{1200, 833}, k_12mp{4000, 3000}, k_75mp{10000, 7500};

/// An image to measure with: gray or RGB, 8 or 16 bit, continuous.
struct Input {
  std::string name;
  cv::Mat pixels;

  std::string label() const;  ///< "noise 4000x3000 8-bit"
  std::span<const std::byte> bytes() const;
};

/// Uniform noise from a fixed seed.
Input noise(Size size, int depth_bits, int channels = 1);

/// The middle third of the range only, 8 bit: equalized it looks so different that an oracle cannot take one for the
/// other, which uniform noise does not.
Input dim_noise(Size size, int channels = 1);

/// A photograph scaled to this size: `path`, else the first JPEG of Debian's package lomiri-wallpapers-20.04. None
/// where there is no such file, or it cannot be decoded.
std::optional<Input> photograph(const std::string& path, Size size, int depth_bits, int channels = 1);

/// FNV-1a, 64 bits: says whether two runs measured with the same input; it is no protection.
std::uint64_t digest(std::span<const std::byte> bytes);

/// An image file in memory, and what is in it.
struct ImageFile {
  Input input;
  compute::codec::FileFormat format{};
  std::vector<std::byte> bytes;

  std::string label() const;  ///< "png noise 4000x3000 8-bit"
};

/// PGM, PPM and uncompressed TIFF by hand; PNG and JPEG of quality 90 by histod's own encoders.
ImageFile image_file(const Input& input, compute::codec::FileFormat format);

}  // namespace histod::bench
