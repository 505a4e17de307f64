// SPDX-License-Identifier: Apache-2.0
#include "compute/kernels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

namespace histod::compute {
namespace {

constexpr std::size_t k_lengths[] = {0, 1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 1000, 4099};
constexpr std::size_t k_offsets[] = {0, 1, 3, 5, 17};
constexpr LumaWeights k_weights[] = {k_luma_ycrcb, k_luma_gray, k_luma_pillow};

/// One body for every table that this CPU can run.
class EveryIsa : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels_ = *GetParam();
  std::mt19937_64 random_{42};

  template <class T>
  std::vector<T> random_samples(std::size_t n, unsigned kind) {
    std::vector<T> samples(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto wide = static_cast<T>(random_());
      samples[i] = kind == 0 ? wide : kind == 1 ? T{77} : static_cast<T>(i / 40 + (random_() % 90 == 0));
    }
    return samples;
  }
};
INSTANTIATE_TEST_SUITE_P(Isas, EveryIsa, testing::ValuesIn(available_kernels().begin(), available_kernels().end()),
                         [](const auto& param) { return std::string(param.param->isa); });

TEST_P(EveryIsa, CountsU8) {
  for (const std::size_t n : k_lengths) {
    for (const std::size_t offset : k_offsets) {
      const auto samples = random_samples<std::uint8_t>(n + offset, static_cast<unsigned>((n + offset) % 3));
      std::vector<std::uint32_t> tables(k_count_tables_u8), expected(256);
      kernels_.count_u8(samples.data() + offset, n, tables.data());
      for (std::size_t i = 0; i < n; ++i) ++expected[samples[offset + i]];
      for (std::size_t i = 256; i < tables.size(); ++i) tables[i % 256] += tables[i];
      tables.resize(256);
      ASSERT_EQ(tables, expected) << n << " " << offset;
    }
  }
}

TEST_P(EveryIsa, CountsPairsU8) {
  for (const std::size_t length : k_lengths) {
    const std::size_t n = length & ~std::size_t{1};
    for (const std::size_t offset : k_offsets) {
      const auto samples = random_samples<std::uint8_t>(n + offset, static_cast<unsigned>((n / 2 + offset) % 3));
      std::vector<std::uint32_t> table(k_count_pairs_u8, 1), expected(k_count_pairs_u8, 1);
      kernels_.count_pairs_u8(samples.data() + offset, n, table.data());
      for (std::size_t i = 0; i < n; i += 2) ++expected[samples[offset + i] + 256u * samples[offset + i + 1]];
      ASSERT_EQ(table, expected) << n << " " << offset;
    }
  }
}

/// Blocks whose streams agree and others, whole ones and what is left behind them.
TEST_P(EveryIsa, CountsPairsOfManyBlocks) {
  for (const std::size_t n : {k_pair_block - 2, k_pair_block, k_pair_block + 2, 5 * k_pair_block + 1234}) {
    auto samples = random_samples<std::uint8_t>(n, 2);
    const std::size_t apart = k_pair_block / k_pair_streams;
    for (std::size_t agreeing = 0; agreeing <= k_pair_streams; ++agreeing) {
      std::vector<std::uint32_t> table(k_count_pairs_u8), expected(k_count_pairs_u8);
      kernels_.count_pairs_u8(samples.data(), n, table.data());
      for (std::size_t i = 0; i < n; i += 2) ++expected[samples[i] + 256u * samples[i + 1]];
      ASSERT_EQ(table, expected) << n << " " << agreeing;
      for (std::size_t i = agreeing * apart; i < std::min(n, (agreeing + 1) * apart); ++i) samples[i] = 255;
    }
  }
}

/// Noise, one color, and runs of a color.
TEST_P(EveryIsa, CountsRgbU8) {
  for (const std::size_t n : k_lengths) {
    for (const unsigned kind : {0u, 1u, 2u}) {
      std::vector<std::uint8_t> pixels = random_samples<std::uint8_t>(3 * n, kind);
      for (std::size_t i = 3; kind == 2 && i < 3 * n; ++i) {
        if (i / 3 % 21 != 0) pixels[i] = pixels[i - 3];
      }
      std::array<std::vector<std::uint32_t>, 3> tables, expected;
      std::array<std::uint32_t*, 3> at;
      for (std::size_t channel = 0; channel < 3; ++channel) {
        tables[channel].resize(k_count_tables_u8);
        expected[channel].resize(256);
        at[channel] = tables[channel].data();
        for (std::size_t i = 0; i < n; ++i) ++expected[channel][pixels[3 * i + channel]];
      }
      kernels_.count_rgb_u8(pixels.data(), n, at.data());
      for (std::size_t channel = 0; channel < 3; ++channel) {
        for (std::size_t i = 256; i < k_count_tables_u8; ++i) tables[channel][i % 256] += tables[channel][i];
        tables[channel].resize(256);
        ASSERT_EQ(tables[channel], expected[channel]) << n << " " << kind << " " << channel;
      }
    }
  }
}

TEST_P(EveryIsa, CountsMixedU8) {
  for (const std::size_t n : k_lengths) {
    for (const std::size_t offset : k_offsets) {
      const auto samples = random_samples<std::uint8_t>(n + offset, static_cast<unsigned>((n + offset) % 3));
      std::vector<std::uint32_t> tables(k_count_tables_u8), pairs(k_count_pairs_u8);
      kernels_.count_mixed_u8(samples.data() + offset, n, tables.data(), pairs.data());
      EXPECT_EQ(std::accumulate(pairs.begin(), pairs.end(), std::size_t{0}) % 2, 0u);
      std::vector<std::uint32_t> sum(256), expected(256);
      for (std::size_t i = 0; i < tables.size(); ++i) sum[i % 256] += tables[i];
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        sum[i % 256] += pairs[i];
        sum[i / 256] += pairs[i];
      }
      for (std::size_t i = 0; i < n; ++i) ++expected[samples[offset + i]];
      ASSERT_EQ(sum, expected) << n << " " << offset;
    }
  }
}

TEST_P(EveryIsa, CountsU16) {
  for (const std::size_t n : k_lengths) {
    for (const std::size_t offset : k_offsets) {
      const auto samples = random_samples<std::uint16_t>(n + offset, static_cast<unsigned>((n + offset) % 3));
      std::vector<std::uint32_t> table(k_count_tables_u16), expected(65536);
      kernels_.count_u16(samples.data() + offset, n, table.data());
      for (std::size_t i = 0; i < n; ++i) ++expected[samples[offset + i]];
      ASSERT_EQ(table, expected) << n << " " << offset;
    }
  }
}

TEST_P(EveryIsa, CountsAddToWhatTheTableHolds) {
  const std::vector<std::uint8_t> samples(100, 9);
  std::vector<std::uint32_t> tables(k_count_tables_u8, 1);
  kernels_.count_u8(samples.data(), samples.size(), tables.data());
  EXPECT_EQ(std::accumulate(tables.begin(), tables.end(), 0u), 1024u + 100u);
}

TEST_P(EveryIsa, AppliesU8WithEveryIndexAndInPlace) {
  std::vector<std::uint8_t> lut(256);
  for (auto& entry : lut) entry = static_cast<std::uint8_t>(random_());
  for (const std::size_t n : k_lengths) {
    for (const std::size_t offset : k_offsets) {
      auto samples = random_samples<std::uint8_t>(n + offset + 1, 0);
      if (n >= 256) std::iota(samples.begin(), samples.begin() + 256, std::uint8_t{0});
      std::vector<std::uint8_t> expected = samples;
      for (std::size_t i = 0; i < n; ++i) expected[offset + i] = lut[samples[offset + i]];
      std::vector<std::uint8_t> out = samples;
      kernels_.apply_u8(samples.data() + offset, out.data() + offset, n, lut.data());
      ASSERT_EQ(out, expected) << n << " " << offset;
      kernels_.apply_u8(samples.data() + offset, samples.data() + offset, n, lut.data());
      ASSERT_EQ(samples, expected) << "in place " << n << " " << offset;
    }
  }
}

TEST_P(EveryIsa, AppliesU16) {
  std::vector<std::uint16_t> lut(65536);
  for (auto& entry : lut) entry = static_cast<std::uint16_t>(random_());
  for (const std::size_t n : k_lengths) {
    auto samples = random_samples<std::uint16_t>(n + 2, 0);
    std::vector<std::uint16_t> expected = samples, out = samples;
    for (std::size_t i = 0; i < n; ++i) expected[1 + i] = lut[samples[1 + i]];
    kernels_.apply_u16(samples.data() + 1, out.data() + 1, n, lut.data());
    ASSERT_EQ(out, expected) << n;
    kernels_.apply_u16(samples.data() + 1, samples.data() + 1, n, lut.data());
    ASSERT_EQ(samples, expected) << "in place " << n;
  }
}

template <class T, class Pick, class Split, class Join>
void pick_split_and_join(Pick pick, Split split, Join join, std::span<const T> random) {
  for (const std::size_t n : k_lengths) {
    for (const std::size_t step : {2uz, 3uz, 4uz, 5uz, 7uz}) {
      // Exactly as much memory as there are pixels: what is read or written beyond is seen by ASan.
      const std::vector<T> pixels(random.begin(), random.begin() + static_cast<std::ptrdiff_t>(n * step));
      std::vector<std::vector<T>> expected(step, std::vector<T>(n)), apart = expected;
      std::vector<T*> out;
      std::vector<const T*> in;
      for (std::size_t channel = 0; channel < step; ++channel) {
        for (std::size_t i = 0; i < n; ++i) expected[channel][i] = pixels[i * step + channel];
        std::vector<T> picked(n);
        pick(pixels.data(), step, channel, n, picked.data());
        ASSERT_EQ(picked, expected[channel]) << n << " pixels of " << step << ", channel " << channel;
        out.push_back(apart[channel].data());
        in.push_back(expected[channel].data());
      }
      split(pixels.data(), step, n, out.data());
      ASSERT_EQ(apart, expected) << n << " pixels of " << step;
      std::vector<T> joined(n * step, T{9});
      join(in.data(), step, n, joined.data());
      ASSERT_EQ(joined, pixels) << n << " pixels of " << step;
    }
  }
}

TEST_P(EveryIsa, PicksChannelsSplitsAndJoinsThem) {
  pick_split_and_join<std::uint8_t>(kernels_.pick_u8, kernels_.split_u8, kernels_.join_u8,
                                    random_samples<std::uint8_t>(40'000, 0));
  pick_split_and_join<std::uint16_t>(kernels_.pick_u16, kernels_.split_u16, kernels_.join_u16,
                                     random_samples<std::uint16_t>(40'000, 0));
}

TEST_P(EveryIsa, BlendsU8) {
  std::vector<std::uint32_t> tables(256);
  for (auto& entry : tables) entry = static_cast<std::uint32_t>(random_());
  tables[77] = 0xffffffff;
  for (const std::size_t n : k_lengths) {
    auto samples = random_samples<std::uint8_t>(n + 1, static_cast<unsigned>(n % 2));
    std::vector<float> right(n);
    for (auto& weight : right) weight = static_cast<float>(random_() % 1025) / 1024.0f;
    for (const float below : {0.0f, 0.3f, 0.5f, 1.0f}) {
      std::vector<std::uint8_t> expected(samples);
      for (std::size_t i = 0; i < n; ++i) {
        float corner[4];
        for (unsigned c = 0; c < 4; ++c) corner[c] = static_cast<float>((tables[samples[i]] >> (8 * c)) & 0xff);
        const float over = corner[0] * (1.0f - right[i]) + corner[1] * right[i];
        const float under = corner[2] * (1.0f - right[i]) + corner[3] * right[i];
        expected[i] = static_cast<std::uint8_t>(std::lrintf(over * (1.0f - below) + under * below));
      }
      std::vector<std::uint8_t> out(samples);
      kernels_.blend_u8(out.data(), out.data(), n, tables.data(), right.data(), below);
      ASSERT_EQ(out, expected) << n << " " << below;
    }
  }
}

TEST_P(EveryIsa, BlendsU16) {
  std::vector<std::uint64_t> tables(65536);
  for (auto& entry : tables) entry = random_();
  tables[77] = ~std::uint64_t{0};
  for (const std::size_t n : k_lengths) {
    auto samples = random_samples<std::uint16_t>(n + 1, static_cast<unsigned>(n % 2));
    std::vector<float> right(n);
    for (auto& weight : right) weight = static_cast<float>(random_() % 1025) / 1024.0f;
    for (const float below : {0.0f, 0.3f, 0.5f, 0.7f, 1.0f}) {
      std::vector<std::uint16_t> expected(samples);
      for (std::size_t i = 0; i < n; ++i) {
        float corner[4];
        for (unsigned c = 0; c < 4; ++c) corner[c] = static_cast<float>((tables[samples[i]] >> (16 * c)) & 0xffff);
        const float over = corner[0] * (1.0f - right[i]) + corner[1] * right[i];
        const float under = corner[2] * (1.0f - right[i]) + corner[3] * right[i];
        expected[i] = static_cast<std::uint16_t>(std::min(65535l, std::lrintf(over * (1.0f - below) + under * below)));
      }
      std::vector<std::uint16_t> out(samples);
      kernels_.blend_u16(out.data(), out.data(), n, tables.data(), right.data(), below);
      ASSERT_EQ(out, expected) << n << " " << below;
    }
  }
}

template <class T, class Luma>
void expect_luma(const Luma& luma, const std::vector<T>& pixels, std::size_t step, std::size_t n,
                 const LumaWeights& w) {
  std::vector<T> out(n + 1, T{123});
  luma(pixels.data(), step, n, w, out.data());
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t sum = std::uint64_t{w.r} * pixels[step * i] + std::uint64_t{w.g} * pixels[step * i + 1] +
                              std::uint64_t{w.b} * pixels[step * i + 2];
    ASSERT_EQ(out[i], (sum + (1ull << (w.shift - 1))) >> w.shift) << i << " of " << n << " step " << step;
  }
  ASSERT_EQ(out[n], T{123});
}

TEST_P(EveryIsa, SumsColors) {
  for (const LumaWeights& weights : k_weights) {
    for (const std::size_t n : k_lengths) {
      for (const std::size_t step : {3u, 4u, 5u}) {
        // Exactly as long as the pixels are: a sanitizer sees whoever reads on.
        expect_luma(kernels_.luma_u8, random_samples<std::uint8_t>(n * step, 0), step, n, weights);
        expect_luma(kernels_.luma_u16, random_samples<std::uint16_t>(n * step, 0), step, n, weights);
      }
    }
  }
}

TEST_P(EveryIsa, GrayColorsKeepTheirValue) {
  for (const LumaWeights& weights : k_weights) {
    EXPECT_EQ(weights.r + weights.g + weights.b, 1u << weights.shift);
    for (std::uint32_t value = 0; value < 65536; ++value) {
      const std::vector<std::uint16_t> pixel(3, static_cast<std::uint16_t>(value));
      std::uint16_t luma = 0;
      kernels_.luma_u16(pixel.data(), 3, 1, weights, &luma);
      ASSERT_EQ(luma, value);
    }
  }
}

template <class T, class Shift>
void expect_shift(const Shift& shift, std::vector<T> pixels, std::size_t step, const std::vector<T>& from,
                  const std::vector<T>& to, T top) {
  std::vector<T> expected = pixels;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const int moved = expected[i * step + c] + to[i] - from[i];
      expected[i * step + c] = static_cast<T>(std::clamp(moved, 0, int{top}));
    }
  }
  shift(pixels.data(), step, from.size(), from.data(), to.data(), top);
  ASSERT_EQ(pixels, expected) << from.size() << " step " << step;
}

TEST_P(EveryIsa, ShiftsColorsWithSaturation) {
  for (const std::size_t n : k_lengths) {
    for (const std::size_t step : {3u, 4u}) {
      expect_shift<std::uint8_t>(kernels_.shift_u8, random_samples<std::uint8_t>(n * step, 0), step,
                                 random_samples<std::uint8_t>(n, 0), random_samples<std::uint8_t>(n, 0),
                                 n % 2 == 0 ? 255 : 200);
      expect_shift<std::uint16_t>(kernels_.shift_u16, random_samples<std::uint16_t>(n * step, 0), step,
                                  random_samples<std::uint16_t>(n, 0), random_samples<std::uint16_t>(n, 0),
                                  n % 2 == 0 ? 65535 : 4095);
    }
  }
}

TEST_P(EveryIsa, Compacts) {
  for (const std::size_t n : k_lengths) {
    const auto narrow = random_samples<std::uint8_t>(n, 0);
    const auto wide = random_samples<std::uint16_t>(n, 0);
    std::vector<std::uint8_t> keep(n), narrow_out(n), narrow_expected;
    std::vector<std::uint16_t> wide_out(n), wide_expected;
    for (std::size_t i = 0; i < n; ++i) {
      keep[i] = random_() % 3 == 0;
      if (keep[i] == 0) continue;
      narrow_expected.push_back(narrow[i]);
      wide_expected.push_back(wide[i]);
    }
    narrow_out.resize(kernels_.compact_u8(narrow.data(), keep.data(), n, narrow_out.data()));
    wide_out.resize(kernels_.compact_u16(wide.data(), keep.data(), n, wide_out.data()));
    ASSERT_EQ(narrow_out, narrow_expected);
    ASSERT_EQ(wide_out, wide_expected);
  }
}

TEST(SelectKernels, ForcesByNameAndRefusesNonsense) {
  for (const Kernels* table : available_kernels()) {
    const auto chosen = select_kernels(table->isa);
    ASSERT_TRUE(chosen);
    EXPECT_EQ(*chosen, table);
  }
  EXPECT_EQ(select_kernels("scalar").value()->isa, "scalar");
  EXPECT_EQ(select_kernels("").value(), available_kernels().back());
  const auto nonsense = select_kernels("avx9000");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().code, Errc::bad_option);
  EXPECT_FALSE(select_kernels("AVX2"));
}

TEST(SelectKernels, SetHoldsForTheProcess) {
  const Kernels& before = kernels();
  EXPECT_EQ(&before, available_kernels().back());
  set_kernels(scalar_kernels());
  EXPECT_EQ(&kernels(), &scalar_kernels());
  set_kernels(before);
}

}  // namespace
}  // namespace histod::compute
