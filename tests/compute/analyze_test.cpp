// SPDX-License-Identifier: Apache-2.0
#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::equalize_page;
using test::expect_same;
using test::NaiveImage;
using test::Texture;

TEST(Analyze, SaysWhatEqualizeWouldAndChangesNothing) {
  std::uint64_t seed = 0;
  for (const unsigned depth : {8u, 16u}) {
    for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::channels, Color::gray}) {
      for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::vips}) {
        for (const bool with_nodata : {false, true}) {
          NaiveImage image =
              naive_image(test::rgb_format(depth, 1, true), 90, 50, Texture::narrow, 1u << depth, ++seed, 2);
          for (unsigned c = 0; c < 3; ++c) image.set(8, 8, c, 0);
          const std::vector<std::uint32_t> before = image.samples();
          EqualizePage page{.image = image.view()};
          if (with_nodata) page.nodata = 0;
          const EqualizeOptions options{.rule = rule, .color = color};
          const auto told = analyze(std::span<const EqualizePage>(&page, 1), options, test::shared_arena());
          ASSERT_TRUE(told);
          ASSERT_EQ(image.samples(), before);
          ASSERT_EQ(page.image.format.colors, 3);
          const EqualizeReport done = equalize_page(page, options);
          ASSERT_EQ(told->planes.size(), done.planes.size());
          const std::string what = std::string(name(color)) + " " + std::string(name(rule)) + std::to_string(depth);
          for (std::size_t i = 0; i < done.planes.size(); ++i) expect_same(told->planes[i], done.planes[i], what);
        }
      }
    }
  }
}

TEST(Analyze, OfClaheCountsAsTheGlobalMethodDoes) {
  NaiveImage image = naive_image(test::gray_format(8), 90, 50, Texture::narrow, 256, 50);
  EqualizePage page{.image = image.view()};
  const std::span<const EqualizePage> pages(&page, 1);
  const auto clahe = analyze(pages, {.method = Method::clahe}, test::shared_arena());
  const auto global = analyze(pages, {.method = Method::global}, test::shared_arena());
  ASSERT_TRUE(clahe);
  ASSERT_TRUE(global);
  expect_same(clahe->planes.at(0), global->planes.at(0), "clahe");
}

TEST(Analyze, RefusesWhatEqualizeRefuses) {
  NaiveImage image = naive_image(test::gray_format(16), 9, 9, Texture::uniform, 65536, 51);
  EqualizePage page{.image = image.view()};
  const std::span<const EqualizePage> pages(&page, 1);
  const auto code = [&](const EqualizeOptions& options) {
    const auto report = analyze(pages, options, test::shared_arena());
    return report ? std::error_code() : report.error().code;
  };
  EXPECT_EQ(code({.rule = Rule::pillow}), Errc::bad_option);
  EXPECT_EQ(code({.method = Method::clahe, .rule = Rule::vips}), Errc::bad_option);
  EXPECT_EQ(code({.range = RangeMode::fixed, .range_levels = 256}), Errc::sample_out_of_range);
}

}  // namespace
}  // namespace histod::compute
