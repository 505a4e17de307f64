// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "compute/rule.hpp"

namespace histod::compute {
namespace {

__extension__ using Wide = unsigned __int128;
using Pixels = std::vector<std::uint32_t>;

Histogram histogram_of(std::uint32_t bins, const Pixels& pixels) {
  Histogram histogram(bins);
  for (const std::uint32_t pixel : pixels) ++histogram.counts()[pixel];
  return histogram;
}

Histogram random_histogram(std::uint32_t bins, std::uint32_t levels, std::uint64_t empty_percent, std::uint64_t largest,
                           std::mt19937_64& random) {
  Histogram histogram(bins);
  for (std::uint32_t i = 0; i < levels; ++i) {
    if (random() % 100 >= empty_percent) histogram.counts()[i] = random() % (largest + 1);
  }
  return histogram;
}

Lut match(const Histogram& source, const Histogram& reference, std::uint32_t levels) {
  const auto lut = match_lut(source, reference, levels);
  EXPECT_TRUE(lut) << lut.error().detail;
  return lut ? *lut : Lut();
}

std::uint64_t sum_to(const Histogram& histogram, std::uint32_t last) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i <= last; ++i) sum += histogram[i];
  return sum;
}

/// The definition, searched from 0 for each entry with sums that are taken anew.
Lut naive_match(const Histogram& source, const Histogram& reference, std::uint32_t levels) {
  Lut lut(source.bins());
  std::iota(lut.begin(), lut.end(), std::uint16_t{0});
  if (source.total() == 0 || reference.total() == 0) return lut;
  for (std::uint32_t i = 0; i < levels; ++i) {
    const Wide wanted = Wide{sum_to(source, i)} * reference.total();
    std::uint32_t j = 0;
    while (Wide{sum_to(reference, j)} * source.total() < wanted) ++j;
    lut[i] = static_cast<std::uint16_t>(j);
  }
  return lut;
}

/// The same without any histogram: i takes the value of the reference's pixel that has, among its sorted pixels, the
/// rank of the last pixel of i among its own.
std::uint32_t entry_by_ranks(Pixels source, Pixels reference, std::uint32_t i) {
  std::sort(reference.begin(), reference.end());
  const auto below = static_cast<std::size_t>(
      std::count_if(source.begin(), source.end(), [i](std::uint32_t pixel) { return pixel <= i; }));
  if (below == 0) return 0;
  const std::size_t rank = (below * reference.size() + source.size() - 1) / source.size();
  return reference[rank - 1];
}

TEST(Match, IsItsDefinition) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 150; ++i) {
    const auto levels = static_cast<std::uint32_t>(2 + random() % 255);
    const std::uint64_t largest = 1 + random() % (1ull << (random() % 50));
    const Histogram source = random_histogram(256, levels, random() % 100, largest, random);
    const Histogram reference = random_histogram(256, levels, random() % 100, 1 + random() % 1000, random);
    ASSERT_EQ(match(source, reference, levels), naive_match(source, reference, levels)) << i;
  }
}

TEST(Match, IsTheReferencesPixelOfTheSameRank) {
  std::mt19937_64 random(2);
  for (const std::uint32_t bins : {256u, 65536u}) {
    for (int i = 0; i < 40; ++i) {
      Pixels source(1 + random() % 300), reference(1 + random() % 300);
      const auto levels = static_cast<std::uint32_t>(2 + random() % (bins - 1));
      const std::uint64_t narrow = 1 + random() % levels;
      for (std::uint32_t& pixel : source) pixel = static_cast<std::uint32_t>(random() % narrow);
      for (std::uint32_t& pixel : reference) pixel = static_cast<std::uint32_t>(random() % levels);
      const Lut lut = match(histogram_of(bins, source), histogram_of(bins, reference), levels);
      for (const std::uint32_t pixel : source) ASSERT_EQ(lut[pixel], entry_by_ranks(source, reference, pixel));
      for (int n = 0; n < 20; ++n) {
        const auto any = static_cast<std::uint32_t>(random() % levels);
        ASSERT_EQ(lut[any], entry_by_ranks(source, reference, any));
      }
    }
  }
}

TEST(Match, ADistributionMatchesItselfAndItsMultiples) {
  std::mt19937_64 random(3);
  for (const std::uint32_t bins : {256u, 65536u}) {
    const Histogram source = random_histogram(bins, bins, 30, 1000, random);
    Histogram thrice = source;
    for (int i = 0; i < 2; ++i) thrice.merge(source);
    for (const auto& [from, to] : {std::pair(&source, &source), {&source, &thrice}, {&thrice, &source}}) {
      const Lut lut = match(*from, *to, bins);
      for (std::uint32_t i = 0; i < bins; ++i) {
        if (source[i] != 0) {
          ASSERT_EQ(lut[i], i);
        }
      }
    }
  }
}

TEST(Match, NeverFallsAndFindsFilledBinsOnly) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 50; ++i) {
    const Histogram source = random_histogram(65536, 4096, random() % 100, 100, random);
    const Histogram reference = random_histogram(65536, 4096, random() % 100, 100, random);
    if (source.total() == 0 || reference.total() == 0) continue;
    const Lut lut = match(source, reference, 4096);
    ASSERT_TRUE(std::is_sorted(lut.begin(), lut.end()));
    for (std::uint32_t v = 0; v < 4096; ++v) ASSERT_TRUE(lut[v] == 0 || reference[lut[v]] != 0) << v;
    for (std::uint32_t v = 4096; v < 65536; ++v) ASSERT_EQ(lut[v], v);
  }
}

TEST(Match, OfTheSameNumberOfPixelsGivesTheReferencesCounts) {
  // Each value once on both sides: nothing can be in the way of an exact match.
  Pixels source(100), reference(100);
  for (std::uint32_t i = 0; i < 100; ++i) source[i] = 2 * i, reference[i] = 50 + i;
  const Histogram wanted = histogram_of(256, reference);
  const Lut lut = match(histogram_of(256, source), wanted, 256);
  for (std::uint32_t& pixel : source) pixel = lut[pixel];
  EXPECT_EQ(histogram_of(256, source), wanted);
}

TEST(Match, OfNothingIsTheIdentity) {
  const Histogram some = histogram_of(256, {7, 9, 200});
  for (const auto& [source, reference] :
       {std::pair(some, Histogram()), {Histogram(), some}, {Histogram(), Histogram()}}) {
    const Lut lut = match(source, reference, 256);
    for (std::uint32_t i = 0; i < 256; ++i) ASSERT_EQ(lut[i], i);
  }
}

TEST(Match, EmptyBinsFollowTheOneBefore) {
  const Lut lut = match(histogram_of(256, {10, 20, 20, 20}), histogram_of(256, {5, 100, 100, 250}), 256);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(lut[i], 0);
  for (std::uint32_t i = 10; i < 20; ++i) EXPECT_EQ(lut[i], 5);
  for (std::uint32_t i = 20; i < 256; ++i) EXPECT_EQ(lut[i], 250);
}

TEST(Match, HugeCountsDoNotOverflow) {
  Histogram source(65536), reference(65536);
  source.counts()[0] = std::numeric_limits<std::uint64_t>::max() / 2;
  source.counts()[1] = std::numeric_limits<std::uint64_t>::max() / 2;
  source.counts()[9] = 1;
  reference.counts()[3] = std::numeric_limits<std::uint64_t>::max() - 2;
  reference.counts()[65535] = 2;
  const Lut lut = match(source, reference, 65536);
  EXPECT_EQ(lut[0], 3);
  EXPECT_EQ(lut[1], 65535);  // one pixel is above them, but two of the reference's are
  EXPECT_EQ(lut[9], 65535);
}

TEST(Match, RefusesWhatDoesNotFit) {
  const Histogram at_300 = histogram_of(65536, {300});
  const Histogram at_200 = histogram_of(65536, {200});
  EXPECT_EQ(match_lut(at_200, histogram_of(256, {1}), 256).error().code, Errc::bad_option);
  EXPECT_EQ(match_lut(at_300, at_200, 300).error().code, Errc::sample_out_of_range);
  EXPECT_EQ(match_lut(at_200, at_300, 300).error().code, Errc::sample_out_of_range);
  EXPECT_TRUE(match_lut(at_200, at_300, 301));
  for (const std::uint32_t levels : {0u, 1u, 65537u}) {
    EXPECT_EQ(match_lut(at_200, at_300, levels).error().code, Errc::bad_option) << levels;
  }
}

}  // namespace
}  // namespace histod::compute
