// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compute/error.hpp"
#include "compute/histogram.hpp"

namespace histod::compute::video {

/// Frames that a window, or an exponential average, may be asked to go back.
inline constexpr std::uint32_t k_window_frames_max = 1024;

/// The exact sum of the newest frames' histograms: the newest is added, the oldest subtracted. The frames of the last
/// `capacity` are kept, whatever the window is, so that a window that grows has at once what it should have had.
class SlidingWindow {
 public:
  /// 1 <= capacity <= k_window_frames_max. Memory: memory_bytes(bins, capacity), now and ever.
  SlidingWindow(std::uint32_t bins, std::uint32_t capacity);
  /// 4 bytes a bin and frame, and 8 a bin: 36 KiB for 32 frames of 8 bits, 8.5 MiB of 16.
  static constexpr std::uint64_t memory_bytes(std::uint64_t bins, std::uint64_t capacity) {
    return bins * (4 * capacity + 8);
  }

  /// Errc::pixels_over_limit: a bin of the frame has 2^32 pixels or more; nothing has changed then. As many bins as
  /// this has. A frame that lost pixels, or all of them, is a frame with what was counted of it.
  Result<void> add(const Histogram& frame);
  /// 1 to capacity; at once, at the price of adding or subtracting as many frames as the window changes by.
  void set_frames(std::uint32_t frames);
  /// Forgets all frames.
  void clear();

  /// Of the last min(frames, kept()) frames.
  const Histogram& sum() const { return sum_; }
  std::uint32_t frames() const { return frames_; }
  std::uint32_t capacity() const { return capacity_; }
  /// Frames since the last clear(), at most the capacity.
  std::uint32_t kept() const { return kept_; }
  /// Copies the frame that was added `age` frames before the newest; age < kept().
  void read(std::uint32_t age, Histogram& frame) const;

 private:
  const std::uint32_t* frame_at(std::uint32_t age) const;
  void subtract(std::uint32_t age);

  std::uint32_t capacity_;
  std::uint32_t frames_;
  std::uint32_t kept_ = 0;
  std::uint32_t newest_ = 0;
  std::vector<std::uint32_t> ring_;
  Histogram sum_;
};

/// The exponential average of the frames' histograms in integers: with A[i] in 2^-16 of a pixel, the first frame makes
/// A[i] = h[i] * 2^16, and each later one A[i] = A[i] - floor(A[i] / 2^shift) + h[i] * 2^(16 - shift). So a frame
/// weighs 2^-shift, the one before it (1 - 2^-shift) of that, and the average is right to less than 2^(shift - 16) of a
/// pixel once it stands still. What the rule sees is floor(A[i] / 2^16): a bin that is empty for long becomes empty.
class ExponentialAverage {
 public:
  static constexpr unsigned k_shift_max = 10;

  /// Memory: 16 bytes a bin.
  explicit ExponentialAverage(std::uint32_t bins);
  /// 0 to k_shift_max; bins below 2^32 pixels, as SlidingWindow::add() has checked.
  void add(const Histogram& frame, unsigned shift);
  void clear() { empty_ = true; }
  /// Valid once a frame has been added.
  const Histogram& average() const { return average_; }

 private:
  static constexpr unsigned k_fraction_bits = 16;
  bool empty_ = true;
  std::vector<std::uint64_t> sums_;
  Histogram average_;
};

}  // namespace histod::compute::video
