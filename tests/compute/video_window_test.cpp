// SPDX-License-Identifier: Apache-2.0
#include <deque>

#include <gtest/gtest.h>

#include "compute/video/sliding_window.hpp"
#include "tests/compute/video_support.hpp"

namespace histod::test {
namespace {

using compute::Histogram;
using compute::video::ExponentialAverage;
using compute::video::SlidingWindow;

/// What came of a frame of 1000 pixels: all, some, or nothing.
Histogram random_frame(std::uint32_t bins, std::mt19937_64& random) {
  Histogram frame(bins);
  const std::uint64_t pixels = random() % 4 == 0 ? random() % 1000 : random() % 8 == 0 ? 0 : 1000;
  for (std::uint64_t i = 0; i < pixels; ++i) ++frame.counts()[random() % bins];
  return frame;
}

/// Of all frames that there were, in order.
std::vector<std::uint64_t> naive_window(const std::vector<Histogram>& frames, std::size_t last, std::uint32_t bins) {
  std::vector<std::uint64_t> sums(bins);
  for (std::size_t i = frames.size() - std::min(frames.size(), last); i < frames.size(); ++i) {
    for (std::uint32_t bin = 0; bin < bins; ++bin) sums[bin] += frames[i][bin];
  }
  return sums;
}

TEST(SlidingWindow, IsTheSumOfItsFramesWhateverHappens) {
  std::mt19937_64 random(3);
  for (const std::uint32_t capacity : {1u, 2u, 3u, 8u, 33u}) {
    for (const std::uint32_t bins : {256u, 1024u}) {
      SlidingWindow window(bins, capacity);
      std::vector<Histogram> frames;
      std::uint32_t wanted = capacity;
      for (int step = 0; step < 150; ++step) {
        const std::uint64_t what = random() % 32;
        if (what == 0) {
          window.clear();
          frames.clear();
        } else if (what < 8) {
          wanted = static_cast<std::uint32_t>(1 + random() % capacity);
          window.set_frames(wanted);
        } else {
          frames.push_back(random_frame(bins, random));
          ASSERT_TRUE(window.add(frames.back()));
        }
        ASSERT_EQ(window.frames(), wanted);
        ASSERT_EQ(window.kept(), std::min<std::size_t>(frames.size(), capacity));
        // A window that grows finds the frames that it would have had.
        ASSERT_EQ(values_of(window.sum()), naive_window(frames, wanted, bins)) << capacity << " step " << step;
      }
      Histogram frame(bins);
      for (std::uint32_t age = 0; age < window.kept(); ++age) {
        window.read(age, frame);
        ASSERT_EQ(frame, frames[frames.size() - 1 - age]) << age;
      }
    }
  }
}

TEST(SlidingWindow, RefusesFramesThatItCannotKeepExactly) {
  SlidingWindow window(256, 2);
  Histogram frame(256);
  frame.counts()[9] = 0xffffffff;
  ASSERT_TRUE(window.add(frame));
  ASSERT_TRUE(window.add(frame));
  EXPECT_EQ(window.sum()[9], 2 * 0xffffffffull);
  frame.counts()[9] = 0x100000000;
  const auto added = window.add(frame);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, compute::Errc::pixels_over_limit);
  EXPECT_EQ(added.error().value, 0x100000000ull);
  EXPECT_EQ(window.sum()[9], 2 * 0xffffffffull);
  EXPECT_EQ(window.kept(), 2u);
}

TEST(SlidingWindow, SaysItsMemory) {
  EXPECT_EQ(SlidingWindow::memory_bytes(256, 32), 34'816u);
  EXPECT_EQ(SlidingWindow::memory_bytes(65536, 32), 8'912'896u);
}

/// The definition, in fractions of whole numbers.
std::vector<std::uint64_t> naive_average(const std::vector<Histogram>& frames, const std::vector<unsigned>& shifts,
                                         std::uint32_t bins) {
  std::vector<std::uint64_t> averages;
  for (std::uint32_t bin = 0; bin < bins; ++bin) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      std::uint64_t divisor = 1;
      for (unsigned twice = 0; twice < shifts[i]; ++twice) divisor *= 2;
      sum = i == 0 ? frames[i][bin] * 65536 : sum - sum / divisor + frames[i][bin] * 65536 / divisor;
    }
    averages.push_back(sum / 65536);
  }
  return averages;
}

TEST(ExponentialAverage, IsItsDefinition) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20; ++round) {
    ExponentialAverage average(256);
    std::vector<Histogram> frames;
    std::vector<unsigned> shifts;
    for (int i = 0; i < 50; ++i) {
      frames.push_back(random_frame(256, random));
      shifts.push_back(static_cast<unsigned>(round < 11 ? round : static_cast<int>(random() % 11)));
      average.add(frames.back(), shifts.back());
      ASSERT_EQ(values_of(average.average()), naive_average(frames, shifts, 256)) << i;
    }
    frames.assign(1, random_frame(256, random));
    average.clear();
    average.add(frames[0], 5);
    ASSERT_EQ(average.average(), frames[0]) << "the first frame after clear()";
  }
}

/// Largest counts that there can be, and what is left of them when they are gone.
TEST(ExponentialAverage, ComesToRestExactly) {
  for (unsigned shift = 0; shift <= ExponentialAverage::k_shift_max; ++shift) {
    ExponentialAverage average(256);
    Histogram dark(256), bright(256);
    dark.counts()[0] = 0xffffffff;
    bright.counts()[255] = 0xffffffff;
    average.add(dark, shift);
    // Each 2^shift frames take more than half of what is left of 2^48.
    for (unsigned i = 0; i < 48u << shift; ++i) average.add(bright, shift);
    ASSERT_EQ(average.average(), bright) << shift;
  }
}

}  // namespace
}  // namespace histod::test
