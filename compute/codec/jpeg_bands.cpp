// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_bands.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr std::uint32_t k_rows_multiple = 96;          ///< of 8, 16, 24 and 32
constexpr std::uint32_t k_band_pixels = 1u << 19;      ///< enough to make up for setting up libjpeg
constexpr std::uint32_t k_interval_mcus_max = 0xFFFF;  ///< what DRI can say

std::size_t put_marker(std::span<std::byte> out, std::size_t at, unsigned marker) {
  out[at] = std::byte{0xFF};
  out[at + 1] = static_cast<std::byte>(marker);
  return at + 2;
}

}  // namespace

std::uint32_t band_rows(std::uint32_t width) {
  return k_rows_multiple * std::max(1u, k_band_pixels / (k_rows_multiple * std::max(1u, width)));
}

std::uint32_t band_count(std::uint32_t width, std::uint32_t height) {
  const std::uint32_t rows = band_rows(width);
  return std::max(1u, (height + rows - 1) / rows);
}

Cut cut_into_bands(std::uint32_t width, std::uint32_t height, unsigned mcu_width, unsigned mcu_height) {
  const Cut cut{.rows = band_rows(width), .bands = band_count(width, height)};
  const std::uint32_t interval = (width + mcu_width - 1) / mcu_width * (cut.rows / mcu_height);
  if (cut.bands == 1 || interval > k_interval_mcus_max) return {.rows = height};
  return {cut.rows, cut.bands, interval};
}

std::size_t join_bands(std::span<std::byte> out, std::span<const Bytes> parts) {
  auto at = static_cast<std::size_t>(parts[0].data() + parts[0].size() - out.data());
  for (std::size_t i = 1; i < parts.size(); ++i) {
    assert(parts[i].data() >= out.data() + at + 2);
    at = put_marker(out, at, 0xD0 + (i - 1) % 8);
    std::memmove(out.data() + at, parts[i].data(), parts[i].size());
    at += parts[i].size();
  }
  return put_marker(out, at, 0xD9);
}

}  // namespace histod::compute::codec::jpeg
