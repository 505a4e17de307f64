// SPDX-License-Identifier: Apache-2.0
#include "compute/histogram.hpp"

#include <cstring>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace histod::compute {
namespace {

Histogram random_histogram(std::uint32_t bins, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Histogram histogram(bins);
  for (std::uint64_t& count : histogram.counts()) count = random() >> (random() % 40 + 24);
  return histogram;
}

TEST(Histogram, StartsEmpty) {
  EXPECT_EQ(Histogram().bins(), 256u);
  EXPECT_EQ(Histogram(65536).bins(), 65536u);
  EXPECT_EQ(Histogram(65536).total(), 0u);
}

TEST(Histogram, MergeAddsAndSubtractTakesAway) {
  for (const std::uint32_t bins : {256u, 65536u}) {
    const Histogram a = random_histogram(bins, 1);
    const Histogram b = random_histogram(bins, 2);
    Histogram sum = a;
    sum.merge(b);
    EXPECT_EQ(sum.total(), a.total() + b.total());
    Histogram other_way = b;
    other_way.merge(a);
    EXPECT_EQ(sum, other_way);
    sum.subtract(b);
    EXPECT_EQ(sum, a);
  }
}

TEST(HistogramDeathTest, SubtractingMoreThanThereIsIsABug) {
  Histogram a, b;
  b.counts()[7] = 1;
  EXPECT_DEATH(a.subtract(b), "counts_");
  EXPECT_DEATH(a.merge(Histogram(65536)), "bins");
}

TEST(Histogram, BytesAreCanonical) {
  Histogram histogram;
  histogram.counts()[1] = 0x0102030405060708;
  const std::vector<std::byte> bytes = histogram.to_bytes();
  ASSERT_EQ(bytes.size(), 12u + 256 * 8);
  EXPECT_EQ(std::memcmp(bytes.data(), "HHST\1\0\0\0\0\1\0\0", 12), 0);
  const unsigned char expected[16] = {0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
  EXPECT_EQ(std::memcmp(bytes.data() + 12, expected, 16), 0);
}

TEST(Histogram, BytesComeBackTheSame) {
  for (const std::uint32_t bins : {256u, 65536u}) {
    const Histogram histogram = random_histogram(bins, 3);
    const auto back = Histogram::from_bytes(histogram.to_bytes());
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, histogram);
  }
}

TEST(Histogram, EveryTruncationIsAnError) {
  const std::vector<std::byte> bytes = random_histogram(256, 4).to_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto back = Histogram::from_bytes(std::span(bytes).first(size));
    ASSERT_FALSE(back) << size;
    EXPECT_EQ(back.error().code, Errc::truncated) << size;
  }
}

TEST(Histogram, HostileBytesAreErrors) {
  const std::vector<std::byte> good = random_histogram(256, 5).to_bytes();
  const auto code_after = [&](std::size_t at, unsigned char value) {
    std::vector<std::byte> bad = good;
    bad[at] = std::byte{value};
    const auto back = Histogram::from_bytes(bad);
    return back ? std::error_code() : back.error().code;
  };
  EXPECT_EQ(code_after(0, 'X'), Errc::corrupt);
  EXPECT_EQ(code_after(4, 2), Errc::unsupported_feature);
  EXPECT_EQ(code_after(8, 1), Errc::corrupt);
  EXPECT_EQ(code_after(11, 0xff), Errc::corrupt);
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  EXPECT_EQ(Histogram::from_bytes(longer).error().code, Errc::corrupt);
}

TEST(Histogram, ClaimOfManyBinsAllocatesNothing) {
  std::vector<std::byte> bytes = random_histogram(256, 6).to_bytes();
  bytes[9] = std::byte{0};
  bytes[10] = std::byte{1};
  const auto back = Histogram::from_bytes(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Errc::truncated);
  EXPECT_EQ(back.error().limit, 12u + 65536 * 8);
}

TEST(Histogram, CountsThatSumOverSixtyFourBitsAreAnError) {
  Histogram histogram;
  histogram.counts()[3] = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(Histogram::from_bytes(histogram.to_bytes()));
  histogram.counts()[200] = 1;
  EXPECT_EQ(Histogram::from_bytes(histogram.to_bytes()).error().code, Errc::corrupt);
}

}  // namespace
}  // namespace histod::compute
