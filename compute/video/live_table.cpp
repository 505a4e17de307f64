// SPDX-License-Identifier: Apache-2.0
#include "compute/video/live_table.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace histod::compute::video {
namespace {

constexpr std::uint32_t k_clip_permille_min = 1000;
constexpr std::uint32_t k_clip_permille_max = 1'000'000;

}  // namespace

void clip_counts(std::span<std::uint64_t> counts, std::uint32_t clip_permille) {
  const std::uint64_t bins = counts.size();
  const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  // The thousands apart, so that the product fits: N < 2^48, and L * 1000 < 2^26.
  const std::uint64_t parts = 1000 * bins;
  const std::uint64_t limit =
      std::max<std::uint64_t>(1, total / parts * clip_permille + total % parts * clip_permille / parts);
  std::uint64_t excess = 0;
  for (std::uint64_t& count : counts) {
    excess += std::max(count, limit) - limit;
    count = std::min(count, limit);
  }
  for (std::uint64_t& count : counts) count += excess / bins;
  const std::uint64_t rest = excess % bins;
  for (std::uint64_t j = 1; j <= rest; ++j) ++counts[(j * bins + rest - 1) / rest - 1];
}

LiveTable::LiveTable(std::uint32_t bins, std::uint32_t capacity)
    : window_(bins, capacity), average_(bins), cut_(bins), scratch_(bins), lut_(bins) {
  options_.frames = std::min(options_.frames, capacity);
  window_.set_frames(options_.frames);
  make_table();
}

Result<void> LiveTable::check(const LiveOptions& options) const {
  if (options.frames < 1 || options.frames > window_.capacity()) {
    return fail(Errc::bad_option, "frames of the window", options.frames, window_.capacity());
  }
  if (options.shift > ExponentialAverage::k_shift_max) {
    return fail(Errc::bad_option, "shift of the exponential average", options.shift, ExponentialAverage::k_shift_max);
  }
  if (options.rule == Rule::pillow && lut_.size() > 256) {
    return fail(Errc::bad_option, "the pillow rule is for 8 bit: it takes at most 256 levels", lut_.size(), 256);
  }
  if (options.clip_permille != 0 && options.clip_permille < k_clip_permille_min) {
    return fail(Errc::bad_option, "a clip limit below 1000 thousandths", options.clip_permille, k_clip_permille_max);
  }
  if (options.clip_permille > k_clip_permille_max) {
    return fail(Errc::bad_option, "clip limit in thousandths", options.clip_permille, k_clip_permille_max);
  }
  if (options.cut_permille > 1000) {
    return fail(Errc::bad_option, "threshold of scene cuts in thousandths", options.cut_permille, 1000);
  }
  return {};
}

/// From the oldest frame that is kept on: so it does not matter when somebody began to ask for the average.
void LiveTable::average_again() {
  average_.clear();
  for (std::uint32_t age = window_.kept(); age-- > 0;) {
    window_.read(age, scratch_);
    average_.add(scratch_, options_.shift);
  }
}

Result<void> LiveTable::configure(const LiveOptions& options) {
  if (auto checked = check(options); !checked) return checked;
  const bool begins = options.smoothing == Smoothing::exponential && options_.smoothing != Smoothing::exponential;
  window_.set_frames(options.frames);
  options_ = options;
  if (begins) average_again();
  make_table();
  return {};
}

Result<void> LiveTable::add(const Histogram& frame) {
  if (auto added = window_.add(frame); !added) return added;
  if (cut_.add(frame, options_.cut_permille)) {
    ++cuts_;
    window_.clear();
    average_.clear();
    const auto again = window_.add(frame);
    assert(again);
  }
  if (options_.smoothing == Smoothing::exponential) average_.add(frame, options_.shift);
  make_table();
  return {};
}

void LiveTable::reset() {
  window_.clear();
  average_.clear();
  cut_.clear();
  make_table();
}

const Histogram& LiveTable::counts() const {
  return options_.smoothing == Smoothing::exponential && window_.kept() > 0 ? average_.average() : window_.sum();
}

void LiveTable::make_table() {
  std::ranges::copy(counts().counts(), scratch_.counts().begin());
  if (options_.clip_permille != 0) clip_counts(scratch_.counts(), options_.clip_permille);
  // Nothing can go wrong any more: the bins are the levels, and the rule was checked.
  const auto made = make_lut(options_.rule, scratch_, scratch_.bins(), lut_);
  assert(made);
}

}  // namespace histod::compute::video
