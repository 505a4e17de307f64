// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "compute/histogram.hpp"

namespace histod::compute::video {

/// How far brightness moved from one frame to another, in thousandths of the whole range: what it takes, in levels a
/// pixel, to make the one distribution into the other (the earth mover's distance). With C and D the running sums of
/// both histograms, M and N their totals, L the number of bins: floor(1000 * sum over i of |C[i] * N - D[i] * M| / (M *
/// N * (L - 1))), in integers. 0 where nothing was counted; at most 1000. Noise moves it little, a change of 1 % in
/// brightness by 10, and not at all the number of pixels. M, N < 2^48; L <= 65 536.
std::uint32_t brightness_distance(const Histogram& one, const Histogram& other);

/// Says where a scene ends, by the brightness_distance() of a frame and the one before it.
class SceneCut {
 public:
  /// Memory: 8 bytes a bin.
  explicit SceneCut(std::uint32_t bins);
  /// Whether `frame` begins a scene: 1 to 1000 thousandths away, at least; 0: never. A frame of which less than half as
  /// many pixels came as of the one before is not compared, nor is the next one with it.
  bool add(const Histogram& frame, std::uint32_t threshold_permille);
  /// The next frame is not compared.
  void clear();

 private:
  Histogram before_;
  std::uint64_t total_ = 0;  ///< of `before_`; 0: there is none
};

}  // namespace histod::compute::video
