// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/chart.hpp"

#include <cmath>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::bench {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

Row row_of(const std::string& work, double ours, double theirs, Judge judge = Judge::faster, double target = 0) {
  return {.target = target > 0 ? "P1" : "",
          .work = work,
          .input = "noise",
          .peer = "peer",
          .values = {{ours}, {theirs}},
          .judge = judge,
          .target_ratio = target};
}

Report report_of(std::vector<Row> rows) {
  return {.facts = {{"cpu", "Brand <&> \"X\""}, {"commit", "abc123"}, {"linux", "6"}},
          .inputs = {},
          .notes = {},
          .rows = std::move(rows)};
}

/// An attribute of each element of that name, in order.
std::vector<double> numbers_of(const std::string& svg, const std::string& element, const std::string& attribute) {
  const std::regex each("<" + element + " [^>]*>"), value(" " + attribute + "=\"([-0-9.]+)\"");
  std::vector<double> out;
  for (std::sregex_iterator it(svg.begin(), svg.end(), each), end; it != end; ++it) {
    const std::string text = it->str();
    std::smatch match;
    if (std::regex_search(text, match, value)) out.push_back(std::stod(match[1]));
  }
  return out;
}

/// Every element is closed in its turn, and no bare ampersand is left.
bool well_formed(const std::string& svg) {
  static const std::regex tag("<(/?)([a-z]+)[^<>]*?(/?)>|&(?!amp;|lt;|gt;)");
  std::vector<std::string> open;
  for (std::sregex_iterator it(svg.begin(), svg.end(), tag), end; it != end; ++it) {
    if ((*it)[2].length() == 0) return false;
    if ((*it)[3].length() > 0) continue;
    if ((*it)[1].length() == 0) {
      open.push_back((*it)[2]);
    } else {
      if (open.empty() || open.back() != (*it)[2]) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(Chart, HasABarForEachRatio) {
  const std::string svg =
      to_svg(report_of({row_of("twice", 10, 20), row_of("half", 20, 10), row_of("tenfold", 1, 10)}));
  EXPECT_TRUE(well_formed(svg)) << svg;
  const auto widths = numbers_of(svg, "rect", "width");  // without the background's, which is in per cent
  ASSERT_THAT(widths, SizeIs(3));
  EXPECT_NEAR(widths[0], widths[1], 0.2) << "twice as fast and half as fast are as far from 1";
  EXPECT_NEAR(widths[2] / widths[0], std::log10(10) / std::log10(2), 0.02) << "the scale is logarithmic";
  const auto starts = numbers_of(svg, "rect", "x");
  EXPECT_NEAR(starts[0], starts[2], 0.1) << "better than 1 goes to the right";
  EXPECT_NEAR(starts[1] + widths[1], starts[0], 0.2) << "worse to the left";
}

TEST(Chart, TheTargetIsATickAndTheVerdictAColour) {
  const std::string svg =
      to_svg(report_of({row_of("a", 10, 30, Judge::faster, 2), row_of("b", 10, 15, Judge::faster, 2),
                        row_of("c", 10, 15), row_of("d", 11, 10, Judge::within, 1.15)}));
  EXPECT_TRUE(well_formed(svg));
  const std::regex bar("<rect x[^>]*fill=\"([^\"]+)\"");
  std::vector<std::string> colors;
  for (std::sregex_iterator it(svg.begin(), svg.end(), bar), end; it != end; ++it) colors.push_back((*it)[1]);
  ASSERT_THAT(colors, SizeIs(4));
  EXPECT_NE(colors[0], colors[1]);
  EXPECT_NE(colors[1], colors[2]);
  EXPECT_EQ(colors[0], colors[3]);
  EXPECT_THAT(svg, HasSubstr("3.00 (at least 2: met)"));
  EXPECT_THAT(svg, HasSubstr("1.50 (at least 2: missed)"));
  EXPECT_THAT(svg, HasSubstr("1.10 (at most 1.15: met)"));
  EXPECT_THAT(numbers_of(svg, "line", "stroke-width"), SizeIs(3)) << "one without a target";
}

TEST(Chart, RowsWithoutARatioHaveNoBar) {
  Row wrong = row_of("wrong row", 1, 2), missing = row_of("missing row", 1, 2), alone = row_of("alone row", 1, 2);
  wrong.wrong = "a sample differs";
  missing.missing = "install it";
  alone.values.theirs.clear();
  Row zero = row_of("zero row", 0, 1, Judge::more), endless = row_of("endless row", 0, 1);
  const std::string svg = to_svg(report_of({wrong, missing, alone, zero, endless, row_of("a row", 1, 2)}));
  EXPECT_TRUE(well_formed(svg));
  for (const char* work : {"wrong row", "missing row", "alone row", "zero row", "endless row"})
    EXPECT_THAT(svg, Not(HasSubstr(work)));
  EXPECT_THAT(svg, HasSubstr("a row"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(Chart, SaysWhereItComesFrom) {
  const std::string svg = to_svg(report_of({row_of("<work> & more\n", 1, 2)}));
  EXPECT_TRUE(well_formed(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("Brand &lt;&amp;&gt;"));
  EXPECT_THAT(svg, HasSubstr("commit abc123"));
  EXPECT_THAT(svg, HasSubstr("&lt;work&gt; &amp; more"));
  EXPECT_TRUE(well_formed(to_svg(report_of({})))) << "nothing was measured: still a picture";
}

TEST(Chart, EveryBarIsInsideThePicture) {
  std::vector<Row> rows;
  for (int power = -6; power <= 6; ++power) rows.push_back(row_of("w", 1, std::pow(7, power), Judge::faster, 3));
  const std::string svg = to_svg(report_of(rows));
  const double width = numbers_of(svg, "svg", "width").front(), height = numbers_of(svg, "svg", "height").front();
  const auto x = numbers_of(svg, "rect", "x"), y = numbers_of(svg, "rect", "y");
  const auto widths = numbers_of(svg, "rect", "width");
  ASSERT_THAT(x, SizeIs(13));
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_GE(x[i], 0);
    EXPECT_LE(x[i] + widths[i], width);
    EXPECT_LE(y[i] + 12, height);
    EXPECT_TRUE(i == 0 || y[i] > y[i - 1]);
  }
}

}  // namespace
}  // namespace histod::bench
