// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::equalize_page;
using test::NaiveImage;
using test::NaiveSelection;
using test::random_mask;
using test::Texture;

std::error_code code_of(EqualizePage page, const EqualizeOptions& options) {
  const auto report = equalize(std::span(&page, 1), options, test::shared_arena());
  return report ? std::error_code() : report.error().code;
}

std::uint64_t count_left_out(const NaiveImage& image, const NaiveSelection& selection) {
  std::uint64_t out = 0;
  for (std::uint32_t y = 0; y < image.height(); ++y) {
    for (std::uint32_t x = 0; x < image.width(); ++x) out += !naive_keeps(image, selection, x, y);
  }
  return out;
}

/// Mask, nodata and alpha together, for each colour mode that naive code has.
TEST(Selection, WhatIsLeftOutIsNotCountedAndNotChanged) {
  std::uint64_t seed = 0;
  for (const unsigned depth : {8u, 16u}) {
    for (const Texture texture : {Texture::narrow, Texture::sparse, Texture::two_level}) {
      for (const Color color : {Color::luma, Color::channels, Color::gray}) {
        NaiveImage image = naive_image(test::rgb_format(depth, 2, true), 131, 67, texture, 1u << depth, ++seed, 4);
        const double nodata = image.get(5, 5, 0);
        for (unsigned c = 0; c < 3; ++c) {
          for (std::uint32_t x = 0; x < 131; x += 3) image.set(x, x % 67, c, static_cast<std::uint32_t>(nodata));
        }
        const NaiveSelection selection{random_mask(image, seed), nodata};
        const auto naive = color == Color::luma       ? test::naive_equalize_luma
                           : color == Color::channels ? test::naive_equalize_channels
                                                      : test::naive_equalize_gray;
        const NaiveImage expected = naive(image, "exact", 1u << depth, selection);
        const std::uint64_t left_out = count_left_out(image, selection);
        EqualizePage page{.image = image.view(), .nodata = nodata, .mask = std::as_bytes(std::span(selection.mask))};
        const EqualizeReport report = equalize_page(page, {.rule = Rule::exact, .color = color});
        ASSERT_EQ(test::samples_of(page.image), expected.samples()) << name(color) << depth;
        EXPECT_EQ(report.planes[0].masked, left_out);
        EXPECT_EQ(report.planes[0].counted + left_out, 131u * 67u);
        EXPECT_EQ(report.planes[0].before.total(), report.planes[0].counted);
      }
    }
  }
}

TEST(Selection, ConversionsLeaveWhatIsLeftOutAlone) {
  for (const unsigned depth : {8u, 16u}) {
    for (const Color color : {Color::ycrcb, Color::lab}) {
      NaiveImage image = naive_image(test::rgb_format(depth, 1, true), 131, 67, Texture::narrow, 1u << depth, 9);
      const NaiveImage before = image;
      const NaiveSelection selection{random_mask(image, 9), std::nullopt};
      EqualizePage page{.image = image.view(), .mask = std::as_bytes(std::span(selection.mask))};
      equalize_page(page, {.color = color});
      std::size_t changed = 0;
      for (std::uint32_t y = 0; y < 67; ++y) {
        for (std::uint32_t x = 0; x < 131; ++x) {
          ASSERT_EQ(image.get(x, y, 3), before.get(x, y, 3));
          for (unsigned c = 0; c < 3; ++c) {
            const bool same = image.get(x, y, c) == before.get(x, y, c);
            ASSERT_TRUE(same || naive_keeps(before, selection, x, y)) << x << "," << y;
            changed += !same;
          }
        }
      }
      EXPECT_GT(changed, 1000u);
    }
  }
}

TEST(Selection, EverythingLeftOutChangesNothing) {
  for (const Method method : {Method::global, Method::clahe}) {
    NaiveImage image = naive_image(test::gray_format(8), 40, 30, Texture::uniform, 256, 12);
    const std::vector<std::uint32_t> before = image.samples();
    const std::vector<std::byte> mask(1200);
    EqualizePage page{.image = image.view(), .mask = mask};
    const EqualizeReport report = equalize_page(page, {.method = method});
    EXPECT_EQ(image.samples(), before);
    EXPECT_EQ(report.planes[0].counted, 0u);
    EXPECT_EQ(report.planes[0].masked, 1200u);
    EXPECT_EQ(report.planes[0].first_count, 0u);
  }
}

TEST(Selection, NodataThatNoSampleCanHaveLeavesNothingOut) {
  NaiveImage image = naive_image(test::gray_format(8), 40, 30, Texture::uniform, 256, 13);
  for (const double nodata :
       {-9999.0, 256.0, 1e300, 17.5, std::nan(""), -0.5, std::numeric_limits<double>::infinity()}) {
    NaiveImage copy = image;
    EqualizePage page{.image = copy.view(), .nodata = nodata};
    EXPECT_EQ(equalize_page(page, {}).planes[0].masked, 0u) << nodata;
  }
}

TEST(Selection, CollisionsWithNodataAreCounted) {
  // The darkest counted value goes to 0, which is nodata.
  NaiveImage image(test::gray_format(8), 10, 10);
  for (std::uint32_t i = 0; i < 100; ++i) image.set(i % 10, i / 10, 0, i < 20 ? 0 : i < 50 ? 90 : 100 + i);
  for (const Method method : {Method::global, Method::clahe}) {
    NaiveImage copy = image;
    EqualizePage page{.image = copy.view(), .nodata = 0};
    const EqualizeReport report = equalize_page(page, {.method = method, .tiles_x = 1, .tiles_y = 1});
    const std::vector<std::uint32_t> after = copy.samples();
    EXPECT_EQ(report.planes[0].masked, 20u);
    EXPECT_EQ(report.planes[0].nodata_collisions,
              static_cast<std::uint64_t>(std::count(after.begin(), after.end(), 0)) - 20);
    EXPECT_EQ(report.planes[0].nodata_collisions, method == Method::global ? 30u : 0u);
  }
}

TEST(Selection, CollisionsOfColorsNeedAllThree) {
  for (const Color color : {Color::luma, Color::ycrcb, Color::lab}) {
    NaiveImage image = naive_image(test::rgb_format(8), 60, 60, Texture::narrow, 256, 14);
    for (std::uint32_t x = 0; x < 60; ++x) {
      for (unsigned c = 0; c < 3; ++c) image.set(x, 0, c, 10);
      for (unsigned c = 0; c < 3; ++c) image.set(x, 1, c, 0);
    }
    EqualizePage page{.image = image.view(), .nodata = 0};
    const EqualizeReport report = equalize_page(page, {.color = color});
    std::uint64_t black = 0;
    for (std::uint32_t y = 0; y < 60; ++y) {
      for (std::uint32_t x = 0; x < 60; ++x) {
        black += image.get(x, y, 0) == 0 && image.get(x, y, 1) == 0 && image.get(x, y, 2) == 0;
      }
    }
    EXPECT_EQ(report.planes[0].masked, 60u);
    EXPECT_EQ(report.planes[0].nodata_collisions, black - 60) << name(color);
    EXPECT_GE(report.planes[0].nodata_collisions, 60u);
  }
}

TEST(Selection, AMaskOfAnotherSizeIsRefused) {
  NaiveImage image = naive_image(test::gray_format(8), 40, 30, Texture::uniform, 256, 15);
  const std::vector<std::byte> mask(1199, std::byte{1});
  EXPECT_EQ(code_of({.image = image.view(), .mask = mask}, {}), Errc::bad_option);
}

TEST(Range, AutomaticIsThePowerOfTwoAboveTheLargestSample) {
  for (const auto& [levels, expected] :
       {std::pair{4096u, 4096u}, {4097u, 8192u}, {3000u, 4096u}, {2u, 2u}, {65536u, 65536u}}) {
    NaiveImage image = naive_image(test::gray_format(16), 50, 50, Texture::uniform, levels, 16);
    image.set(3, 3, 0, levels - 1);
    const NaiveImage naive = naive_equalize_channels(image, "exact", expected);
    EqualizePage page{.image = image.view()};
    const EqualizeReport report = equalize_page(page, {.rule = Rule::exact, .range = RangeMode::automatic});
    EXPECT_EQ(report.planes[0].levels, expected) << levels;
    EXPECT_EQ(image.samples(), naive.samples()) << levels;
  }
}

TEST(Range, AutomaticNeverLeavesWhatTheFileDeclares) {
  NaiveImage image = naive_image(test::gray_format(16), 50, 50, Texture::uniform, 900, 17);
  EqualizePage page{.image = image.view(), .levels = 1000};
  EXPECT_EQ(equalize_page(page, {.range = RangeMode::automatic}).planes[0].levels, 1000u);
}

TEST(Range, AllBlackHasTwoLevels) {
  NaiveImage image = naive_image(test::gray_format(16), 5, 5, Texture::constant, 2, 18);
  EqualizePage page{.image = image.view()};
  EXPECT_EQ(equalize_page(page, {.range = RangeMode::automatic}).planes[0].levels, 2u);
}

TEST(Range, DeclaredLevelsAreTheWholeRange) {
  NaiveImage image = naive_image(test::rgb_format(16), 50, 50, Texture::narrow, 1024, 19);
  const NaiveImage expected = naive_equalize_luma(image, "opencv", 1024);
  EqualizePage page{.image = image.view(), .levels = 1024};
  EXPECT_EQ(equalize_page(page, {}).planes[0].levels, 1024u);
  EXPECT_EQ(image.samples(), expected.samples());
}

TEST(Range, FixedRefusesASampleAtOrAboveIt) {
  for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::channels, Color::gray}) {
    NaiveImage image = naive_image(test::rgb_format(16), 50, 50, Texture::narrow, 4096, 20);
    // The blue sample alone is out of range: the luma is not.
    image.set(49, 49, 2, 4096);
    const std::vector<std::uint32_t> before = image.samples();
    const EqualizeOptions options{.color = color, .range = RangeMode::fixed, .range_levels = 4096};
    EqualizePage page{.image = image.view()};
    const auto report = equalize(std::span(&page, 1), options, test::shared_arena());
    ASSERT_FALSE(report) << name(color);
    EXPECT_EQ(report.error().code, Errc::sample_out_of_range);
    EXPECT_EQ(report.error().value, 4096u);
    EXPECT_EQ(report.error().limit, 4096u);
    EXPECT_EQ(image.samples(), before);
    image.set(49, 49, 2, 4095);
    EXPECT_EQ(code_of({.image = image.view()}, options), std::error_code());
  }
}

TEST(Range, LeftOutSamplesMayBeAboveIt) {
  NaiveImage image = naive_image(test::rgb_format(16), 50, 50, Texture::narrow, 4096, 21);
  for (unsigned c = 0; c < 3; ++c) image.set(7, 7, c, 65535);
  const EqualizeOptions options{.range = RangeMode::fixed, .range_levels = 4096};
  EqualizePage page{.image = image.view(), .nodata = 65535};
  EXPECT_EQ(equalize_page(page, options).planes[0].masked, 1u);
  for (unsigned c = 0; c < 3; ++c) EXPECT_EQ(image.get(7, 7, c), 65535u);
}

TEST(Range, OutOfBoundsIsRefused) {
  NaiveImage image = naive_image(test::gray_format(8), 5, 5, Texture::constant, 16, 22);
  const auto code = [&](std::uint32_t range, std::uint32_t declared) {
    return code_of({.image = image.view(), .levels = declared}, {.range = RangeMode::fixed, .range_levels = range});
  };
  EXPECT_EQ(code(0, 0), Errc::bad_option);
  EXPECT_EQ(code(1, 0), Errc::bad_option);
  EXPECT_EQ(code(257, 0), Errc::bad_option);
  EXPECT_EQ(code(65537, 0), Errc::bad_option);
  EXPECT_EQ(code(101, 100), Errc::bad_option);
  EXPECT_EQ(code(100, 100), std::error_code());
  EXPECT_EQ(code_of({.image = image.view(), .levels = 300}, {}), Errc::bad_option);
  EXPECT_EQ(code_of({.image = image.view(), .levels = 3}, {}), Errc::sample_out_of_range);
}

TEST(Options, PillowIsFor8Bit) {
  NaiveImage image = naive_image(test::gray_format(16), 5, 5, Texture::constant, 16, 23);
  EXPECT_EQ(code_of({.image = image.view()}, {.rule = Rule::pillow}), Errc::bad_option);
}

TEST(Options, BandsTakeOnlyChannels) {
  const PixelFormat format{.colors = 5, .extras = 0, .alpha = false, .depth_bits = 8};
  NaiveImage image = naive_image(format, 5, 5, Texture::uniform, 256, 24);
  for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::gray}) {
    EXPECT_EQ(code_of({.image = image.view()}, {.color = color}), Errc::bad_option) << name(color);
  }
  EXPECT_EQ(code_of({.image = image.view()}, {.color = Color::channels}), std::error_code());
}

}  // namespace
}  // namespace histod::compute
