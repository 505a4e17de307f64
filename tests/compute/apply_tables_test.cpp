// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::NaiveImage;
using test::NaiveSelection;
using test::Texture;

Result<EqualizeReport> apply(EqualizePage& page, std::span<const KindTables> tables, const EqualizeOptions& options,
                             bool count = false) {
  return apply_tables(std::span(&page, 1), tables, options, test::shared_arena(), count);
}

/// What equalize() made, as if it had come from elsewhere.
KindTables tables_of(const EqualizeReport& report, const PixelFormat& format, Color color) {
  KindTables tables{.kind = table_kind(format, color, report.planes.at(0).levels), .tables = {}};
  for (const PlaneReport& plane : report.planes) tables.tables.push_back(plane.lut);
  return tables;
}

Lut random_lut(std::uint32_t bins, std::uint32_t levels, std::mt19937_64& random) {
  Lut lut(bins);
  for (std::uint32_t i = 0; i < bins; ++i) lut[i] = static_cast<std::uint16_t>(i < levels ? random() % levels : i);
  return lut;
}

test::NaiveLut naive(const Lut& lut) { return {lut.begin(), lut.end()}; }

TEST(ApplyTables, OfTheImageItselfIsEqualize) {
  std::uint64_t seed = 300;
  for (const unsigned depth : {8u, 16u}) {
    for (const Color color : {Color::luma, Color::ycrcb, Color::lab, Color::channels, Color::gray}) {
      for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::vips}) {
        for (const PixelFormat& format : {test::rgb_format(depth, 1, true), test::gray_format(depth)}) {
          NaiveImage image = naive_image(format, 90, 50, Texture::narrow, 1u << depth, ++seed, 2);
          for (unsigned c = 0; c < format.colors; ++c) image.set(8, 8, c, 0);
          NaiveImage copy = image;
          const EqualizeOptions options{.rule = rule, .color = color};
          EqualizePage page{.image = image.view(), .nodata = 0};
          const EqualizeReport own = test::equalize_page(page, options);
          const KindTables tables = tables_of(own, format, color);
          EqualizePage other{.image = copy.view(), .nodata = 0};
          const auto given = apply(other, {&tables, 1}, options, true);
          ASSERT_TRUE(given) << given.error().detail;
          ASSERT_EQ(test::samples_of(other.image), test::samples_of(page.image)) << name(color) << " " << name(rule);
          ASSERT_EQ(given->planes.size(), own.planes.size());
          for (std::size_t p = 0; p < own.planes.size(); ++p) test::expect_same(given->planes[p], own.planes[p], "");
        }
      }
    }
  }
}

/// Tables that no rule would make, and everything that leaves pixels out.
TEST(ApplyTables, AnyTableIsAppliedAsNaiveCodeDoes) {
  std::mt19937_64 random(301);
  for (const unsigned depth : {8u, 16u}) {
    for (const std::uint32_t levels : {1u << depth, 200u}) {
      for (const Color color : {Color::luma, Color::channels, Color::gray}) {
        NaiveImage image =
            naive_image(test::rgb_format(depth, 2, true), 131, 67, Texture::uniform, levels, random(), 4);
        const NaiveSelection selection{test::random_mask(image, random()), image.get(5, 5, 0)};
        KindTables tables{.kind = table_kind(image.format(), color, levels), .tables = {}};
        std::vector<test::NaiveLut> luts;
        for (std::uint32_t p = 0; p < tables.kind.planes; ++p) {
          tables.tables.push_back(random_lut(1u << depth, levels, random));
          luts.push_back(naive(tables.tables[p]));
        }
        const NaiveImage expected = color == Color::luma ? naive_apply_luma(image, luts[0], levels, selection)
                                    : color == Color::gray
                                        ? naive_apply_gray(image, luts[0], test::naive_gray, selection)
                                        : naive_apply_channels(image, luts, selection);
        EqualizePage page{.image = image.view(),
                          .levels = levels,
                          .nodata = selection.nodata,
                          .mask = std::as_bytes(std::span(selection.mask))};
        ASSERT_TRUE(apply(page, {&tables, 1}, {.color = color}));
        ASSERT_EQ(test::samples_of(page.image), expected.samples()) << name(color) << depth << " " << levels;
        ASSERT_TRUE(color == Color::gray || image.padding_is_untouched());
      }
    }
  }
}

TEST(ApplyTables, EachPageTakesThoseOfItsKind) {
  std::mt19937_64 random(302);
  std::vector<NaiveImage> images;
  std::vector<KindTables> tables;
  for (const PixelFormat& format : {test::gray_format(8), test::rgb_format(16), test::gray_format(16),
                                    PixelFormat{.colors = 5, .depth_bits = 8}, test::rgb_format(8)}) {
    images.push_back(naive_image(format, 40, 30, Texture::uniform, 1u << format.depth_bits, random()));
    KindTables some{.kind = table_kind(format, Color::channels, format.bins()), .tables = {}};
    for (std::uint32_t p = 0; p < some.kind.planes; ++p) {
      some.tables.push_back(random_lut(format.bins(), format.bins(), random));
    }
    tables.insert(tables.begin(), some);
  }
  std::vector<EqualizePage> pages;
  for (NaiveImage& image : images) pages.push_back({.image = image.view()});
  const std::vector<NaiveImage> before = images;
  std::vector<NaiveImage> expected;
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::vector<test::NaiveLut> luts;
    for (const Lut& lut : tables[images.size() - 1 - i].tables) luts.push_back(naive(lut));
    expected.push_back(naive_apply_channels(before[i], luts));
  }
  // A stack of such pages could have no table of its own; what is given fits all the same.
  const EqualizeOptions options{.color = Color::channels, .pages = PagesMode::stack};
  const auto report = apply_tables(pages, tables, options, test::shared_arena());
  ASSERT_TRUE(report) << report.error().detail;
  for (std::size_t i = 0; i < images.size(); ++i) EXPECT_EQ(images[i].samples(), expected[i].samples()) << i;
  EXPECT_EQ(report->planes.size(), 1u + 3 + 1 + 5 + 3);
}

TEST(ApplyTables, GrayAndLumaAreOneKind) {
  EXPECT_EQ(table_kind(test::gray_format(8), Color::luma, 256), table_kind(test::rgb_format(8, 1), Color::luma, 256));
  EXPECT_EQ(table_kind(test::gray_format(8), Color::channels, 256).quantity, Quantity::brightness);
  EXPECT_EQ(table_kind(test::rgb_format(8), Color::gray, 256), table_kind(test::rgb_format(8), Color::ycrcb, 256));
  EXPECT_EQ(table_kind(test::rgb_format(8), Color::lab, 256).quantity, Quantity::lightness);
  EXPECT_NE(table_kind(test::gray_format(16), Color::luma, 256), table_kind(test::gray_format(8), Color::luma, 256));
  EXPECT_NE(table_kind(test::gray_format(16), Color::luma, 4096), table_kind(test::gray_format(16), Color::luma, 256));
}

TEST(ApplyTables, AnOverviewTakesThoseOfItsImage) {
  std::mt19937_64 random(303);
  NaiveImage image = naive_image(test::gray_format(8), 40, 30, Texture::uniform, 256, 1);
  NaiveImage overview = naive_image(test::gray_format(8), 20, 15, Texture::uniform, 256, 2);
  const KindTables tables{.kind = {}, .tables = {random_lut(256, 256, random)}};
  const NaiveImage expected = naive_apply_channels(overview, {naive(tables.tables[0])});
  std::vector<EqualizePage> pages{{.image = image.view()}, {.image = overview.view(), .counted = false}};
  const auto report = apply_tables(pages, {&tables, 1}, {}, test::shared_arena(), true);
  ASSERT_TRUE(report);
  EXPECT_EQ(overview.samples(), expected.samples());
  ASSERT_EQ(report->planes.size(), 1u);
  EXPECT_EQ(report->planes[0].counted, 1200u);
}

TEST(ApplyTables, WithoutCountingThereAreNoCounts) {
  std::mt19937_64 random(304);
  NaiveImage image = naive_image(test::rgb_format(8), 40, 30, Texture::uniform, 256, 3);
  const KindTables tables{.kind = {}, .tables = {random_lut(256, 256, random)}};
  EqualizePage page{.image = image.view(), .nodata = 0};
  const auto report = apply(page, {&tables, 1}, {});
  ASSERT_TRUE(report);
  const PlaneReport& plane = report->planes.at(0);
  EXPECT_EQ(plane.lut, tables.tables[0]);
  EXPECT_EQ(plane.levels, 256u);
  EXPECT_EQ(plane.counted + plane.masked + plane.first_count + plane.nodata_collisions, 0u);
  EXPECT_EQ(plane.before, Histogram());
  EXPECT_EQ(plane.after, Histogram());
}

TEST(ApplyTables, RefusesWhatDoesNotFitAndChangesNothing) {
  std::mt19937_64 random(305);
  NaiveImage image = naive_image(test::gray_format(16), 40, 30, Texture::uniform, 4096, 4);
  image.set(7, 7, 0, 4095);
  const std::vector<std::uint32_t> before = image.samples();
  const auto refusal = [&](KindTables tables, const EqualizeOptions& options, std::uint32_t levels = 4096) {
    EqualizePage page{.image = image.view(), .levels = levels};
    const auto report = apply(page, {&tables, 1}, options);
    EXPECT_EQ(image.samples(), before);
    return report ? Error{} : report.error();
  };
  const KindTables good{.kind = {Quantity::brightness, 1, 65536, 4096}, .tables = {random_lut(65536, 4096, random)}};
  EXPECT_EQ(refusal(good, {.method = Method::clahe}).code, Errc::bad_option);
  EXPECT_EQ(refusal(good, {.range = RangeMode::automatic}).code, Errc::bad_option);
  const Error other_kind = refusal(good, {}, 0);
  EXPECT_EQ(other_kind.code, Errc::bad_option);
  EXPECT_NE(other_kind.detail.find("brightness, 16 bit, 65536 levels"), std::string::npos) << other_kind.detail;
  KindTables bad = good;
  bad.tables[0][4000] = 4096;
  EXPECT_EQ(refusal(bad, {}).code, Errc::corrupt);
  KindTables narrow{.kind = {Quantity::brightness, 1, 65536, 4095}, .tables = {random_lut(65536, 4095, random)}};
  EXPECT_EQ(refusal(narrow, {}, 4095).code, Errc::sample_out_of_range);
  EqualizePage page{.image = image.view(), .levels = 4096};
  EXPECT_EQ(apply(page, {}, {}).error().code, Errc::bad_option);
  EXPECT_EQ(image.samples(), before);
  EXPECT_TRUE(apply(page, {&good, 1}, {}));
}

}  // namespace
}  // namespace histod::compute
