// SPDX-License-Identifier: Apache-2.0
#include <span>

#include <opencv2/imgproc.hpp>

#include "compute/clahe.hpp"
#include "tests/compute/support.hpp"
#include "tests/support/naive_clahe.hpp"

/// 16-bit images whose tiles are large enough for tables to be packed cell by cell.
namespace histod::compute {
namespace {

using test::equalize_image;
using test::equalize_page;
using test::NaiveClahe;
using test::NaiveImage;
using test::Texture;

struct Size {
  std::uint32_t width, height, tiles_x, tiles_y;
};
constexpr Size k_block_sizes[] = {
    {300, 200, 1, 1}, {601, 403, 3, 2}, {1030, 260, 4, 1}, {520, 1025, 2, 3}, {900, 700, 1, 2}};

EqualizeOptions options_of(const Size& size, double clip, Rule rule = Rule::opencv) {
  return {.method = Method::clahe, .rule = rule, .clip = clip, .tiles_x = size.tiles_x, .tiles_y = size.tiles_y};
}

NaiveClahe naive_of(const Size& size, double clip, std::uint32_t levels = 65536) {
  return {.width = size.width,
          .height = size.height,
          .tiles_x = size.tiles_x,
          .tiles_y = size.tiles_y,
          .levels = levels,
          .clip = clip};
}

cv::Mat opencv_clahe(const cv::Mat& plane, const Size& size, double clip) {
  cv::Mat out;
  const cv::Size tiles(static_cast<int>(size.tiles_x), static_cast<int>(size.tiles_y));
  cv::createCLAHE(clip, tiles)->apply(plane, out);
  return out;
}

NaiveImage image_of(const Size& size, const PixelFormat& format, Texture texture, std::uint64_t seed,
                    std::uint32_t levels = 65536) {
  return naive_image(format, size.width, size.height, texture, levels, seed, 2 * (seed % 3));
}

TEST(ClaheBlocks, GrayIsOpenCvByteForByte) {
  std::uint64_t seed = 200;
  for (const Size& size : k_block_sizes) {
    for (const double clip : {0.0, 0.5, 2.0, 40.0}) {
      const Texture texture = test::k_textures[++seed % std::size(test::k_textures)];
      NaiveImage image = image_of(size, test::gray_format(16), texture, seed);
      const cv::Mat expected = opencv_clahe(to_mat(image), size, clip);
      const EqualizeReport report = equalize_image(image, options_of(size, clip));
      ASSERT_EQ(image.samples(), test::samples_of_mat(expected)) << describe(image) << " clip " << clip;
      ASSERT_TRUE(image.padding_is_untouched());
      const test::NaiveCounts after = naive_count(image, test::naive_channel(0));
      ASSERT_TRUE(std::equal(after.begin(), after.end(), report.planes[0].after.counts().begin()));
    }
  }
}

/// Where tiles fit the image their counts make up the image's; else it is counted by itself.
TEST(ClaheBlocks, ReportsTheCountsOfTheWholeImage) {
  for (const unsigned depth : {8u, 16u}) {
    for (const Size& size : {Size{600, 404, 3, 2}, Size{601, 404, 3, 2}, Size{600, 405, 3, 2}, Size{40, 30, 8, 5}}) {
      NaiveImage image = image_of(size, test::gray_format(depth), Texture::narrow, 900, 1u << depth);
      const test::NaiveCounts before = naive_count(image, test::naive_channel(0));
      const std::uint64_t pixels = std::uint64_t{size.width} * size.height;
      std::vector<std::byte> mask(pixels, std::byte{1});
      mask[7] = std::byte{0};
      NaiveImage copy = image;
      const std::uint32_t left_out = image.get(7, 0, 0);
      const EqualizeReport report = equalize_image(image, options_of(size, 2));
      EXPECT_TRUE(std::equal(before.begin(), before.end(), report.planes[0].before.counts().begin()));
      EXPECT_EQ(report.planes[0].counted, pixels);
      EXPECT_EQ(report.planes[0].masked, 0u);
      const auto first = std::find_if(before.begin(), before.end(), [](std::uint64_t count) { return count != 0; });
      EXPECT_EQ(report.planes[0].first_count, *first);
      EqualizePage page{.image = copy.view(), .mask = mask};
      const EqualizeReport masked = equalize_page(page, options_of(size, 2));
      EXPECT_EQ(masked.planes[0].masked, 1u);
      EXPECT_EQ(masked.planes[0].counted, pixels - 1);
      EXPECT_EQ(masked.planes[0].before[left_out], before[left_out] - 1);
    }
  }
}

TEST(ClaheBlocks, CountsOfAStackAreThoseOfItsPages) {
  const Size size{600, 404, 3, 2};
  NaiveImage first = image_of(size, test::gray_format(16), Texture::narrow, 901);
  NaiveImage second = image_of(size, test::gray_format(16), Texture::uniform, 902);
  test::NaiveCounts expected = naive_count(first, test::naive_channel(0));
  const test::NaiveCounts more = naive_count(second, test::naive_channel(0));
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += more[i];
  std::vector<EqualizePage> pages{{.image = first.view()}, {.image = second.view()}};
  EqualizeOptions options = options_of(size, 2);
  options.pages = PagesMode::stack;
  const auto report = equalize(pages, options, test::shared_arena());
  ASSERT_TRUE(report);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), report->planes[0].before.counts().begin()));
}

TEST(ClaheBlocks, ExactSpreadsEvenly) {
  std::uint64_t seed = 300;
  for (const Size& size : std::span(k_block_sizes).first(3)) {
    for (const double clip : {0.7, 3.0}) {
      const Texture texture = test::k_textures[++seed % std::size(test::k_textures)];
      NaiveImage image = image_of(size, test::gray_format(16), texture, seed);
      NaiveClahe how = naive_of(size, clip);
      how.even = true;
      const std::vector<std::uint32_t> expected = naive_clahe(how, image.samples());
      equalize_image(image, options_of(size, clip, Rule::exact));
      ASSERT_EQ(image.samples(), expected) << describe(image) << " clip " << clip;
    }
  }
}

/// Up to four bands go by blocks, five do not.
TEST(ClaheBlocks, EachBandByItself) {
  const Size size = k_block_sizes[1];
  for (const std::uint8_t bands : std::initializer_list<std::uint8_t>{3, 4, 5}) {
    const PixelFormat format{.colors = bands, .extras = 1, .alpha = false, .depth_bits = 16};
    NaiveImage image = image_of(size, format, Texture::narrow, 400 + bands);
    std::vector<cv::Mat> planes;
    cv::split(to_mat(image), planes);
    for (unsigned band = 0; band < bands; ++band) planes[band] = opencv_clahe(planes[band], size, 2);
    cv::Mat expected;
    cv::merge(planes, expected);
    EqualizeOptions options = options_of(size, 2);
    options.color = Color::channels;
    equalize_image(image, options);
    EXPECT_EQ(image.samples(), test::samples_of_mat(expected)) << int{bands};
  }
}

TEST(ClaheBlocks, LumaAddsTheChangeOfY) {
  const Size size = k_block_sizes[1];
  NaiveImage image = image_of(size, test::rgb_format(16), Texture::narrow, 500);
  std::vector<std::uint32_t> luma;
  for (std::uint32_t y = 0; y < size.height; ++y) {
    for (std::uint32_t x = 0; x < size.width; ++x) luma.push_back(naive_luma(image, x, y));
  }
  const std::vector<std::uint32_t> mapped = naive_clahe(naive_of(size, 3), luma);
  NaiveImage expected = image;
  for (std::uint32_t y = 0; y < size.height; ++y) {
    for (std::uint32_t x = 0; x < size.width; ++x) {
      const std::size_t i = std::size_t{size.width} * y + x;
      for (unsigned c = 0; c < 3; ++c) {
        const auto moved = static_cast<int>(image.get(x, y, c) + mapped[i] - luma[i]);
        expected.set(x, y, c, static_cast<std::uint32_t>(std::clamp(moved, 0, 65535)));
      }
    }
  }
  equalize_image(image, options_of(size, 3));
  EXPECT_EQ(image.samples(), expected.samples());
}

TEST(ClaheBlocks, LevelsThatNoVectorDivides) {
  const Size size = k_block_sizes[0];
  for (const std::uint32_t levels : {1003u, 4096u, 65535u}) {
    NaiveImage image = image_of(size, test::gray_format(16), Texture::narrow, 600, levels);
    const std::vector<std::uint32_t> expected = naive_clahe(naive_of(size, 1.5, levels), image.samples());
    EqualizeOptions options = options_of(size, 1.5);
    options.range = RangeMode::fixed;
    options.range_levels = levels;
    const EqualizeReport report = equalize_image(image, options);
    EXPECT_EQ(image.samples(), expected) << levels;
    for (std::uint32_t i = levels; i < 65536; ++i) ASSERT_EQ(report.planes[0].lut[i], i);
  }
}

TEST(ClaheBlocks, WhatIsMaskedIsNeitherCountedNorChanged) {
  const Size size = k_block_sizes[1];
  NaiveImage image = image_of(size, test::gray_format(16), Texture::uniform, 700);
  const std::vector<std::uint32_t> before = image.samples();
  std::vector<std::uint8_t> keep(before.size());
  std::vector<std::byte> mask;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    keep[i] = i % size.width > 220 && i % 5 != 0;  // the tiles on the left are empty
    mask.push_back(std::byte{keep[i]});
  }
  std::vector<std::uint32_t> expected = naive_clahe(naive_of(size, 2), before, keep);
  for (std::size_t i = 0; i < keep.size(); ++i) expected[i] = keep[i] != 0 ? expected[i] : before[i];
  EqualizePage page{.image = image.view(), .mask = mask};
  const EqualizeReport report = equalize_page(page, options_of(size, 2));
  EXPECT_EQ(image.samples(), expected);
  for (std::uint32_t i = 0; i < 65536; ++i) ASSERT_EQ(report.planes[0].lut[i], i);
  EXPECT_EQ(report.planes[0].after.total(), report.planes[0].counted);
}

TEST(ClaheBlocks, ThreadsDoNotShow) {
  const Size size = k_block_sizes[4];
  const NaiveImage image = image_of(size, test::gray_format(16), Texture::gradient, 800);
  std::vector<std::vector<std::uint32_t>> results;
  for (const unsigned threads : {1u, 2u, 5u}) {
    Arena arena({.cpus = {}, .threads = threads});
    NaiveImage copy = image;
    EqualizePage page{.image = copy.view()};
    ASSERT_TRUE(equalize(std::span(&page, 1), options_of(size, 2), arena));
    results.push_back(copy.samples());
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(ClaheBlocks, BlocksCoverEachPixelOnce) {
  for (const Size& size : k_block_sizes) {
    const ClaheGrid grid = clahe_grid(size.width, size.height, size.tiles_x, size.tiles_y);
    const Lut tables(std::size_t{grid.tiles()} * 65536);
    const ClaheMap<std::uint16_t> map(tables, grid, size.width);
    EXPECT_TRUE(map.goes_by_blocks());
    std::vector<int> covered(std::size_t{size.width} * size.height);
    for (const ClaheBlock& block : map.blocks(size.height)) {
      EXPECT_LE(std::uint64_t{block.width} * block.height, 256u * 1024);
      for (std::uint32_t y = block.y; y < block.y + block.height; ++y) {
        for (std::uint32_t x = block.x; x < block.x + block.width; ++x) ++covered[std::size_t{y} * size.width + x];
      }
    }
    EXPECT_EQ(covered, std::vector<int>(covered.size(), 1)) << size.width;
  }
  const Lut narrow(256);
  EXPECT_FALSE(ClaheMap<std::uint8_t>(narrow, clahe_grid(900, 900, 1, 1), 900).goes_by_blocks());
  const Lut tables(64 * 65536);
  EXPECT_FALSE(ClaheMap<std::uint16_t>(tables, clahe_grid(900, 900, 8, 8), 900).goes_by_blocks());
}

}  // namespace
}  // namespace histod::compute
