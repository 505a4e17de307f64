// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "compute/codec/internal.hpp"

/// Large images are written in bands: rows of whole MCUs, each band one restart interval, so that each can be coded by
/// itself. The cut depends on the image's size and sampling only, never on the arena, and so do the bytes.
namespace histod::compute::codec::jpeg {

/// Rows of samples of a band; a multiple of every height that an MCU can have.
std::uint32_t band_rows(std::uint32_t width);
/// Bands of an image that can be cut.
std::uint32_t band_count(std::uint32_t width, std::uint32_t height);

struct Cut {
  std::uint32_t rows = 0;   ///< of each band but the last
  std::uint32_t bands = 1;  ///< 1: the image is small, or a band would have more MCUs than an interval may
  std::uint32_t interval_mcus = 0;
};
Cut cut_into_bands(std::uint32_t width, std::uint32_t height, unsigned mcu_width, unsigned mcu_height);

/// The cut of a scan whose blocks need not be whole rows: where the input has an interval, it is kept, and a band is
/// some of them.
struct ScanCut {
  std::uint32_t band_mcus = 0;
  std::uint32_t bands = 1;
  std::uint32_t interval_mcus = 0;  ///< 0: no restarts
};
ScanCut cut_scan(std::uint32_t mcus, std::size_t mcu_blocks, std::uint32_t interval_mcus);
/// Bands of such a scan, whatever its interval.
std::uint64_t scan_bands_max(std::uint64_t mcus, std::size_t mcu_blocks);

std::size_t put_marker(std::span<std::byte> out, std::size_t at, unsigned marker);

/// Puts the data of bands one behind the other, a restart marker between two.
class BandJoin {
 public:
  explicit BandJoin(std::span<std::byte> out, std::size_t intervals_each = 1)
      : out_(out), intervals_each_(intervals_each) {}
  /// The next band's: it lies in `out` behind what was added before, the first one in its place. Moves it up. Returns
  /// where it ends.
  std::size_t add(Bytes part);
  /// Returns where the image ends, its end marker included.
  std::size_t finish() { return put_marker(out_, end_, 0xD9); }

 private:
  std::span<std::byte> out_;
  std::size_t intervals_each_;
  std::size_t added_ = 0;
  std::size_t end_ = 0;
};

}  // namespace histod::compute::codec::jpeg
