// SPDX-License-Identifier: Apache-2.0
#include "compute/video/sliding_window.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace histod::compute::video {

SlidingWindow::SlidingWindow(std::uint32_t bins, std::uint32_t capacity)
    : capacity_(capacity), frames_(capacity), ring_(std::size_t{bins} * capacity), sum_(bins) {
  assert(capacity >= 1 && capacity <= k_window_frames_max);
}

const std::uint32_t* SlidingWindow::frame_at(std::uint32_t age) const {
  return ring_.data() + std::size_t{(newest_ + capacity_ - age) % capacity_} * sum_.bins();
}

void SlidingWindow::subtract(std::uint32_t age) {
  const std::uint32_t* const frame = frame_at(age);
  const std::span sums = sum_.counts();
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] -= frame[i];
}

Result<void> SlidingWindow::add(const Histogram& frame) {
  assert(frame.bins() == sum_.bins());
  constexpr std::uint64_t k_pixels_max = std::numeric_limits<std::uint32_t>::max();
  const std::span counts = frame.counts();
  const std::uint64_t largest = *std::ranges::max_element(counts);
  if (largest > k_pixels_max) {
    return fail(Errc::pixels_over_limit, "pixels of one value in a frame", largest, k_pixels_max);
  }
  if (kept_ >= frames_) subtract(frames_ - 1);
  newest_ = (newest_ + 1) % capacity_;
  kept_ = std::min(kept_ + 1, capacity_);
  std::uint32_t* const slot = ring_.data() + std::size_t{newest_} * counts.size();
  const std::span sums = sum_.counts();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    slot[i] = static_cast<std::uint32_t>(counts[i]);
    sums[i] += counts[i];
  }
  return {};
}

void SlidingWindow::set_frames(std::uint32_t frames) {
  assert(frames >= 1 && frames <= capacity_);
  for (std::uint32_t age = frames; age < std::min(frames_, kept_); ++age) subtract(age);
  const std::span sums = sum_.counts();
  for (std::uint32_t age = frames_; age < std::min(frames, kept_); ++age) {
    const std::uint32_t* const frame = frame_at(age);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += frame[i];
  }
  frames_ = frames;
}

void SlidingWindow::clear() {
  kept_ = 0;
  std::ranges::fill(sum_.counts(), 0);
}

void SlidingWindow::read(std::uint32_t age, Histogram& frame) const {
  assert(age < kept_ && frame.bins() == sum_.bins());
  std::copy_n(frame_at(age), sum_.bins(), frame.counts().begin());
}

ExponentialAverage::ExponentialAverage(std::uint32_t bins) : sums_(bins), average_(bins) {}

void ExponentialAverage::add(const Histogram& frame, unsigned shift) {
  assert(frame.bins() == sums_.size() && shift <= k_shift_max);
  const std::span counts = frame.counts();
  const std::span average = average_.counts();
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const std::uint64_t before = sums_[i];
    const unsigned weight = empty_ ? k_fraction_bits : k_fraction_bits - shift;
    sums_[i] = (empty_ ? 0 : before - (before >> shift)) + (counts[i] << weight);
    average[i] = sums_[i] >> k_fraction_bits;
  }
  empty_ = false;
}

}  // namespace histod::compute::video
