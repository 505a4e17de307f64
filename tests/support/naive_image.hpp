// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "compute/pixels.hpp"

/// Images for tests, a sample at a time: slow and plain.
namespace histod::test {

enum class Texture { uniform, narrow, constant, two_level, gradient, sparse };
inline constexpr Texture k_textures[] = {Texture::uniform,   Texture::narrow,   Texture::constant,
                                         Texture::two_level, Texture::gradient, Texture::sparse};

/// An image that owns its bytes. The bytes between rows and after the last hold a pattern that nobody may change.
class NaiveImage {
 public:
  NaiveImage(compute::PixelFormat format, std::uint32_t width, std::uint32_t height, std::size_t padding_bytes = 0);

  std::uint32_t width() const { return view_.width; }
  std::uint32_t height() const { return view_.height; }
  const compute::PixelFormat& format() const { return view_.format; }
  /// A view of the samples; valid while this lives and is not assigned to.
  compute::ImageView view();

  std::uint32_t get(std::uint32_t x, std::uint32_t y, unsigned channel = 0) const;
  void set(std::uint32_t x, std::uint32_t y, unsigned channel, std::uint32_t value);
  /// All samples in order, without what lies between rows.
  std::vector<std::uint32_t> samples() const;
  std::vector<std::uint32_t> plane(unsigned channel) const;
  bool padding_is_untouched() const;

 private:
  bool is_padding(std::size_t byte) const;
  compute::ImageView view_;
  std::vector<std::uint64_t> storage_;
  std::size_t size_bytes_ = 0;
};

/// Samples below `levels`, alpha 0 for about one pixel in eight, all by the seed.
NaiveImage naive_image(compute::PixelFormat format, std::uint32_t width, std::uint32_t height, Texture texture,
                       std::uint32_t levels, std::uint64_t seed, std::size_t padding_bytes = 0);

/// The samples of a view in order, as they are now (equalize() may have rewritten the view).
std::vector<std::uint32_t> samples_of(const compute::ImageView& view);

constexpr compute::PixelFormat gray_format(unsigned depth_bits) {
  return {.colors = 1, .extras = 0, .alpha = false, .depth_bits = static_cast<std::uint8_t>(depth_bits)};
}
constexpr compute::PixelFormat rgb_format(unsigned depth_bits, unsigned extras = 0, bool alpha = false) {
  return {.colors = 3,
          .extras = static_cast<std::uint8_t>(extras),
          .alpha = alpha,
          .depth_bits = static_cast<std::uint8_t>(depth_bits)};
}

}  // namespace histod::test
