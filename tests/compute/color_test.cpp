// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <opencv2/imgproc.hpp>

#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::equalize_page;
using test::NaiveImage;
using test::Texture;

cv::Mat rgb_only(const NaiveImage& image) {
  cv::Mat rgb;
  const cv::Mat all = to_mat(image);
  rgb.create(all.rows, all.cols, CV_MAKETYPE(all.depth(), 3));
  cv::mixChannels({all}, {rgb}, {0, 0, 1, 1, 2, 2});
  return rgb;
}

/// The first channel of `mat` by the table that its own counts make, in naive code.
void equalize_first_channel(cv::Mat& mat, std::string_view rule, std::uint32_t levels) {
  std::vector<std::uint32_t> all = test::samples_of_mat(mat);
  test::NaiveCounts counts(mat.depth() == CV_8U ? 256 : 65536);
  for (std::size_t i = 0; i < all.size(); i += 3) ++counts[all[i]];
  const test::NaiveLut lut = test::naive_lut(rule, counts, levels);
  for (std::size_t i = 0; i < all.size(); i += 3) {
    if (mat.depth() == CV_8U) {
      mat.ptr<std::uint8_t>()[i] = static_cast<std::uint8_t>(lut[all[i]]);
    } else {
      mat.ptr<std::uint16_t>()[i] = static_cast<std::uint16_t>(lut[all[i]]);
    }
  }
}

std::vector<std::uint32_t> colors_of(const NaiveImage& image) { return test::samples_of_mat(rgb_only(image)); }

constexpr std::pair<std::uint32_t, std::uint32_t> k_color_sizes[] = {{1, 1}, {3, 2}, {33, 17}, {401, 203}};

TEST(ColorLuma, IsTheDefinition) {
  std::uint64_t seed = 0;
  for (const unsigned depth : {8u, 16u}) {
    for (const unsigned extras : {0u, 1u, 2u}) {
      for (const Texture texture : test::k_textures) {
        for (const auto& [width, height] : k_color_sizes) {
          NaiveImage image =
              naive_image(test::rgb_format(depth, extras), width, height, texture, 1u << depth, ++seed, 2);
          const NaiveImage expected = naive_equalize_luma(image, "opencv", 1u << depth);
          equalize_image(image, {.color = Color::luma});
          ASSERT_EQ(image.samples(), expected.samples()) << describe(image);
          ASSERT_TRUE(image.padding_is_untouched());
        }
      }
    }
  }
}

TEST(ColorLuma, CountsTheYOfOpenCv) {
  for (const unsigned depth : {8u, 16u}) {
    NaiveImage image = naive_image(test::rgb_format(depth), 300, 200, Texture::uniform, 1u << depth, 11);
    cv::Mat ycrcb;
    cv::cvtColor(to_mat(image), ycrcb, cv::COLOR_RGB2YCrCb);
    const std::vector<std::uint32_t> all = test::samples_of_mat(ycrcb);
    std::vector<std::uint64_t> expected(1u << depth);
    for (std::size_t i = 0; i < all.size(); i += 3) ++expected[all[i]];
    const EqualizeReport report = equalize_image(image, {.color = Color::luma});
    const auto counts = report.planes[0].before.counts();
    EXPECT_TRUE(std::equal(counts.begin(), counts.end(), expected.begin())) << depth;
  }
}

TEST(ColorYcrcb, IsOpenCvsRoundTripByteForByte) {
  std::uint64_t seed = 50;
  for (const Texture texture : test::k_textures) {
    for (const auto& [width, height] : k_color_sizes) {
      NaiveImage image = naive_image(test::rgb_format(8, width % 2), width, height, texture, 256, ++seed, 5);
      cv::Mat mat = rgb_only(image);
      cv::cvtColor(mat, mat, cv::COLOR_RGB2YCrCb);
      std::vector<cv::Mat> planes;
      cv::split(mat, planes);
      cv::equalizeHist(planes[0], planes[0]);
      cv::merge(planes, mat);
      cv::cvtColor(mat, mat, cv::COLOR_YCrCb2RGB);
      equalize_image(image, {.color = Color::ycrcb});
      ASSERT_EQ(colors_of(image), test::samples_of_mat(mat)) << describe(image);
      ASSERT_TRUE(image.padding_is_untouched());
    }
  }
}

TEST(ColorYcrcb, IsOpenCvsRoundTripAt16Bit) {
  for (const Texture texture : test::k_textures) {
    NaiveImage image = naive_image(test::rgb_format(16), 203, 101, texture, 65536, 60);
    cv::Mat mat = to_mat(image);
    cv::cvtColor(mat, mat, cv::COLOR_RGB2YCrCb);
    equalize_first_channel(mat, "exact", 65536);
    cv::cvtColor(mat, mat, cv::COLOR_YCrCb2RGB);
    equalize_image(image, {.rule = Rule::exact, .color = Color::ycrcb});
    ASSERT_EQ(image.samples(), test::samples_of_mat(mat));
  }
}

TEST(ColorLab, IsOpenCvs8BitLabByteForByte) {
  std::uint64_t seed = 70;
  for (const Texture texture : test::k_textures) {
    for (const auto& [width, height] : k_color_sizes) {
      NaiveImage image = naive_image(test::rgb_format(8, width % 2), width, height, texture, 256, ++seed, 1);
      cv::Mat mat = rgb_only(image);
      cv::cvtColor(mat, mat, cv::COLOR_RGB2Lab);
      std::vector<cv::Mat> planes;
      cv::split(mat, planes);
      cv::equalizeHist(planes[0], planes[0]);
      cv::merge(planes, mat);
      cv::cvtColor(mat, mat, cv::COLOR_Lab2RGB);
      equalize_image(image, {.color = Color::lab});
      ASSERT_EQ(colors_of(image), test::samples_of_mat(mat)) << describe(image);
    }
  }
}

/// L* of OpenCV's float Lab on the whole image, scaled to 0..top; equalized; and back.
std::vector<std::uint32_t> float_lab(const NaiveImage& image, std::string_view rule, std::uint32_t levels) {
  const auto top = static_cast<float>(levels - 1);
  const std::vector<std::uint32_t> samples = image.samples();
  cv::Mat mat(static_cast<int>(image.height()), static_cast<int>(image.width()), CV_32FC3);
  for (std::size_t i = 0; i < samples.size(); ++i) mat.ptr<float>()[i] = static_cast<float>(samples[i]) / top;
  cv::cvtColor(mat, mat, cv::COLOR_RGB2Lab);
  test::NaiveCounts counts(image.format().bins());
  std::vector<std::uint32_t> lightness;
  for (std::size_t i = 0; i < samples.size(); i += 3) {
    lightness.push_back(static_cast<std::uint32_t>(std::nearbyint(mat.ptr<float>()[i] * (top / 100.0f))));
    ++counts[lightness.back()];
  }
  const test::NaiveLut lut = test::naive_lut(rule, counts, levels);
  for (std::size_t i = 0; i < samples.size(); i += 3) {
    mat.ptr<float>()[i] = static_cast<float>(lut[lightness[i / 3]]) * (100.0f / top);
  }
  cv::cvtColor(mat, mat, cv::COLOR_Lab2RGB);
  std::vector<std::uint32_t> result;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    result.push_back(static_cast<std::uint32_t>(std::nearbyint(std::clamp(mat.ptr<float>()[i] * top, 0.0f, top))));
  }
  return result;
}

TEST(ColorLab, IsOpenCvsFloatLabAt16Bit) {
  for (const Texture texture : test::k_textures) {
    NaiveImage image = naive_image(test::rgb_format(16), 203, 101, texture, 65536, 80);
    const std::vector<std::uint32_t> expected = float_lab(image, "exact", 65536);
    equalize_image(image, {.rule = Rule::exact, .color = Color::lab});
    ASSERT_EQ(image.samples(), expected);
  }
}

TEST(ColorLab, OfFewerLevelsStaysWithinThem) {
  NaiveImage image = naive_image(test::rgb_format(8), 90, 60, Texture::narrow, 64, 81);
  const std::vector<std::uint32_t> expected = float_lab(image, "opencv", 64);
  EqualizePage page{.image = image.view(), .levels = 64};
  equalize_page(page, {.color = Color::lab});
  EXPECT_EQ(image.samples(), expected);
}

TEST(ColorChannels, EachByItsOwnCounts) {
  std::uint64_t seed = 90;
  for (const unsigned depth : {8u, 16u}) {
    for (const unsigned colors : {1u, 2u, 3u, 6u}) {
      for (const unsigned extras : {0u, 1u}) {
        const PixelFormat format{.colors = static_cast<std::uint8_t>(colors),
                                 .extras = static_cast<std::uint8_t>(extras),
                                 .alpha = false,
                                 .depth_bits = static_cast<std::uint8_t>(depth)};
        NaiveImage image = naive_image(format, 150, 90, Texture::narrow, 1u << depth, ++seed, 4);
        const NaiveImage expected = naive_equalize_channels(image, "opencv", 1u << depth);
        const EqualizeReport report = equalize_image(image, {.color = Color::channels});
        ASSERT_EQ(image.samples(), expected.samples()) << describe(image);
        ASSERT_EQ(report.planes.size(), colors);
        for (unsigned c = 0; c < colors; ++c) EXPECT_EQ(report.planes[c].channel, c);
      }
    }
  }
}

TEST(ColorChannels, OfPillowIsWhatImageOpsDoesToRgb) {
  NaiveImage image = naive_image(test::rgb_format(8), 99, 98, Texture::gradient, 256, 95);
  const NaiveImage expected = naive_equalize_channels(image, "pillow", 256);
  equalize_image(image, {.rule = Rule::pillow, .color = Color::channels});
  EXPECT_EQ(image.samples(), expected.samples());
}

TEST(ColorGray, IsOpenCvsGrayThenEqualizeHist) {
  for (const auto& [width, height] : k_color_sizes) {
    NaiveImage image = naive_image(test::rgb_format(8), width, height, Texture::uniform, 256, 96, 7);
    cv::Mat gray;
    cv::cvtColor(to_mat(image), gray, cv::COLOR_RGB2GRAY);
    cv::equalizeHist(gray, gray);
    EqualizePage page{.image = image.view()};
    const ImageView before = page.image;
    equalize_page(page, {.color = Color::gray});
    EXPECT_EQ(page.image.format.colors, 1);
    EXPECT_EQ(page.image.data, before.data);
    EXPECT_EQ(page.image.stride_bytes, width);
    EXPECT_EQ(test::samples_of(page.image), test::samples_of_mat(gray)) << describe(image);
  }
}

TEST(ColorGray, Weighs16BitAsOpenCvDoes) {
  NaiveImage image = naive_image(test::rgb_format(16), 300, 200, Texture::uniform, 65536, 97);
  cv::Mat gray;
  cv::cvtColor(to_mat(image), gray, cv::COLOR_RGB2GRAY);
  const std::vector<std::uint32_t> all = test::samples_of_mat(gray);
  for (std::uint32_t y = 0; y < 200; ++y) {
    for (std::uint32_t x = 0; x < 300; ++x) ASSERT_EQ(naive_gray(image, x, y), all[300 * y + x]);
  }
}

TEST(ColorGray, KeepsExtrasAndPacksRows) {
  std::uint64_t seed = 110;
  for (const unsigned depth : {8u, 16u}) {
    for (const unsigned extras : {0u, 1u, 2u}) {
      for (const Rule rule : {Rule::opencv, Rule::reference, Rule::exact}) {
        for (const std::uint32_t width : {1u, 45u, 5000u}) {
          NaiveImage image = naive_image(test::rgb_format(depth, extras, extras == 1), width, 33, Texture::narrow,
                                         1u << depth, ++seed, 6);
          const NaiveImage expected = naive_equalize_gray(image, name(rule), 1u << depth);
          EqualizePage page{.image = image.view()};
          equalize_page(page, {.rule = rule, .color = Color::gray});
          ASSERT_EQ(page.image.format.channels(), 1 + extras);
          ASSERT_EQ(test::samples_of(page.image), expected.samples()) << describe(image) << name(rule);
        }
      }
    }
  }
}

}  // namespace
}  // namespace histod::compute
