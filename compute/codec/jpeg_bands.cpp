// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_bands.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr std::uint32_t k_rows_multiple = 96;          ///< of 8, 16, 24 and 32
constexpr std::uint32_t k_band_pixels = 1u << 19;      ///< enough to make up for setting up libjpeg
constexpr std::uint32_t k_interval_mcus_max = 0xFFFF;  ///< what DRI can say

/// Of a scan's blocks in a band; half a megapixel of luma alone.
constexpr std::size_t k_band_blocks = 8192;

std::uint32_t band_mcus(std::size_t mcu_blocks) {
  return static_cast<std::uint32_t>(std::max<std::size_t>(1, k_band_blocks / std::max<std::size_t>(1, mcu_blocks)));
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

ScanCut cut_scan(std::uint32_t mcus, std::size_t mcu_blocks, std::uint32_t interval_mcus) {
  std::uint32_t each = band_mcus(mcu_blocks);
  if (interval_mcus != 0) each = interval_mcus * std::max(1u, each / interval_mcus);
  if (interval_mcus == 0 && mcus <= each) return {.band_mcus = mcus};
  return {each, (mcus + each - 1) / each, interval_mcus != 0 ? interval_mcus : each};
}

std::uint64_t scan_bands_max(std::uint64_t mcus, std::size_t mcu_blocks) {
  // With an interval of the input they are at least half as long.
  return 2 * mcus / band_mcus(mcu_blocks) + 2;
}

std::size_t put_marker(std::span<std::byte> out, std::size_t at, unsigned marker) {
  out[at] = std::byte{0xFF};
  out[at + 1] = static_cast<std::byte>(marker);
  return at + 2;
}

std::size_t BandJoin::add(Bytes part) {
  const auto lies_at = static_cast<std::size_t>(part.data() - out_.data());
  if (added_ == 0) {
    end_ = lies_at;
  } else {
    assert(lies_at >= end_ + 2);
    end_ = put_marker(out_, end_, 0xD0 + static_cast<unsigned>((added_ * intervals_each_ - 1) % 8));
    std::memmove(out_.data() + end_, part.data(), part.size());
  }
  ++added_;
  return end_ += part.size();
}

}  // namespace histod::compute::codec::jpeg
