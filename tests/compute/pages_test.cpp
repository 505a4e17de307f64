// SPDX-License-Identifier: Apache-2.0
#include <list>

#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::NaiveImage;
using test::Texture;

/// Images that stay where they are, and pages that point to them.
struct Stack {
  std::list<NaiveImage> images;
  std::vector<EqualizePage> pages;

  NaiveImage& add(NaiveImage image) {
    images.push_back(std::move(image));
    pages.push_back({.image = images.back().view()});
    return images.back();
  }
  Result<EqualizeReport> run(const EqualizeOptions& options) { return equalize(pages, options, test::shared_arena()); }
};

Stack three_pages(unsigned depth) {
  Stack stack;
  for (const auto& [width, height, texture] :
       {std::tuple{60u, 40u, Texture::narrow}, {31u, 90u, Texture::gradient}, {8u, 8u, Texture::sparse}}) {
    stack.add(naive_image(test::gray_format(depth), width, height, texture, 1u << depth, width, 2));
  }
  return stack;
}

TEST(Pages, EachByItsOwnTable) {
  for (const unsigned depth : {8u, 16u}) {
    Stack stack = three_pages(depth);
    std::vector<std::vector<std::uint32_t>> expected;
    for (const NaiveImage& image : stack.images) {
      expected.push_back(naive_equalize_channels(image, "opencv", 1u << depth).samples());
    }
    const auto report = stack.run({.pages = PagesMode::each});
    ASSERT_TRUE(report);
    ASSERT_EQ(report->planes.size(), 3u);
    std::size_t i = 0;
    for (const NaiveImage& image : stack.images) {
      EXPECT_EQ(report->planes[i].page, i);
      EXPECT_EQ(image.samples(), expected[i++]);
    }
  }
}

TEST(Pages, AStackHasOneTableOfAllCounts) {
  for (const unsigned depth : {8u, 16u}) {
    Stack stack = three_pages(depth);
    test::NaiveCounts sum(1u << depth);
    for (const NaiveImage& image : stack.images) {
      const test::NaiveCounts counts = naive_count(image, test::naive_channel(0));
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
    }
    const test::NaiveLut lut = test::naive_lut("exact", sum, 1u << depth);
    std::vector<std::vector<std::uint32_t>> expected;
    for (const NaiveImage& image : stack.images) {
      std::vector<std::uint32_t> samples = image.samples();
      for (std::uint32_t& sample : samples) sample = lut[sample];
      expected.push_back(samples);
    }
    const auto report = stack.run({.rule = Rule::exact, .pages = PagesMode::stack});
    ASSERT_TRUE(report);
    ASSERT_EQ(report->planes.size(), 1u);
    EXPECT_EQ(report->planes[0].counted, 60u * 40 + 31 * 90 + 64);
    std::size_t i = 0;
    for (const NaiveImage& image : stack.images) EXPECT_EQ(image.samples(), expected[i++]);
  }
}

TEST(Pages, AutomaticRangeOfAStackIsThatOfAllPages) {
  Stack stack;
  stack.add(naive_image(test::gray_format(16), 20, 20, Texture::uniform, 200, 1));
  stack.add(naive_image(test::gray_format(16), 20, 20, Texture::uniform, 3000, 2)).set(0, 0, 0, 2999);
  const auto report = stack.run({.pages = PagesMode::stack, .range = RangeMode::automatic});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->planes[0].levels, 4096u);
}

TEST(Pages, OverviewsTakeTheFirstCountedPagesTable) {
  for (const PagesMode mode : {PagesMode::each, PagesMode::stack}) {
    Stack stack;
    const NaiveImage& overview = stack.add(naive_image(test::gray_format(8), 10, 10, Texture::uniform, 256, 3));
    stack.pages[0].counted = false;
    const NaiveImage& image = stack.add(naive_image(test::gray_format(8), 80, 60, Texture::narrow, 256, 4));
    const test::NaiveLut lut = test::naive_lut("opencv", naive_count(image, test::naive_channel(0)), 256);
    std::vector<std::uint32_t> expected = overview.samples();
    for (std::uint32_t& sample : expected) sample = lut[sample];
    const auto report = stack.run({.pages = mode});
    ASSERT_TRUE(report);
    ASSERT_EQ(report->planes.size(), 1u);
    EXPECT_EQ(report->planes[0].page, 1u);
    EXPECT_EQ(report->planes[0].counted, 4800u);
    EXPECT_EQ(overview.samples(), expected);
  }
}

TEST(Pages, OverviewsOfClaheScaleTheGrid) {
  // A constant image has tables that map alike everywhere, so its overview must come out the same.
  Stack stack;
  const NaiveImage& image = stack.add(naive_image(test::gray_format(8), 64, 64, Texture::constant, 256, 5));
  const NaiveImage& overview = stack.add(naive_image(test::gray_format(8), 16, 16, Texture::constant, 256, 6));
  stack.pages[1].counted = false;
  ASSERT_TRUE(stack.run({.method = Method::clahe}));
  EXPECT_EQ(image.get(40, 40), overview.get(10, 10));
  EXPECT_NE(image.get(40, 40), 85u);
}

TEST(Pages, ClaheOfAStackAddsTheTilesOfAllPages) {
  Stack stack;
  for (int i = 0; i < 2; ++i) stack.add(naive_image(test::gray_format(8), 50, 40, Texture::narrow, 256, 7));
  NaiveImage alone = stack.images.front();
  const EqualizeReport single = equalize_image(alone, {.method = Method::clahe, .clip = 0});
  const auto report = stack.run({.method = Method::clahe, .pages = PagesMode::stack, .clip = 0});
  ASSERT_TRUE(report);
  // Twice the same counts make the same tables.
  EXPECT_EQ(report->planes[0].lut, single.planes[0].lut);
  EXPECT_EQ(report->planes[0].counted, 4000u);
  EXPECT_EQ(report->planes[0].after.total(), 4000u);
  for (const NaiveImage& image : stack.images) EXPECT_EQ(image.samples(), alone.samples());
}

TEST(Pages, AnErrorOnTheLastPageLeavesTheFirstUnchanged) {
  Stack stack = three_pages(16);
  std::vector<std::vector<std::uint32_t>> before;
  for (const NaiveImage& image : stack.images) before.push_back(image.samples());
  stack.pages.back().levels = 100;
  const auto report = stack.run({});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::sample_out_of_range);
  std::size_t i = 0;
  for (const NaiveImage& image : stack.images) EXPECT_EQ(image.samples(), before[i++]);
}

std::error_code code_of(Stack& stack, const EqualizeOptions& options) {
  const auto report = stack.run(options);
  return report ? std::error_code() : report.error().code;
}

TEST(Pages, WhatCannotShareATableIsRefused) {
  Stack depths;
  depths.add(NaiveImage(test::gray_format(8), 4, 4));
  depths.add(NaiveImage(test::gray_format(16), 4, 4));
  EXPECT_EQ(code_of(depths, {.pages = PagesMode::stack}), Errc::bad_option);
  EXPECT_EQ(code_of(depths, {}), std::error_code());
  depths.pages[1].counted = false;
  EXPECT_EQ(code_of(depths, {}), Errc::bad_option);
  Stack sizes = three_pages(8);
  EXPECT_EQ(code_of(sizes, {.method = Method::clahe, .pages = PagesMode::stack}), Errc::bad_option);
  Stack nodata;
  nodata.add(NaiveImage(test::gray_format(8), 4, 4));
  nodata.add(NaiveImage(test::gray_format(8), 4, 4));
  nodata.pages[0].nodata = 3;
  EXPECT_EQ(code_of(nodata, {.pages = PagesMode::stack}), Errc::bad_option);
}

TEST(Pages, ManyTinyPagesOfManyBandsAreRefusedBeforeTheirTablesAreMade) {
  const PixelFormat format{.colors = 200, .extras = 0, .alpha = false, .depth_bits = 16};
  NaiveImage image(format, 1, 1);
  std::vector<EqualizePage> pages(1000, EqualizePage{.image = image.view()});
  const auto report = equalize(pages, {.color = Color::channels}, test::shared_arena());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::bad_option);
  EXPECT_GT(report.error().value, report.error().limit);
}

TEST(Pages, MixedFormatsEachInTheirOwnWay) {
  Stack stack;
  NaiveImage& gray = stack.add(naive_image(test::gray_format(16), 30, 20, Texture::narrow, 65536, 8));
  NaiveImage& color = stack.add(naive_image(test::rgb_format(8, 1, true), 30, 20, Texture::narrow, 256, 9));
  const NaiveImage expected_gray = naive_equalize_channels(gray, "opencv", 65536);
  const NaiveImage expected_color = naive_equalize_luma(color, "opencv", 256);
  ASSERT_TRUE(stack.run({}));
  EXPECT_EQ(gray.samples(), expected_gray.samples());
  EXPECT_EQ(color.samples(), expected_color.samples());
}

}  // namespace
}  // namespace histod::compute
