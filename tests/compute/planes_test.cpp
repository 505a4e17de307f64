// SPDX-License-Identifier: Apache-2.0
#include "compute/planes.hpp"

#include <algorithm>
#include <array>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/naive_equalize.hpp"

namespace histod::compute {
namespace {

using test::counts_of;
using Samples = std::vector<std::uint8_t>;

Samples made_by(std::size_t n, auto&& sample) {
  Samples samples(n);
  for (std::size_t i = 0; i < n; ++i) samples[i] = static_cast<std::uint8_t>(sample(i));
  return samples;
}

/// Each sample near the one before: what a sensor sees of a scene.
Samples walk(std::size_t n, int step) {
  std::mt19937 random(5);
  int value = 128;
  return made_by(n, [&](std::size_t) {
    value = std::clamp(value + static_cast<int>(random() % static_cast<unsigned>(2 * step + 1)) - step, 0, 255);
    return value;
  });
}

Samples noise(std::size_t n) {
  std::mt19937 random(6);
  return made_by(n, [&](std::size_t) { return random(); });
}

Counting best_for(const Samples& samples) {
  Neighbours neighbours;
  neighbours.look_at(samples);
  return neighbours.best();
}

TEST(Neighbours, ThoseOfAPhotographAreCountedByPairs) {
  EXPECT_EQ(best_for(walk(4000, 5)), Counting::pairs);
  EXPECT_EQ(best_for(walk(4001, 20)), Counting::pairs);
  // Neighbours are the same, as in an image that was made larger, but not what lies in other places of a block.
  EXPECT_EQ(best_for(made_by(4000, [](std::size_t i) { return i / 16; })), Counting::pairs);
  EXPECT_EQ(best_for(made_by(300, [](std::size_t i) { return i / 16; })), Counting::pairs);
}

TEST(Neighbours, NoiseIsMixed) {
  EXPECT_EQ(best_for(noise(4000)), Counting::mixed);
  EXPECT_EQ(best_for(walk(4000, 100)), Counting::mixed);
}

TEST(Neighbours, WhatRepeatsItselfIsMixed) {
  EXPECT_EQ(best_for(Samples(4000, 9)), Counting::mixed);
  EXPECT_EQ(best_for(made_by(4000, [](std::size_t i) { return i / 16 % 8; })), Counting::mixed);
  const Samples few = made_by(4000, [](std::size_t i) { return i % 400 < 20 ? 30 : 255; });
  EXPECT_EQ(best_for(few), Counting::mixed);
}

TEST(Neighbours, AllThatWasLookedAtCounts) {
  Neighbours neighbours;
  neighbours.look_at(walk(9000, 5));
  neighbours.look_at(noise(1000));
  EXPECT_EQ(neighbours.best(), Counting::pairs);
  neighbours.look_at(noise(20000));
  EXPECT_EQ(neighbours.best(), Counting::mixed);
}

TEST(Neighbours, NothingSeenIsNoPhotograph) {
  EXPECT_EQ(Neighbours().best(), Counting::mixed);
  EXPECT_EQ(best_for({}), Counting::mixed);
  EXPECT_EQ(best_for({1, 2, 3}), Counting::mixed);
}

template <class T>
std::vector<std::uint64_t> naive_counts(const std::vector<T>& samples, std::uint32_t bins) {
  std::vector<std::uint64_t> counts(bins);
  for (const T sample : samples) ++counts[sample];
  return counts;
}

struct Way {
  const char* name;
  bool large;
  Counting counting;
};
constexpr Way k_ways[] = {{"singly", false, Counting::singly},
                          {"singly, large", true, Counting::singly},
                          {"pairs", true, Counting::pairs},
                          {"mixed", true, Counting::mixed}};

TEST(SampleCounter, EachWayCountsTheSame) {
  for (const Samples& samples : {walk(70'001, 3), noise(70'001), Samples(70'001, 200)}) {
    const auto expected = naive_counts(samples, 256);
    for (const Way& way : k_ways) {
      SampleCounter<std::uint8_t> counter(way.large);
      counter.count_by(way.counting);
      // Pieces of odd and even lengths: those left over from pairs and words as well.
      std::uint32_t n = 1;
      for (std::size_t at = 0; at < samples.size(); at += n, n = n % 999 + 7) {
        n = static_cast<std::uint32_t>(std::min<std::size_t>(n, samples.size() - at));
        counter.add(samples.data() + at, nullptr, n);
      }
      Histogram histogram(256);
      counter.fold_into(histogram);
      EXPECT_EQ(counts_of(histogram), expected) << way.name;
    }
  }
}

TEST(SampleCounter, PackedPixelsGoToTheCountersOfTheirChannels) {
  std::vector<SampleCounter<std::uint8_t>> counters(3);
  std::array<Samples, 3> channels;
  for (const Samples& pixels : {noise(3 * 5'003), walk(3 * 777, 2), Samples(3 * 64, 200)}) {
    SampleCounter<std::uint8_t>::add_rgb(counters, pixels.data(), static_cast<std::uint32_t>(pixels.size() / 3));
    for (std::size_t i = 0; i < pixels.size(); ++i) channels[i % 3].push_back(pixels[i]);
  }
  for (std::size_t channel = 0; channel < 3; ++channel) {
    Histogram histogram(256);
    counters[channel].fold_into(histogram);
    EXPECT_EQ(counts_of(histogram), naive_counts(channels[channel], 256)) << channel;
  }
}

TEST(SampleCounter, OnlyWhatIsKept) {
  const Samples samples = walk(k_segment_pixels, 9);
  std::mt19937 random(7);
  const Samples keep = made_by(samples.size(), [&](std::size_t) { return random() % 3 == 0 ? random() | 1 : 0; });
  Samples kept;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (keep[i] != 0) kept.push_back(samples[i]);
  }
  for (const Way& way : k_ways) {
    SampleCounter<std::uint8_t> counter(way.large);
    counter.count_by(way.counting);
    counter.add(samples.data(), keep.data(), k_segment_pixels);
    Histogram histogram(256);
    counter.fold_into(histogram);
    EXPECT_EQ(counts_of(histogram), naive_counts(kept, 256)) << way.name;
  }
}

TEST(SampleCounter, BeginsAnewAfterEachFoldAndMayChangeItsWay) {
  SampleCounter<std::uint8_t> counter(true);
  Histogram histogram(256), nothing(256);
  Samples all;
  for (const Counting way : {Counting::pairs, Counting::mixed, Counting::singly, Counting::mixed, Counting::pairs}) {
    counter.count_by(way);
    const Samples samples = walk(5'003, 1 + static_cast<int>(way));
    counter.add(samples.data(), nullptr, static_cast<std::uint32_t>(samples.size()));
    all.insert(all.end(), samples.begin(), samples.end());
    counter.fold_into(histogram);
    EXPECT_EQ(counts_of(histogram), naive_counts(all, 256));
    counter.fold_into(nothing);
  }
  EXPECT_EQ(nothing.total(), 0u);
}

TEST(SampleCounter, WideSamples) {
  std::mt19937 random(8);
  std::vector<std::uint16_t> samples(30'001);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<std::uint16_t>(i % 100 < 40 ? 65535 - i / 100 : random());
  SampleCounter<std::uint16_t> counter;
  counter.add(samples.data(), nullptr, 20'000);
  counter.add(samples.data() + 20'000, nullptr, 10'001);
  Histogram histogram(65536);
  counter.fold_into(histogram);
  EXPECT_EQ(counts_of(histogram), naive_counts(samples, 65536));
}

/// The narrow tables hold 2^31 samples; the rest is kept apart.
TEST(SampleCounter, MoreThanTheNarrowTablesHold) {
  constexpr std::uint32_t k_piece = 1u << 26;
  const Samples flat(k_piece, 3);
  for (const Way& way : k_ways) {
    SampleCounter<std::uint8_t> counter(way.large);
    counter.count_by(way.counting);
    for (int i = 0; i < 65; ++i) counter.add(flat.data(), nullptr, k_piece);
    Histogram histogram(256);
    counter.fold_into(histogram);
    EXPECT_EQ(histogram[3], 65 * std::uint64_t{k_piece}) << way.name;
    EXPECT_EQ(histogram.total(), 65 * std::uint64_t{k_piece}) << way.name;
  }
}

}  // namespace
}  // namespace histod::compute
