// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "compute/error.hpp"
#include "compute/histogram.hpp"
#include "compute/rule.hpp"
#include "compute/video/scene_cut.hpp"
#include "compute/video/sliding_window.hpp"

namespace histod::compute::video {

enum class Smoothing : std::uint8_t {
  window,       ///< all of the last frames weigh the same
  exponential,  ///< ExponentialAverage
};

/// How the table of the next frame is made of those before it. All may change between two frames.
struct LiveOptions {
  Smoothing smoothing = Smoothing::window;
  std::uint32_t frames = 32;        ///< of the window: 1 to the capacity
  unsigned shift = 4;               ///< of the average: a frame weighs 2^-shift; 0 to 10
  Rule rule = Rule::opencv;         ///< pillow: 8 bits only
  std::uint32_t clip_permille = 0;  ///< clip_counts(); 0: no clipping, else 1000 (almost the identity) to 1 000 000
  std::uint32_t cut_permille = 0;   ///< SceneCut's threshold: with a scene all frames before it are forgotten; 0: never

  friend bool operator==(const LiveOptions&, const LiveOptions&) = default;
};

/// CLAHE's clip limit (equalization.md: as in cv::createCLAHE, with the even spread of rule=exact), for a histogram of
/// the whole frame and in integers. N being the total and L the bins, no bin keeps more than
/// max(1, floor(clip_permille * N / (1000 * L))); of what is cut off in all, E, each bin gets floor(E / L), and the
/// rest R = E mod L goes to R bins an even distance apart: number ceil(j * L / R) - 1 for j = 1 to R. The total stays
/// what it is. It bounds the table's slope at about clip_permille / 1000. clip_permille >= 1; N < 2^48.
void clip_counts(std::span<std::uint64_t> counts, std::uint32_t clip_permille);

/// The table of a live stream, frame by frame: it is exact, and a function of the frames and options only.
class LiveTable {
 public:
  /// 1 <= capacity <= k_window_frames_max; the window's frames are options().frames, at most the capacity. Memory:
  /// memory_bytes(bins, capacity), now and ever. The table is the identity until a frame is added.
  LiveTable(std::uint32_t bins, std::uint32_t capacity);
  static constexpr std::uint64_t memory_bytes(std::uint64_t bins, std::uint64_t capacity) {
    return SlidingWindow::memory_bytes(bins, capacity) + (8 + 8 + 8 + 8 + 2) * bins;
  }

  /// The table is made anew of the frames that are kept. Errc::bad_option, with everything as it was.
  Result<void> configure(const LiveOptions& options);
  /// A whole frame, or what was received of it. Errc::pixels_over_limit, with everything as it was.
  Result<void> add(const Histogram& frame);
  /// Forgets all frames (another format, another sender): the table is the identity.
  void reset();

  const Lut& lut() const { return lut_; }
  /// What the table was made of, not clipped.
  const Histogram& counts() const;
  const LiveOptions& options() const { return options_; }
  std::uint32_t frames_kept() const { return window_.kept(); }
  std::uint64_t cuts() const { return cuts_; }  ///< scenes that began by SceneCut

 private:
  Result<void> check(const LiveOptions& options) const;
  void average_again();
  void make_table();

  LiveOptions options_;
  SlidingWindow window_;
  ExponentialAverage average_;
  SceneCut cut_;
  Histogram scratch_;
  Lut lut_;
  std::uint64_t cuts_ = 0;
};

}  // namespace histod::compute::video
