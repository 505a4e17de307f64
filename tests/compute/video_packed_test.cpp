// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include <gtest/gtest.h>

#include "compute/kernels.hpp"
#include "compute/video/packed.hpp"
#include "tests/compute/video_support.hpp"
#include "tests/support/counted_malloc.hpp"
#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::test {
namespace {

using compute::Histogram;
using compute::Lut;
using compute::video::LumaCounter;
using compute::video::LumaMap;

Bytes bytes_of(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::vector<std::uint64_t> counted(const PackedForm& form, std::span<const std::byte> groups, const Extent& seen = {}) {
  LumaCounter counter(form);
  Histogram histogram(form.levels());
  const std::uint64_t pixels = counter.count(groups, seen);
  counter.fold_into(histogram);
  EXPECT_EQ(pixels, histogram.total());
  return values_of(histogram);
}

std::vector<std::uint32_t> bins_filled(const std::vector<std::uint64_t>& counts) {
  std::vector<std::uint32_t> bins;
  for (std::size_t i = 0; i < counts.size(); ++i) bins.insert(bins.end(), counts[i], static_cast<std::uint32_t>(i));
  return bins;
}

class EveryForm : public testing::TestWithParam<PackedForm> {
 protected:
  const PackedForm form_ = GetParam();
  std::mt19937_64 random_{7};
};
INSTANTIATE_TEST_SUITE_P(Forms, EveryForm, testing::ValuesIn(all_forms()),
                         form_name<testing::TestParamInfo<PackedForm>>);

/// The table of RFC 4175, 4.3: bytes of a pgroup, columns, lines.
TEST(PackedForm, HasThePgroupsOfTheRfc) {
  struct Line {
    Sampling sampling;
    unsigned depth, bytes, columns;
  };
  constexpr Line k_table[] = {
      {Sampling::rgb, 8, 3, 1},        {Sampling::rgb, 10, 15, 4},      {Sampling::rgb, 12, 9, 2},
      {Sampling::rgb, 16, 6, 1},       {Sampling::rgba, 8, 4, 1},       {Sampling::rgba, 10, 5, 1},
      {Sampling::rgba, 12, 6, 1},      {Sampling::rgba, 16, 8, 1},      {Sampling::ycbcr444, 8, 3, 1},
      {Sampling::ycbcr444, 10, 15, 4}, {Sampling::ycbcr444, 12, 9, 2},  {Sampling::ycbcr444, 16, 6, 1},
      {Sampling::ycbcr422, 8, 4, 2},   {Sampling::ycbcr422, 10, 5, 2},  {Sampling::ycbcr422, 12, 6, 2},
      {Sampling::ycbcr422, 16, 8, 2},  {Sampling::ycbcr420, 8, 6, 2},   {Sampling::ycbcr420, 10, 15, 4},
      {Sampling::ycbcr420, 12, 9, 2},  {Sampling::ycbcr420, 16, 12, 2}, {Sampling::bgr, 10, 15, 4},
      {Sampling::bgra, 12, 6, 1}};
  for (const auto& [sampling, depth, bytes, columns] : k_table) {
    const PackedForm form{sampling, static_cast<std::uint8_t>(depth)};
    EXPECT_TRUE(check(form));
    EXPECT_EQ(form.group_bytes(), bytes) << describe(form);
    EXPECT_EQ(form.group_columns(), columns) << describe(form);
    EXPECT_EQ(form.group_lines(), sampling == Sampling::ycbcr420 ? 2u : 1u);
    EXPECT_EQ(form.levels(), 1u << depth);
  }
}

TEST(PackedForm, RefusesOtherDepths) {
  for (const unsigned depth : {0u, 7u, 9u, 14u, 24u, 255u}) {
    const auto checked = check(PackedForm{Sampling::rgb, static_cast<std::uint8_t>(depth)});
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, compute::Errc::unsupported_feature);
    EXPECT_EQ(checked.error().value, depth);
  }
}

/// By hand, so that the oracle's mistakes would be seen.
TEST(LumaCounter, ReadsPgroupsThatWereWrittenByHand) {
  using Values = std::vector<std::uint32_t>;
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr422, 8}, bytes_of({1, 16, 2, 235}))), (Values{16, 235}));
  // 1000000000 1111111111 0000000001 1010101010
  const Bytes ten = bytes_of({0x80, 0x3f, 0xf0, 0x06, 0xaa});
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr422, 10}, ten)), (Values{0x2aa, 0x3ff}));
  const Bytes twelve = bytes_of({0xab, 0xc1, 0x23, 0xde, 0xf4, 0x56});
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr422, 12}, twelve)), (Values{0x123, 0x456}));
  const Bytes sixteen = bytes_of({9, 9, 0x12, 0x34, 9, 9, 0xff, 0xfe});
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr422, 16}, sixteen)), (Values{0x1234, 0xfffe}));
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr420, 8}, bytes_of({4, 3, 2, 1, 200, 201}))), (Values{1, 2, 3, 4}));
  EXPECT_EQ(bins_filled(counted({Sampling::ycbcr444, 8}, bytes_of({7, 8, 9}))), (Values{8}));
  EXPECT_EQ(bins_filled(counted({Sampling::rgb, 8}, bytes_of({255, 0, 0, 0, 255, 0, 0, 0, 255}))),
            (Values{29, 76, 150}));
  EXPECT_EQ(bins_filled(counted({Sampling::bgr, 8}, bytes_of({255, 0, 0}))), (Values{29}));
  EXPECT_EQ(bins_filled(counted({Sampling::rgba, 8}, bytes_of({5, 5, 5, 1, 6, 6, 6, 0}))), (Values{5}));
}

TEST_P(EveryForm, CountsEveryLengthAndAddress) {
  // 16-bit counts are large, and their loops are the plainest.
  std::vector<std::size_t> lengths(form_.depth_bits == 16 ? 6 : 40);
  std::iota(lengths.begin(), lengths.end(), 0);
  lengths.push_back(280);
  for (const std::size_t n : lengths) {
    for (std::size_t offset = n % 2; offset < 8; offset += 2) {
      Bytes groups = random_groups(form_, n, static_cast<unsigned>((n + offset) % 3), random_);
      const auto expected = naive_counts(form_, groups);
      // Exactly as much memory as there is: ASan sees whoever reads on.
      groups.insert(groups.begin(), offset, std::byte{0xa5});
      groups.shrink_to_fit();
      ASSERT_EQ(counted(form_, std::span(groups).subspan(offset)), expected) << n << " pgroups at " << offset;
    }
  }
}

TEST_P(EveryForm, AppliesEveryLengthAndAddress) {
  const Lut lut = random_lut(form_.levels(), random_);
  LumaMap map(form_);
  map.set(lut);
  EXPECT_EQ(map.lut(), lut);
  for (const std::size_t n : {0u, 1u, 2u, 3u, 5u, 6u, 7u, 8u, 12u, 13u, 14u, 15u, 16u, 17u, 19u, 31u, 32u, 33u, 280u}) {
    for (std::size_t offset = n % 2; offset < 8; offset += 2) {
      Bytes groups = random_groups(form_, n, static_cast<unsigned>((n + offset) % 3), random_);
      Bytes expected = naive_applied(form_, groups, lut);
      groups.insert(groups.begin(), offset, std::byte{0xa5});
      expected.insert(expected.begin(), offset, std::byte{0xa5});
      groups.shrink_to_fit();
      map.apply(std::span(groups).subspan(offset));
      ASSERT_EQ(groups, expected) << n << " pgroups at " << offset;
    }
  }
}

/// What is left of a pgroup at the end is not looked at.
TEST_P(EveryForm, LeavesUnfinishedPgroups) {
  const Lut lut = random_lut(form_.levels(), random_);
  LumaMap map(form_);
  map.set(lut);
  for (std::size_t cut = 1; cut < form_.group_bytes(); ++cut) {
    Bytes groups = random_groups(form_, 9, 0, random_);
    groups.resize(groups.size() - cut);
    groups.shrink_to_fit();
    const auto expected = naive_counts(form_, groups);
    ASSERT_EQ(std::accumulate(expected.begin(), expected.end(), std::uint64_t{0}) > 0, true);
    ASSERT_EQ(counted(form_, groups), expected) << cut;
    const Bytes applied = naive_applied(form_, groups, lut);
    map.apply(groups);
    ASSERT_EQ(groups, applied) << cut;
  }
}

/// The last pgroup of a line may be filled up, the last line of 4:2:0 have nothing below it.
TEST_P(EveryForm, LeavesOutWhatIsNotInThePicture) {
  const Lut lut = random_lut(form_.levels(), random_);
  LumaMap map(form_);
  map.set(lut);
  const std::uint32_t n = form_.depth_bits == 16 ? 2 : 6;
  const Bytes groups = random_groups(form_, n, 0, random_);
  for (std::uint32_t columns = 0; columns <= n * form_.group_columns() + 3; ++columns) {
    for (std::uint32_t lines = 0; lines <= 3; ++lines) {
      const Extent seen{columns, lines};
      ASSERT_EQ(counted(form_, groups, seen), naive_counts(form_, groups, seen)) << columns << "x" << lines;
      Bytes applied = groups;
      map.apply(applied, seen);
      ASSERT_EQ(applied, naive_applied(form_, groups, lut, seen)) << columns << "x" << lines;
    }
  }
}

TEST_P(EveryForm, SumsUpOverAllSplitsAndBeginsAnew) {
  const Bytes groups = random_groups(form_, 33, 2, random_);
  const auto expected = naive_counts(form_, groups);
  LumaCounter counter(form_);
  for (std::size_t split = 0; split <= 33; split += 3) {
    Histogram histogram(form_.levels());
    counter.count(std::span(groups).first(split * form_.group_bytes()));
    counter.count(std::span(groups).subspan(split * form_.group_bytes()));
    counter.fold_into(histogram);
    ASSERT_EQ(values_of(histogram), expected) << split;
  }
  Histogram histogram = histogram_with(expected);
  counter.count(groups);
  counter.fold_into(histogram);
  for (std::uint32_t i = 0; i < histogram.bins(); ++i) ASSERT_EQ(histogram[i], 2 * expected[i]);
}

/// The counts of the output are the input's counts moved by the table, where luma is a sample.
TEST_P(EveryForm, MovesCountsAndKeepsAllElse) {
  LumaMap map(form_);
  const Bytes groups = random_groups(form_, 40, 0, random_);
  Bytes applied = groups;
  map.apply(applied);
  ASSERT_EQ(applied, groups) << "the identity";
  if (form_.sampling >= Sampling::rgb) return;
  Lut lut = random_lut(form_.levels(), random_);
  map.set(lut);
  map.apply(applied);
  std::vector<std::uint64_t> moved(form_.levels());
  const auto before = naive_counts(form_, groups);
  for (std::size_t i = 0; i < before.size(); ++i) moved[lut[i]] += before[i];
  EXPECT_EQ(counted(form_, applied), moved);
}

/// More pixels of one value than 32 bits can count: half a second of flat video at 8 bits.
TEST(LumaCounter, CountsMoreThan32Bits) {
  const PackedForm form{Sampling::ycbcr422, 8};
  if (compute::available_kernels().size() == 1) GTEST_SKIP() << "takes too long without AVX2";
  if (HISTOD_OWN_MALLOC == 0) GTEST_SKIP() << "takes too long with a sanitizer";
  const Bytes groups(std::size_t{1} << 17, std::byte{77});
  LumaCounter counter(form);
  std::uint64_t pixels = 0;
  while (pixels <= std::uint64_t{1} << 32) pixels += counter.count(groups);
  Histogram histogram(256);
  counter.fold_into(histogram);
  EXPECT_EQ(histogram[77], pixels);
  EXPECT_EQ(histogram.total(), pixels);
}

/// Packed into pgroups and equalized there, an image is what color=luma makes of it.
TEST(LumaMap, EqualizesColorsAsImagesAre) {
  for (const unsigned depth : {8u, 16u}) {
    for (const bool alpha : {false, true}) {
      const auto format = rgb_format(depth, alpha ? 1 : 0, alpha);
      const PackedForm form{alpha ? Sampling::rgba : Sampling::rgb, static_cast<std::uint8_t>(depth)};
      const NaiveImage image = naive_image(format, 61, 23, Texture::narrow, form.levels(), 5 + depth);
      Bytes groups = pack_bits(image.samples(), depth);
      const auto lut = make_lut(compute::Rule::exact, histogram_with(counted(form, groups)), form.levels());
      ASSERT_TRUE(lut);
      LumaMap map(form);
      map.set(*lut);
      map.apply(groups);
      const NaiveImage expected = naive_equalize_luma(image, "exact", form.levels());
      EXPECT_EQ(unpack_bits(groups, depth), expected.samples()) << describe(form);
    }
  }
}

}  // namespace
}  // namespace histod::test
