// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace histod::compute {

/// How one pixel lies in memory: `colors` samples, then `extras`, interleaved, in host byte order.
/// colors = 1 is gray, 3 is RGB in that order; any other number means independent bands (multi-spectral TIFF).
/// The first extra is alpha when `alpha` is set. Extras are never counted and never changed.
struct PixelFormat {
  std::uint8_t colors = 1;
  std::uint8_t extras = 0;
  bool alpha = false;
  std::uint8_t depth_bits = 8;  ///< 8 or 16

  constexpr unsigned channels() const { return colors + extras; }
  constexpr std::size_t bytes_per_sample() const { return depth_bits / 8u; }
  constexpr std::size_t bytes_per_pixel() const { return channels() * bytes_per_sample(); }
  constexpr std::uint32_t bins() const { return depth_bits == 16 ? 65536u : 256u; }
  friend constexpr bool operator==(const PixelFormat&, const PixelFormat&) = default;
};

/// Pixels that somebody else owns. `stride_bytes` >= width * bytes_per_pixel; 16-bit rows are 2-byte aligned.
struct ImageView {
  std::byte* data = nullptr;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::size_t stride_bytes = 0;
  PixelFormat format;

  std::byte* row(std::uint32_t y) const { return data + std::size_t{y} * stride_bytes; }
  std::uint64_t pixels() const { return std::uint64_t{width} * height; }
  std::size_t row_bytes() const { return width * format.bytes_per_pixel(); }
};

}  // namespace histod::compute
