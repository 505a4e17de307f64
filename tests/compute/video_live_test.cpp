// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <gtest/gtest.h>

#include "compute/video/live_table.hpp"
#include "compute/video/packed.hpp"
#include "tests/compute/video_support.hpp"
#include "tests/support/counted_malloc.hpp"
#include "tests/support/naive_equalize.hpp"

namespace histod::test {
namespace {

using compute::Errc;
using compute::Histogram;
using compute::Lut;
using compute::Rule;
using compute::video::brightness_distance;
using compute::video::clip_counts;
using compute::video::LiveOptions;
using compute::video::LiveTable;
using compute::video::SceneCut;
using compute::video::Smoothing;

constexpr Rule k_every_rule[] = {Rule::opencv, Rule::exact, Rule::reference, Rule::pillow, Rule::vips};

/// About `pixels` of them, bell-shaped around a brightness.
Histogram scene(std::uint32_t bins, double center, std::uint64_t pixels, std::mt19937_64& random) {
  Histogram frame(bins);
  for (std::uint64_t i = 0; i < pixels; ++i) {
    double sum = 0;
    for (int part = 0; part < 4; ++part) sum += static_cast<double>(random() % 1000) / 4000.0 - 0.125;
    const double at = std::clamp(center + sum / 2, 0.0, 1.0) * (bins - 1);
    ++frame.counts()[static_cast<std::size_t>(at)];
  }
  return frame;
}

/// What the rule gives for as many levels of 16-bit samples: its first entries.
std::vector<std::uint32_t> naive_table(Rule rule, const Histogram& counts) {
  NaiveCounts wide(counts.counts().begin(), counts.counts().end());
  if (wide.size() != 256) wide.resize(65536);
  NaiveLut lut = naive_lut(name(rule), wide, counts.bins());
  lut.resize(counts.bins());
  return lut;
}

std::vector<std::uint32_t> entries(const Lut& lut) { return {lut.begin(), lut.end()}; }

/// One pixel at a time from the full bins to the others.
std::vector<std::uint64_t> naive_clip(std::vector<std::uint64_t> counts, std::uint64_t permille) {
  std::uint64_t total = 0, excess = 0;
  for (const std::uint64_t count : counts) total += count;
  const auto limit = std::max<std::uint64_t>(1, permille * total / (1000 * counts.size()));
  for (std::uint64_t& count : counts) {
    for (; count > limit; --count) ++excess;
  }
  for (; excess >= counts.size(); excess -= counts.size()) {
    for (std::uint64_t& count : counts) ++count;
  }
  for (std::uint64_t j = 1; j <= excess; ++j) {
    std::uint64_t number = 1;  // the smallest that is not below j * L / R
    while (number * excess < j * counts.size()) ++number;
    ++counts[number - 1];
  }
  return counts;
}

TEST(ClipCounts, IsItsDefinition) {
  std::mt19937_64 random(5);
  for (const std::uint32_t bins : {256u, 1024u}) {
    for (int round = 0; round < 60; ++round) {
      const Histogram frame = scene(bins, 0.5, random() % 5000, random);
      for (const std::uint32_t permille : {1u, 1000u, 1001u, 2200u, 4000u, 40'000u, 1'000'000u}) {
        Histogram clipped = frame;
        clip_counts(clipped.counts(), permille);
        ASSERT_EQ(values_of(clipped), naive_clip(values_of(frame), permille)) << permille;
        ASSERT_EQ(clipped.total(), frame.total());
      }
    }
  }
}

TEST(ClipCounts, TakesTheLargestTotals) {
  std::vector<std::uint64_t> counts(65536, 0xffffffff);
  clip_counts(counts, 1'000'000);
  EXPECT_EQ(counts, std::vector<std::uint64_t>(65536, 0xffffffff));
  clip_counts(counts, 1000);
  EXPECT_EQ(counts, std::vector<std::uint64_t>(65536, 0xffffffff));
}

/// With clip 1 no value is stretched by more than rounding; without, the table is steep.
TEST(ClipCounts, BoundsTheSlope) {
  std::mt19937_64 random(6);
  const Histogram frame = scene(256, 0.4, 100'000, random);
  for (const std::uint32_t permille : {1000u, 2000u, 3000u}) {
    Histogram clipped = frame;
    clip_counts(clipped.counts(), permille);
    const auto lut = make_lut(Rule::exact, clipped, 256);
    ASSERT_TRUE(lut);
    // What is spread comes on top: at most a bin's share of all.
    for (std::size_t i = 1; i < 256; ++i) ASSERT_LE((*lut)[i] - (*lut)[i - 1], permille / 1000 + 2) << permille;
  }
}

/// In floating point, from the definition; halves apart from the steps.
double naive_distance(const Histogram& one, const Histogram& other) {
  double sum = 0, a = 0, b = 0;
  const auto m = static_cast<double>(one.total()), n = static_cast<double>(other.total());
  for (std::uint32_t i = 0; i < one.bins(); ++i) {
    a += static_cast<double>(one[i]) / m;
    b += static_cast<double>(other[i]) / n;
    sum += std::abs(a - b);
  }
  return 1000 * sum / (one.bins() - 1);
}

TEST(BrightnessDistance, IsTheEarthMovers) {
  std::mt19937_64 random(8);
  for (const std::uint32_t bins : {256u, 1024u, 65536u}) {
    Histogram black(bins), white(bins), empty(bins), one_up(bins);
    black.counts()[0] = 5;
    white.counts()[bins - 1] = 0xffffffff;
    one_up.counts()[1] = 7;
    EXPECT_EQ(brightness_distance(black, white), 1000u);
    EXPECT_EQ(brightness_distance(white, black), 1000u);
    EXPECT_EQ(brightness_distance(black, one_up), 1000 / (bins - 1));
    EXPECT_EQ(brightness_distance(black, black), 0u);
    EXPECT_EQ(brightness_distance(black, empty), 0u);
    EXPECT_EQ(brightness_distance(empty, empty), 0u);
    for (int i = 0; i < 20; ++i) {
      const Histogram a = scene(bins, 0.2 + 0.03 * i, 1000 + random() % 500, random);
      const Histogram b = scene(bins, 0.5, 700, random);
      ASSERT_NEAR(brightness_distance(a, b) + 0.5, naive_distance(a, b), 0.5 + 1e-6);
      Histogram more = a;
      for (std::uint64_t& count : more.counts()) count *= 3;
      ASSERT_EQ(brightness_distance(more, a), 0u) << "shares, not numbers of pixels";
    }
  }
  const Histogram full = histogram_with(std::vector<std::uint64_t>(65536, 0xffffffff));
  EXPECT_EQ(brightness_distance(full, full), 0u) << "the largest that there can be";
}

TEST(SceneCut, SeesJumpsAndNotNoiseFadesOrLoss) {
  std::mt19937_64 random(9);
  SceneCut cut(256);
  EXPECT_FALSE(cut.add(scene(256, 0.3, 5000, random), 60)) << "nothing to compare with";
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(cut.add(scene(256, 0.3, 5000, random), 60)) << "noise";
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(cut.add(scene(256, 0.3 + 0.02 * i, 5000, random), 60)) << "a fade";
  EXPECT_TRUE(cut.add(scene(256, 0.3, 5000, random), 60));
  EXPECT_FALSE(cut.add(scene(256, 0.3, 4000, random), 60));
  EXPECT_FALSE(cut.add(scene(256, 0.9, 1900, random), 60)) << "a frame of which less than half came";
  EXPECT_FALSE(cut.add(Histogram(256), 60));
  EXPECT_FALSE(cut.add(scene(256, 0.3, 2000, random), 60)) << "compared with the one before the loss";
  EXPECT_FALSE(cut.add(scene(256, 0.9, 5000, random), 0)) << "switched off";
  EXPECT_FALSE(cut.add(scene(256, 0.9, 5000, random), 60));
  EXPECT_TRUE(cut.add(scene(256, 0.1, 5000, random), 60));
  cut.clear();
  EXPECT_FALSE(cut.add(scene(256, 0.9, 5000, random), 60));
}

/// The same, from all frames since the scene began, anew for each.
struct NaiveLive {
  std::uint32_t bins, capacity;
  LiveOptions options;
  std::vector<Histogram> frames;
  std::vector<unsigned> shifts;  ///< with which each frame was averaged

  Histogram counts() const {
    Histogram sum(bins);
    if (frames.empty()) return sum;
    for (std::uint32_t bin = 0; bin < bins; ++bin) {
      std::uint64_t value = 0;
      if (options.smoothing == Smoothing::window) {
        for (std::size_t age = 0; age < std::min<std::size_t>(options.frames, frames.size()); ++age)
          value += frames[frames.size() - 1 - age][bin];
      } else {
        value = frames[0][bin] * 65536;
        for (std::size_t i = 1; i < frames.size(); ++i) {
          const std::uint64_t part = std::uint64_t{1} << shifts[i];
          value = value - value / part + frames[i][bin] * 65536 / part;
        }
        value /= 65536;
      }
      sum.counts()[bin] = value;
    }
    return sum;
  }
  std::vector<std::uint32_t> table() const {
    Histogram sum = counts();
    if (options.clip_permille == 0) return naive_table(options.rule, sum);
    return naive_table(options.rule, histogram_with(naive_clip(values_of(sum), options.clip_permille)));
  }
  void configure(const LiveOptions& next) {
    const bool begins = next.smoothing == Smoothing::exponential && options.smoothing == Smoothing::window;
    if (begins && frames.size() > capacity) frames.erase(frames.begin(), frames.end() - capacity);
    if (begins) shifts.assign(frames.size(), next.shift);
    options = next;
  }
  void add(const Histogram& frame) {
    frames.push_back(frame);
    shifts.push_back(options.shift);
  }
};

LiveOptions random_options(std::uint32_t bins, std::uint32_t capacity, std::mt19937_64& random) {
  constexpr std::uint32_t k_clips[] = {0, 0, 1000, 2500, 8000};
  LiveOptions options;
  options.smoothing = random() % 2 == 0 ? Smoothing::window : Smoothing::exponential;
  options.frames = static_cast<std::uint32_t>(1 + random() % capacity);
  options.shift = static_cast<unsigned>(random() % 7);
  do options.rule = k_every_rule[random() % 5];
  while (options.rule == Rule::pillow && bins > 256);
  options.clip_permille = k_clips[random() % 5];
  return options;
}

TEST(LiveTable, IsMadeOfItsFramesWhateverHappens) {
  std::mt19937_64 random(10);
  for (const auto& [bins, capacity] : {std::pair{256u, 1u}, {256u, 7u}, {1024u, 5u}, {4096u, 3u}}) {
    LiveTable live(bins, capacity);
    NaiveLive naive{bins, capacity, live.options(), {}, {}};
    EXPECT_EQ(live.options().frames, std::min(32u, capacity));
    ASSERT_EQ(entries(live.lut()), naive.table()) << "the identity";
    for (int step = 0; step < 150; ++step) {
      const std::uint64_t what = random() % 16;
      if (what == 0) {
        live.reset();
        naive.frames.clear();
        naive.shifts.clear();
      } else if (what < 4) {
        const LiveOptions options = random_options(bins, capacity, random);
        ASSERT_TRUE(live.configure(options));
        naive.configure(options);
        ASSERT_EQ(live.options(), options);
      } else {
        const Histogram frame = scene(bins, 0.3, random() % 8 == 0 ? 0 : 500 + random() % 500, random);
        ASSERT_TRUE(live.add(frame));
        naive.add(frame);
      }
      ASSERT_EQ(live.counts(), naive.counts()) << bins << " step " << step;
      ASSERT_EQ(entries(live.lut()), naive.table()) << bins << " step " << step;
    }
  }
}

TEST(LiveTable, BeginsAnewWithAScene) {
  std::mt19937_64 random(12);
  for (const Smoothing smoothing : {Smoothing::window, Smoothing::exponential}) {
    LiveTable live(256, 8);
    ASSERT_TRUE(live.configure({.smoothing = smoothing, .frames = 8, .cut_permille = 100}));
    for (int i = 0; i < 12; ++i) ASSERT_TRUE(live.add(scene(256, 0.2, 1000, random)));
    EXPECT_EQ(live.frames_kept(), 8u);
    EXPECT_EQ(live.cuts(), 0u);
    const Histogram next = scene(256, 0.8, 1000, random);
    ASSERT_TRUE(live.add(next));
    EXPECT_EQ(live.cuts(), 1u);
    EXPECT_EQ(live.frames_kept(), 1u);
    EXPECT_EQ(live.counts(), next);
    EXPECT_EQ(entries(live.lut()), naive_table(Rule::opencv, next));
    ASSERT_TRUE(live.add(next));
    EXPECT_EQ(live.frames_kept(), 2u);
    live.reset();
    ASSERT_TRUE(live.add(scene(256, 0.2, 1000, random)));
    EXPECT_EQ(live.cuts(), 1u) << "another stream is no scene";
  }
}

TEST(LiveTable, RefusesOptionsThatItCannotDo) {
  const auto refused = [](std::uint32_t bins, const LiveOptions& options) {
    LiveTable live(bins, 4);
    const LiveOptions before = live.options();
    const auto done = live.configure(options);
    EXPECT_EQ(live.options(), before);
    return !done && done.error().code == Errc::bad_option && !done.error().detail.empty();
  };
  EXPECT_TRUE(refused(256, {.frames = 0}));
  EXPECT_TRUE(refused(256, {.frames = 5}));
  EXPECT_TRUE(refused(256, {.frames = 4, .shift = 11}));
  EXPECT_TRUE(refused(1024, {.frames = 4, .rule = Rule::pillow}));
  EXPECT_TRUE(refused(256, {.frames = 4, .clip_permille = 999}));
  EXPECT_TRUE(refused(256, {.frames = 4, .clip_permille = 1'000'001}));
  EXPECT_TRUE(refused(256, {.frames = 4, .cut_permille = 1001}));
  LiveTable live(256, 4);
  Histogram frame(256);
  frame.counts()[3] = 1ull << 32;
  const auto added = live.add(frame);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::pixels_over_limit);
  EXPECT_EQ(live.frames_kept(), 0u);
}

/// From a packet to the next frame's table, with all that can change in between, in memory that was there before.
TEST(LiveTable, TakesNoMemoryOnceItRuns) {
  if (HISTOD_OWN_MALLOC == 0) GTEST_SKIP() << "a sanitizer has malloc";
  std::mt19937_64 random(13);
  const PackedForm form{Sampling::ycbcr422, 10};
  Bytes groups = random_groups(form, 240, 0, random);
  compute::video::LumaCounter counter(form);
  compute::video::LumaMap map(form);
  LiveTable live(form.levels(), 16);
  Histogram frame(form.levels());
  const std::size_t before = in_use;
  most = before;
  bool good = true;
  for (std::uint32_t i = 0; i < 40; ++i) {
    counter.count(groups);
    map.apply(groups);
    std::ranges::fill(frame.counts(), 0);
    counter.fold_into(frame);
    good = live.configure({.smoothing = i % 3 == 0 ? Smoothing::exponential : Smoothing::window,
                           .frames = 1 + i % 16,
                           .rule = k_every_rule[i % 3],
                           .clip_permille = i % 4 * 1000,
                           .cut_permille = 50}) &&
           live.add(frame) && good;
    map.set(live.lut());
  }
  EXPECT_TRUE(good);
  EXPECT_EQ(most, before);
}

}  // namespace
}  // namespace histod::test
