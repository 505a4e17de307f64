// SPDX-License-Identifier: Apache-2.0
#include "compute/clahe.hpp"

#include <opencv2/imgproc.hpp>

#include "tests/compute/support.hpp"
#include "tests/support/naive_clahe.hpp"

namespace histod::compute {
namespace {

using test::equalize_page;
using test::NaiveClahe;
using test::NaiveImage;
using test::Texture;

struct Grid {
  std::uint32_t x, y;
};
constexpr std::pair<std::uint32_t, std::uint32_t> k_clahe_sizes[] = {
    {64, 64}, {65, 64}, {64, 65}, {97, 61}, {7, 5}, {1, 1}, {1, 30}, {30, 1}, {3, 200}, {512, 300}, {2500, 20}};
constexpr Grid k_grids[] = {{8, 8}, {1, 1}, {2, 5}, {5, 2}, {13, 1}, {16, 16}, {40, 33}};
constexpr double k_clips[] = {0, 0.5, 2, 40};

std::vector<std::uint32_t> opencv_clahe(const NaiveImage& image, double clip, Grid grid) {
  cv::Mat out;
  cv::createCLAHE(clip, cv::Size(static_cast<int>(grid.x), static_cast<int>(grid.y)))->apply(to_mat(image), out);
  return test::samples_of_mat(out);
}

EqualizeOptions options_of(double clip, Grid grid, Rule rule = Rule::opencv) {
  return {.method = Method::clahe, .rule = rule, .clip = clip, .tiles_x = grid.x, .tiles_y = grid.y};
}

TEST(Clahe, Gray8IsOpenCvByteForByte) {
  std::uint64_t seed = 0;
  for (const auto& [width, height] : k_clahe_sizes) {
    for (const Grid grid : k_grids) {
      for (const double clip : k_clips) {
        const Texture texture = test::k_textures[++seed % std::size(test::k_textures)];
        NaiveImage image = naive_image(test::gray_format(8), width, height, texture, 256, seed, seed % 4);
        const std::vector<std::uint32_t> expected = opencv_clahe(image, clip, grid);
        equalize_image(image, options_of(clip, grid));
        ASSERT_EQ(image.samples(), expected) << describe(image) << " " << grid.x << "x" << grid.y << " clip " << clip;
        ASSERT_TRUE(image.padding_is_untouched());
      }
    }
  }
}

TEST(Clahe, Gray8IsTheSameUnderBothRules) {
  NaiveImage image = naive_image(test::gray_format(8), 101, 77, Texture::narrow, 256, 3);
  const std::vector<std::uint32_t> expected = opencv_clahe(image, 2, {8, 8});
  equalize_image(image, options_of(2, {8, 8}, Rule::exact));
  EXPECT_EQ(image.samples(), expected);
}

TEST(Clahe, Gray16IsOpenCvByteForByte) {
  std::uint64_t seed = 40;
  for (const auto& [width, height] : {std::pair{64u, 64u}, {97u, 61u}, {7u, 5u}, {300u, 200u}}) {
    for (const Grid grid : {Grid{8, 8}, Grid{1, 1}, Grid{3, 2}}) {
      for (const double clip : k_clips) {
        const Texture texture = test::k_textures[++seed % std::size(test::k_textures)];
        NaiveImage image = naive_image(test::gray_format(16), width, height, texture, 65536, seed, 2);
        const std::vector<std::uint32_t> expected = opencv_clahe(image, clip, grid);
        equalize_image(image, options_of(clip, grid));
        ASSERT_EQ(image.samples(), expected) << describe(image) << " " << grid.x << "x" << grid.y << " clip " << clip;
      }
    }
  }
}

TEST(Clahe, Gray16ExactSpreadsTheRemainderEvenly) {
  std::uint64_t seed = 60;
  for (const Grid grid : {Grid{1, 1}, Grid{3, 2}}) {
    for (const double clip : k_clips) {
      NaiveImage image = naive_image(test::gray_format(16), 160, 120, Texture::narrow, 65536, ++seed);
      const NaiveClahe how{.width = 160,
                           .height = 120,
                           .tiles_x = grid.x,
                           .tiles_y = grid.y,
                           .levels = 65536,
                           .clip = clip,
                           .even = true};
      const std::vector<std::uint32_t> expected = naive_clahe(how, image.samples());
      equalize_image(image, options_of(clip, grid, Rule::exact));
      ASSERT_EQ(image.samples(), expected) << grid.x << "x" << grid.y << " clip " << clip;
    }
  }
}

TEST(Clahe, Exact16ReachesTheTopBinsWhereOpenCvDoesNot) {
  // 40 000 equal samples: nearly all are clipped, and the remainder is more than half of the bins.
  NaiveImage image(test::gray_format(16), 200, 200);
  for (std::uint32_t y = 0; y < 200; ++y) {
    for (std::uint32_t x = 0; x < 200; ++x) image.set(x, y, 0, 1000);
  }
  const auto table = [&](Rule rule) {
    NaiveImage copy = image;
    return equalize_image(copy, options_of(1, {1, 1}, rule)).planes[0].lut;
  };
  EXPECT_EQ(table(Rule::opencv)[45000], 65535);
  EXPECT_NEAR(table(Rule::exact)[45000], 45000, 2);
}

TEST(Clahe, OneTileWithoutClipIsTheRoundedCdf) {
  NaiveImage image = naive_image(test::gray_format(8), 50, 40, Texture::narrow, 256, 70);
  const test::NaiveCounts counts = naive_count(image, test::naive_channel(0));
  const EqualizeReport report = equalize_image(image, options_of(0, {1, 1}));
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < 256; ++i) {
    sum += counts[i];
    const float scale = 255.0f / 2000.0f;
    EXPECT_EQ(report.planes[0].lut[i], std::lrint(static_cast<float>(sum) * scale));
  }
}

TEST(Clahe, ReportHoldsAllTablesAndCountsTheResult) {
  NaiveImage image = naive_image(test::gray_format(8), 90, 70, Texture::narrow, 256, 71);
  const test::NaiveCounts before = naive_count(image, test::naive_channel(0));
  const EqualizeReport report = equalize_image(image, options_of(2, {3, 4}));
  const PlaneReport& plane = report.planes.at(0);
  EXPECT_EQ(plane.lut.size(), 3u * 4 * 256);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), plane.before.counts().begin()));
  const test::NaiveCounts after = naive_count(image, test::naive_channel(0));
  EXPECT_TRUE(std::equal(after.begin(), after.end(), plane.after.counts().begin()));
}

TEST(Clahe, LumaAddsTheChangeOfY) {
  for (const unsigned depth : {8u, 16u}) {
    NaiveImage image = naive_image(test::rgb_format(depth, 1), 83, 49, Texture::narrow, 1u << depth, 72);
    std::vector<std::uint32_t> luma;
    for (std::uint32_t y = 0; y < 49; ++y) {
      for (std::uint32_t x = 0; x < 83; ++x) luma.push_back(naive_luma(image, x, y));
    }
    const NaiveClahe how{.width = 83, .height = 49, .tiles_x = 4, .tiles_y = 3, .levels = 1u << depth, .clip = 3};
    const std::vector<std::uint32_t> mapped = naive_clahe(how, luma);
    NaiveImage expected = image;
    const int top = (1 << depth) - 1;
    for (std::uint32_t y = 0; y < 49; ++y) {
      for (std::uint32_t x = 0; x < 83; ++x) {
        const std::size_t i = 83 * y + x;
        for (unsigned c = 0; c < 3; ++c) {
          const auto moved = static_cast<int>(image.get(x, y, c) + mapped[i] - luma[i]);
          expected.set(x, y, c, static_cast<std::uint32_t>(std::clamp(moved, 0, top)));
        }
      }
    }
    equalize_image(image, options_of(3, {4, 3}));
    EXPECT_EQ(image.samples(), expected.samples()) << depth;
  }
}

TEST(Clahe, LabAndYcrcbAreOpenCvsByteForByte) {
  for (const auto& [color, there, back] : {std::tuple{Color::lab, cv::COLOR_RGB2Lab, cv::COLOR_Lab2RGB},
                                           std::tuple{Color::ycrcb, cv::COLOR_RGB2YCrCb, cv::COLOR_YCrCb2RGB}}) {
    NaiveImage image = naive_image(test::rgb_format(8), 203, 111, Texture::narrow, 256, 73, 3);
    cv::Mat mat;
    cv::cvtColor(to_mat(image), mat, there);
    std::vector<cv::Mat> planes;
    cv::split(mat, planes);
    cv::createCLAHE(2, cv::Size(8, 8))->apply(planes[0], planes[0]);
    cv::merge(planes, mat);
    cv::cvtColor(mat, mat, back);
    EqualizeOptions options = options_of(2, {8, 8});
    options.color = color;
    equalize_image(image, options);
    EXPECT_EQ(image.samples(), test::samples_of_mat(mat)) << name(color);
  }
}

TEST(Clahe, FewerLevelsThanTheDepthHas) {
  NaiveImage image = naive_image(test::gray_format(16), 90, 70, Texture::narrow, 4096, 74);
  const NaiveClahe how{.width = 90, .height = 70, .tiles_x = 4, .tiles_y = 4, .levels = 4096, .clip = 2};
  const std::vector<std::uint32_t> expected = naive_clahe(how, image.samples());
  EqualizeOptions options = options_of(2, {4, 4});
  options.range = RangeMode::fixed;
  options.range_levels = 4096;
  equalize_image(image, options);
  EXPECT_EQ(image.samples(), expected);
}

TEST(Clahe, TilesCountOnlyWhatIsCounted) {
  for (const unsigned depth : {8u, 16u}) {
    NaiveImage image = naive_image(test::gray_format(depth), 75, 55, Texture::narrow, 1u << depth, 75, 2);
    std::vector<std::uint8_t> keep(75 * 55);
    std::vector<std::byte> mask;
    for (std::uint32_t i = 0; i < keep.size(); ++i) {
      // The left third of the image is left out altogether: its tiles are empty.
      keep[i] = i % 75 > 25 && i % 7 != 0;
      mask.push_back(std::byte{keep[i]});
    }
    const NaiveClahe how{.width = 75, .height = 55, .tiles_x = 5, .tiles_y = 3, .levels = 1u << depth, .clip = 2};
    std::vector<std::uint32_t> expected = naive_clahe(how, image.samples(), keep);
    for (std::size_t i = 0; i < keep.size(); ++i) expected[i] = keep[i] != 0 ? expected[i] : image.samples()[i];
    EqualizePage page{.image = image.view(), .mask = mask};
    const EqualizeReport report = equalize_page(page, options_of(2, {5, 3}));
    EXPECT_EQ(image.samples(), expected) << depth;
    for (std::uint32_t i = 0; i < (1u << depth); ++i) ASSERT_EQ(report.planes[0].lut[i], i);
    EXPECT_EQ(report.planes[0].after.total(), report.planes[0].counted);
  }
}

TEST(Clahe, RefusesOptionsOutOfBounds) {
  NaiveImage image = naive_image(test::gray_format(16), 9, 9, Texture::uniform, 65536, 76);
  const std::vector<std::uint32_t> before = image.samples();
  const auto code = [&](const EqualizeOptions& options) {
    EqualizePage page{.image = image.view()};
    const auto report = equalize(std::span(&page, 1), options, test::shared_arena());
    return report ? std::error_code() : report.error().code;
  };
  for (const Rule rule : {Rule::reference, Rule::vips, Rule::pillow}) {
    EXPECT_EQ(code(options_of(2, {8, 8}, rule)), Errc::bad_option);
  }
  EXPECT_EQ(code(options_of(2, {0, 8})), Errc::bad_option);
  EXPECT_EQ(code(options_of(2, {8, 257})), Errc::bad_option);
  EXPECT_EQ(code(options_of(-1, {8, 8})), Errc::bad_option);
  EXPECT_EQ(code(options_of(1001, {8, 8})), Errc::bad_option);
  EXPECT_EQ(code(options_of(std::nan(""), {8, 8})), Errc::bad_option);
  // 65 536 tables of 16 bit would be 8 GiB.
  EXPECT_EQ(code(options_of(2, {256, 256})), Errc::bad_option);
  EXPECT_EQ(image.samples(), before);
}

}  // namespace
}  // namespace histod::compute
