// SPDX-License-Identifier: Apache-2.0
#include "compute/rule.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/naive_equalize.hpp"

namespace histod::compute {
namespace {

constexpr Rule k_rules[] = {Rule::opencv, Rule::exact, Rule::reference, Rule::pillow, Rule::vips};

Histogram histogram_of(const test::NaiveCounts& counts) {
  Histogram histogram(static_cast<std::uint32_t>(counts.size()));
  std::copy(counts.begin(), counts.end(), histogram.counts().begin());
  return histogram;
}

test::NaiveCounts random_counts(std::uint32_t bins, std::uint32_t levels, std::mt19937_64& random) {
  test::NaiveCounts counts(bins);
  const std::uint64_t holes = random() % 4;
  const std::uint64_t largest = 1 + random() % (1ull << (random() % 20));
  for (std::uint32_t i = 0; i < levels; ++i) counts[i] = random() % 4 < holes ? 0 : random() % (largest + 1);
  return counts;
}

Lut lut_of(Rule rule, const test::NaiveCounts& counts, std::uint32_t levels) {
  const auto lut = make_lut(rule, histogram_of(counts), levels);
  EXPECT_TRUE(lut) << lut.error().detail;
  return lut ? *lut : Lut();
}

void expect_naive(Rule rule, const test::NaiveCounts& counts, std::uint32_t levels) {
  const Lut lut = lut_of(rule, counts, levels);
  const test::NaiveLut expected = test::naive_lut(name(rule), counts, levels);
  ASSERT_EQ(std::vector<std::uint32_t>(lut.begin(), lut.end()), expected) << name(rule) << " levels " << levels;
}

TEST(Rule, NamesComeBack) {
  for (const Rule rule : k_rules) EXPECT_EQ(rule_from_name(name(rule)), rule);
  EXPECT_EQ(name(Rule::reference), "reference");
  EXPECT_FALSE(rule_from_name("OpenCV"));
  EXPECT_FALSE(rule_from_name(""));
}

TEST(Rule, EveryRuleIsItsDefinitionAt8Bit) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 600; ++i) {
    const test::NaiveCounts counts = random_counts(256, 256, random);
    for (const Rule rule : k_rules) expect_naive(rule, counts, 256);
  }
}

TEST(Rule, EveryRuleIsItsDefinitionWithFewerLevels) {
  std::mt19937_64 random(8);
  for (const std::uint32_t levels : {2u, 3u, 16u, 100u, 255u}) {
    for (int i = 0; i < 40; ++i) {
      const test::NaiveCounts counts = random_counts(256, levels, random);
      for (const Rule rule : k_rules) expect_naive(rule, counts, levels);
    }
  }
}

TEST(Rule, EveryRuleIsItsDefinitionAt16Bit) {
  std::mt19937_64 random(9);
  for (const std::uint32_t levels : {256u, 1000u, 4096u, 16384u, 65536u}) {
    for (int i = 0; i < 4; ++i) {
      const test::NaiveCounts counts = random_counts(65536, levels, random);
      for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::vips}) {
        expect_naive(rule, counts, levels);
      }
    }
  }
}

TEST(Rule, OneLevelIsWhatTheLibrariesGive) {
  for (const std::uint32_t level : {0u, 1u, 100u, 254u, 255u}) {
    test::NaiveCounts counts(256);
    counts[level] = 12345;
    EXPECT_EQ(lut_of(Rule::opencv, counts, 256)[level], level);
    EXPECT_EQ(lut_of(Rule::exact, counts, 256)[level], level);
    EXPECT_EQ(lut_of(Rule::pillow, counts, 256)[level], level);
    EXPECT_EQ(lut_of(Rule::reference, counts, 256)[level], 0);
    EXPECT_EQ(lut_of(Rule::vips, counts, 256)[level], 255);
    counts.resize(65536);
    EXPECT_EQ(lut_of(Rule::vips, counts, 65536)[level], level);
    EXPECT_EQ(lut_of(Rule::reference, counts, 65536)[level], 0);
    EXPECT_EQ(lut_of(Rule::opencv, counts, 65536)[level], level);
  }
}

TEST(Rule, NothingCountedIsTheIdentity) {
  for (const std::uint32_t bins : {256u, 65536u}) {
    for (const Rule rule : k_rules) {
      if (rule == Rule::pillow && bins != 256) continue;
      const Lut lut = lut_of(rule, test::NaiveCounts(bins), bins);
      ASSERT_EQ(lut.size(), bins);
      for (std::uint32_t i = 0; i < bins; ++i) ASSERT_EQ(lut[i], i) << name(rule);
    }
  }
}

TEST(Rule, TablesAreMonotoneAndWithinTheLevels) {
  std::mt19937_64 random(10);
  for (int i = 0; i < 200; ++i) {
    const std::uint32_t levels = 2 + static_cast<std::uint32_t>(random() % 255);
    const test::NaiveCounts counts = random_counts(256, levels, random);
    for (const Rule rule : k_rules) {
      const Lut lut = lut_of(rule, counts, levels);
      EXPECT_TRUE(std::is_sorted(lut.begin(), lut.begin() + levels)) << name(rule);
      EXPECT_LT(lut[levels - 1], levels) << name(rule);
      for (std::uint32_t v = levels; v < 256; ++v) ASSERT_EQ(lut[v], v) << name(rule);
    }
  }
}

TEST(Rule, ExactIsTheNearestInteger) {
  test::NaiveCounts counts(256);
  counts[10] = 100;
  counts[20] = 1;
  counts[30] = 1;
  const Lut lut = lut_of(Rule::exact, counts, 256);
  EXPECT_EQ(lut[10], 0);
  EXPECT_EQ(lut[20], 128);  // 127.5 rounds up
  EXPECT_EQ(lut[25], 128);
  EXPECT_EQ(lut[30], 255);
  EXPECT_EQ(lut_of(Rule::reference, counts, 256)[20], 127);
  EXPECT_EQ(lut_of(Rule::opencv, counts, 256)[20], 128);  // half to even
}

TEST(Rule, HugeCountsDoNotOverflow) {
  test::NaiveCounts counts(65536);
  counts[0] = 1;
  counts[1] = 1ull << 62;
  counts[2] = 1ull << 62;
  for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference}) {
    const Lut lut = lut_of(rule, counts, 65536);
    EXPECT_NEAR(lut[1], 32767.5, 0.5) << name(rule);
    EXPECT_EQ(lut[2], 65535) << name(rule);
  }
}

TEST(Rule, RefusesWhatDoesNotFit) {
  Histogram wide(65536);
  wide.counts()[300] = 1;
  EXPECT_EQ(make_lut(Rule::pillow, wide, 65536).error().code, Errc::bad_option);
  const auto outside = make_lut(Rule::exact, wide, 300);
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, Errc::sample_out_of_range);
  EXPECT_EQ(outside.error().value, 300u);
  EXPECT_EQ(outside.error().limit, 300u);
  EXPECT_TRUE(make_lut(Rule::exact, wide, 301));
  for (const std::uint32_t levels : {0u, 1u, 257u}) {
    EXPECT_EQ(make_lut(Rule::opencv, Histogram(256), levels).error().code, Errc::bad_option) << levels;
  }
}

TEST(Rule, CanonicalBytes) {
  Lut narrow(256);
  narrow[1] = 0xab;
  EXPECT_EQ(canonical_bytes(narrow).size(), 256u);
  EXPECT_EQ(canonical_bytes(narrow)[1], std::byte{0xab});
  Lut wide(65536);
  wide[1] = 0xabcd;
  const std::vector<std::byte> bytes = canonical_bytes(wide);
  ASSERT_EQ(bytes.size(), 131072u);
  EXPECT_EQ(bytes[2], std::byte{0xcd});
  EXPECT_EQ(bytes[3], std::byte{0xab});
}

}  // namespace
}  // namespace histod::compute
