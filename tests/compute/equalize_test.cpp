// SPDX-License-Identifier: Apache-2.0
#include "compute/equalize.hpp"

#include <numeric>

#include <opencv2/imgproc.hpp>

#include "compute/kernels.hpp"
#include "compute/reduce.hpp"
#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::counts_of;
using test::NaiveImage;
using test::Texture;

constexpr Rule k_rules[] = {Rule::opencv, Rule::exact, Rule::reference, Rule::pillow, Rule::vips};

TEST(Equalize, Gray8IsEqualizeHistByteForByte) {
  constexpr std::pair<std::uint32_t, std::uint32_t> k_sizes[] = {{1, 1},     {1, 2},    {2, 1},   {3, 3},   {17, 5},
                                                                 {1, 400},   {400, 1},  {31, 33}, {64, 64}, {257, 100},
                                                                 {640, 480}, {5001, 7}, {7, 3001}};
  int images = 0;
  for (const auto& [width, height] : k_sizes) {
    for (const Texture texture : test::k_textures) {
      for (const std::size_t padding : {0u, 1u, 29u}) {
        NaiveImage image = naive_image(test::gray_format(8), width, height, texture, 256,
                                       static_cast<std::uint64_t>(++images), padding);
        cv::Mat expected;
        cv::equalizeHist(to_mat(image), expected);
        equalize_image(image, {});
        ASSERT_EQ(image.samples(), test::samples_of_mat(expected)) << describe(image) << " #" << images;
        ASSERT_TRUE(image.padding_is_untouched());
      }
    }
  }
  EXPECT_GE(images, 200);
}

TEST(Equalize, EveryRuleIsItsDefinitionOnGray) {
  std::uint64_t seed = 100;
  for (const unsigned depth : {8u, 16u}) {
    for (const Rule rule : k_rules) {
      if (rule == Rule::pillow && depth == 16) continue;
      for (const Texture texture : test::k_textures) {
        NaiveImage image = naive_image(test::gray_format(depth), 211, 97, texture, 1u << depth, ++seed, 6);
        const NaiveImage expected = naive_equalize_channels(image, name(rule), 1u << depth);
        equalize_image(image, {.rule = rule});
        ASSERT_EQ(image.samples(), expected.samples()) << name(rule) << " " << describe(image);
        ASSERT_TRUE(image.padding_is_untouched());
      }
    }
  }
}

TEST(Equalize, EveryIsaGivesTheSameBytes) {
  const Kernels& before = kernels();
  for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::channels}) {
    for (const unsigned depth : {8u, 16u}) {
      std::vector<std::vector<std::uint32_t>> results;
      for (const Kernels* isa : available_kernels()) {
        set_kernels(*isa);
        NaiveImage image = naive_image(test::rgb_format(depth), 133, 71, Texture::narrow, 1u << depth, 5);
        equalize_image(image, {.color = color});
        results.push_back(image.samples());
      }
      for (const auto& result : results) EXPECT_EQ(result, results.front()) << name(color);
    }
  }
  set_kernels(before);
}

TEST(Equalize, ThreadsDoNotShow) {
  std::vector<std::vector<std::uint32_t>> results;
  for (const unsigned threads : {1u, 2u, 5u}) {
    Arena arena({.cpus = {}, .threads = threads});
    for (const Method method : {Method::global, Method::clahe}) {
      NaiveImage image = naive_image(test::rgb_format(8), 700, 901, Texture::narrow, 256, 6);
      EqualizePage page{.image = image.view()};
      ASSERT_TRUE(equalize(std::span(&page, 1), {.method = method}, arena));
      results.push_back(image.samples());
    }
  }
  for (std::size_t i = 2; i < results.size(); ++i) EXPECT_EQ(results[i], results[i % 2]);
}

TEST(Equalize, ReportSaysHowTheTableCameToBe) {
  NaiveImage image = naive_image(test::gray_format(16), 100, 80, Texture::narrow, 4096, 7);
  const test::NaiveCounts before = naive_count(image, test::naive_channel(0));
  const EqualizeReport report = equalize_image(image, {.rule = Rule::exact});
  ASSERT_EQ(report.planes.size(), 1u);
  const PlaneReport& plane = report.planes.front();
  EXPECT_EQ(plane.page, 0u);
  EXPECT_EQ(plane.channel, 0u);
  EXPECT_EQ(plane.levels, 65536u);
  EXPECT_EQ(plane.counted, 8000u);
  EXPECT_EQ(plane.masked, 0u);
  EXPECT_EQ(plane.first_count, *std::find_if(before.begin(), before.end(), [](auto count) { return count != 0; }));
  EXPECT_EQ(counts_of(plane.before), before);
  EXPECT_EQ(counts_of(plane.after), naive_count(image, test::naive_channel(0)));
  EXPECT_EQ(plane.lut, make_lut(Rule::exact, plane.before, 65536).value());
  EXPECT_GT(report.count_ns, 0u);
  EXPECT_GT(report.rule_ns, 0u);
  EXPECT_GT(report.apply_ns, 0u);
}

TEST(Equalize, CountsAreMovedNeverSplit) {
  for (const Rule rule : k_rules) {
    NaiveImage image = naive_image(test::gray_format(8), 200, 100, Texture::sparse, 256, 8);
    const EqualizeReport report = equalize_image(image, {.rule = rule});
    const PlaneReport& plane = report.planes.front();
    EXPECT_EQ(plane.after, moved_by(plane.lut, plane.before)) << name(rule);
    EXPECT_EQ(plane.after.total(), plane.counted);
    const auto filled = [](const Histogram& h) {
      return std::count_if(h.counts().begin(), h.counts().end(), [](auto c) { return c != 0; });
    };
    EXPECT_LE(filled(plane.after), filled(plane.before));
  }
}

TEST(Equalize, APermutationHasTheSameTable) {
  NaiveImage image = naive_image(test::gray_format(8), 120, 50, Texture::narrow, 256, 9);
  NaiveImage mirrored = image;
  for (std::uint32_t y = 0; y < 50; ++y) {
    for (std::uint32_t x = 0; x < 120; ++x) mirrored.set(119 - x, 49 - y, 0, image.get(x, y));
  }
  EXPECT_EQ(equalize_image(image, {}).planes[0].lut, equalize_image(mirrored, {}).planes[0].lut);
}

TEST(Equalize, AFlatHistogramIsLeftAsItIs) {
  // Every value once: the exact table is the identity, and an identity changes nothing.
  NaiveImage image(test::gray_format(16), 256, 256);
  for (std::uint32_t y = 0; y < 256; ++y) {
    for (std::uint32_t x = 0; x < 256; ++x) image.set(x, y, 0, 256 * y + (x * 17) % 256);
  }
  const std::vector<std::uint32_t> before = image.samples();
  const EqualizeReport report = equalize_image(image, {.rule = Rule::exact});
  for (std::uint32_t i = 0; i < 65536; ++i) ASSERT_EQ(report.planes[0].lut[i], i);
  EXPECT_EQ(image.samples(), before);
}

TEST(Equalize, NoPixelsAreNoError) {
  NaiveImage image(test::gray_format(8), 0, 0);
  const EqualizeReport report = equalize_image(image, {});
  ASSERT_EQ(report.planes.size(), 1u);
  EXPECT_EQ(report.planes[0].counted, 0u);
  EXPECT_EQ(report.planes[0].first_count, 0u);
  std::vector<EqualizePage> none;
  EXPECT_TRUE(equalize(none, {}, test::shared_arena()));
  EXPECT_TRUE(equalize_image(image, {.method = Method::clahe}).planes[0].after.total() == 0);
}

TEST(Equalize, NamesComeBack) {
  for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::channels, Color::gray}) {
    EXPECT_EQ(color_from_name(name(color)), color);
  }
  for (const Method method : {Method::global, Method::clahe}) EXPECT_EQ(method_from_name(name(method)), method);
  EXPECT_FALSE(color_from_name("rgb"));
  EXPECT_FALSE(method_from_name("Global"));
}

}  // namespace
}  // namespace histod::compute
