// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/query.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon::api {
namespace {

using compute::codec::FileFormat;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

ImageOptions options_of(std::string_view query) {
  const auto parsed = parse_query(query);
  EXPECT_TRUE(parsed) << query;
  const auto options = image_options(parsed.value());
  EXPECT_TRUE(options) << query << ": " << options.error().detail;
  return options.value_or(ImageOptions{});
}

/// The problem of a query that must be refused.
Problem refusal_of(std::string_view query) {
  const auto parsed = parse_query(query);
  if (!parsed) return parsed.error();
  const auto options = image_options(*parsed);
  EXPECT_FALSE(options) << query << " must be refused";
  return options ? Problem{} : options.error();
}

TEST(ParseQuery, TakesNamesAndValuesApart) {
  EXPECT_THAT(parse_query("b=2&a=1").value(), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_TRUE(parse_query("").value().empty());
  EXPECT_THAT(parse_query("&&a=1&&").value(), ElementsAre(Pair("a", "1")));
  EXPECT_THAT(parse_query("a").value(), ElementsAre(Pair("a", "")));
  EXPECT_THAT(parse_query("a=b=c").value(), ElementsAre(Pair("a", "b=c")));
}

TEST(ParseQuery, DecodesEscapes) {
  EXPECT_THAT(parse_query("a%20b=c+d%2B%26%3d").value(), ElementsAre(Pair("a b", "c d+&=")));
  EXPECT_THAT(parse_query("x=%C3%A4").value(), ElementsAre(Pair("x", "\xc3\xa4")));
  EXPECT_THAT(parse_query("x=%41").value(), ElementsAre(Pair("x", "A"))) << "an escape may be the end of the text";
}

TEST(ParseQuery, RefusesBadEscapesAndControlCharacters) {
  for (const char* query : {"a=%", "a=%4", "a=%4g", "a=%zz", "%=1", "a=%00", "a=%0a", "a=%0D", "%1f=x", "a=%7F"}) {
    const auto parsed = parse_query(query);
    ASSERT_FALSE(parsed) << query;
    EXPECT_EQ(parsed.error().status, 400u);
    EXPECT_EQ(parsed.error().code, "bad-option");
  }
}

TEST(ParseQuery, RefusesANameTwiceHoweverItIsWritten) {
  for (const char* query : {"rule=exact&rule=exact", "rule=exact&rule=vips", "rule=exact&%72ule=vips", "a&a"}) {
    const auto parsed = parse_query(query);
    ASSERT_FALSE(parsed) << query;
    EXPECT_THAT(parsed.error().detail, HasSubstr("twice"));
  }
}

TEST(ParseQuery, TakesThirtyTwoNamesAndNoMore) {
  std::string query;
  for (int i = 0; i < 32; ++i) query += "n" + std::to_string(i) + "=1&";
  EXPECT_EQ(parse_query(query).value().size(), 32u);
  EXPECT_FALSE(parse_query(query + "one-more=1"));
}

TEST(ImageOptions, AreTheDefaultsWithoutAQuery) {
  const ImageOptions options = options_of("");
  EXPECT_EQ(options.equalize.method, compute::Method::global);
  EXPECT_EQ(options.equalize.rule, compute::Rule::opencv);
  EXPECT_EQ(options.equalize.color, compute::Color::luma);
  EXPECT_EQ(options.equalize.pages, compute::PagesMode::each);
  EXPECT_EQ(options.equalize.range, compute::RangeMode::full);
  EXPECT_EQ(options.equalize.clip, 2.0);
  EXPECT_EQ(options.equalize.tiles_x, 8u);
  EXPECT_EQ(options.equalize.tiles_y, 8u);
  EXPECT_FALSE(options.format || options.quality || options.nodata);
  EXPECT_FALSE(options.nodata_none || options.histogram_only || options.png_small);
}

TEST(ImageOptions, TakeEveryNamedValue) {
  using compute::Color, compute::Method, compute::Rule;
  EXPECT_EQ(options_of("method=global").equalize.method, Method::global);
  EXPECT_EQ(options_of("method=clahe").equalize.method, Method::clahe);
  const std::pair<const char*, Rule> rules[] = {{"opencv", Rule::opencv},
                                                {"exact", Rule::exact},
                                                {"reference", Rule::reference},
                                                {"pillow", Rule::pillow},
                                                {"vips", Rule::vips}};
  for (const auto& [name, rule] : rules) EXPECT_EQ(options_of(std::string("rule=") + name).equalize.rule, rule);
  const std::pair<const char*, Color> colors[] = {{"luma", Color::luma},
                                                  {"ycrcb", Color::ycrcb},
                                                  {"lab", Color::lab},
                                                  {"channels", Color::channels},
                                                  {"gray", Color::gray}};
  for (const auto& [name, color] : colors) EXPECT_EQ(options_of(std::string("color=") + name).equalize.color, color);
  const std::pair<const char*, FileFormat> formats[] = {{"png", FileFormat::png},   {"jpeg", FileFormat::jpeg},
                                                        {"tiff", FileFormat::tiff}, {"pgm", FileFormat::pgm},
                                                        {"ppm", FileFormat::ppm},   {"pam", FileFormat::pam}};
  for (const auto& [name, format] : formats) EXPECT_EQ(options_of(std::string("format=") + name).format, format);
  EXPECT_EQ(options_of("pages=each").equalize.pages, compute::PagesMode::each);
  EXPECT_EQ(options_of("pages=stack").equalize.pages, compute::PagesMode::stack);
}

TEST(ImageOptions, TakeNumbersUpToTheirBounds) {
  EXPECT_EQ(options_of("method=clahe&clip=0").equalize.clip, 0.0);
  EXPECT_EQ(options_of("method=clahe&clip=2.5").equalize.clip, 2.5);
  EXPECT_EQ(options_of("method=clahe&clip=1000").equalize.clip, 1000.0);
  const auto tiles = options_of("method=clahe&tiles=1x256").equalize;
  EXPECT_EQ(tiles.tiles_x, 1u);
  EXPECT_EQ(tiles.tiles_y, 256u);
  EXPECT_EQ(options_of("method=clahe&tiles=7").equalize.tiles_y, 7u);
  EXPECT_EQ(options_of("quality=1").quality, 1);
  EXPECT_EQ(options_of("format=jpeg&quality=100").quality, 100);
  EXPECT_TRUE(options_of("png=small").png_small);
  EXPECT_TRUE(options_of("png=small&format=png").png_small);
  EXPECT_FALSE(options_of("png=fast").png_small);
  EXPECT_EQ(options_of("range=full").equalize.range, compute::RangeMode::full);
  EXPECT_EQ(options_of("range=auto").equalize.range, compute::RangeMode::automatic);
  EXPECT_EQ(options_of("range=2").equalize.range_levels, 2u);
  const auto levels = options_of("range=65536").equalize;
  EXPECT_EQ(levels.range, compute::RangeMode::fixed);
  EXPECT_EQ(levels.range_levels, 65'536u);
  EXPECT_EQ(options_of("nodata=0").nodata, 0.0);
  EXPECT_EQ(options_of("nodata=-9999.5").nodata, -9999.5);
  EXPECT_EQ(options_of("nodata=1e3").nodata, 1000.0);
  EXPECT_TRUE(options_of("nodata=none").nodata_none);
}

TEST(ImageOptions, RefuseWhatIsOutOfBoundsOrNoNumberAndSayWhatTheyTake) {
  for (const char* query : {"method=clahe&clip=-0.1",
                            "method=clahe&clip=1000.1",
                            "method=clahe&clip=nan",
                            "method=clahe&clip=inf",
                            "method=clahe&clip=",
                            "method=clahe&clip=2,5",
                            "method=clahe&clip=2x",
                            "method=clahe&tiles=0",
                            "method=clahe&tiles=257",
                            "method=clahe&tiles=8x",
                            "method=clahe&tiles=x8",
                            "method=clahe&tiles=8x0",
                            "method=clahe&tiles=8x257",
                            "method=clahe&tiles=8x8x8",
                            "method=clahe&tiles=8X8",
                            "method=clahe&tiles=-8",
                            "method=clahe&tiles=4294967304",
                            "png=",
                            "png=Small",
                            "png=9",
                            "quality=0",
                            "quality=101",
                            "quality=50.5",
                            "quality=",
                            "quality=%2050",
                            "range=1",
                            "range=65537",
                            "range=0",
                            "range=",
                            "range=FULL",
                            "nodata=",
                            "nodata=nan",
                            "nodata=inf",
                            "nodata=-inf",
                            "nodata=1e999",
                            "nodata=zero",
                            "method=local",
                            "method=",
                            "rule=OpenCV",
                            "rule=best",
                            "color=grey",
                            "pages=all",
                            "format=gif",
                            "format=image/png"}) {
    const Problem problem = refusal_of(query);
    EXPECT_EQ(problem.status, 400u) << query;
    EXPECT_EQ(problem.code, "bad-option") << query;
    EXPECT_THAT(problem.detail, HasSubstr(" takes ")) << query;
  }
}

TEST(ImageOptions, RefuseUnknownNamesAndSayWhichThereAre) {
  for (const char* query : {"rules=exact", "Rule=exact", "=exact", "bins=16", "limit=3"}) {
    const Problem problem = refusal_of(query);
    EXPECT_EQ(problem.code, "bad-option") << query;
    EXPECT_THAT(problem.detail,
                HasSubstr("method, rule, color, clip, tiles, nodata, range, pages, format, quality, png"));
  }
  const auto also = image_options({{"bins", "16"}, {"rule", "exact"}}, {"bins"});
  ASSERT_TRUE(also) << "a name that the resource takes itself";
  EXPECT_EQ(also->equalize.rule, compute::Rule::exact);
}

TEST(ImageOptions, RefuseOptionsThatSayNothingTogether) {
  EXPECT_THAT(refusal_of("clip=3").detail, HasSubstr("method=clahe"));
  EXPECT_THAT(refusal_of("method=global&tiles=4").detail, HasSubstr("method=clahe"));
  EXPECT_THAT(refusal_of("format=png&quality=80").detail, HasSubstr("jpeg"));
  EXPECT_THAT(refusal_of("format=tiff&png=small").detail, HasSubstr("format=png"));
}

TEST(NumberOption, IsAWholeNumberWithinItsBounds) {
  EXPECT_EQ(number_option("limit", "1", 1, 1'000).value(), 1u);
  EXPECT_EQ(number_option("limit", "1000", 1, 1'000).value(), 1'000u);
  for (const char* text : {"0", "1001", "", "-1", "+1", " 1", "1 ", "1.0", "0x10", "99999999999999999999"}) {
    const auto number = number_option("limit", text, 1, 1'000);
    ASSERT_FALSE(number) << text;
    EXPECT_THAT(number.error().detail, HasSubstr("limit takes a whole number from 1 to 1000"));
  }
}

TEST(PercentDecode, TakesAPlusAsItIsInAPath) {
  EXPECT_EQ(percent_decode("a+b%20c", false), "a+b c");
  EXPECT_EQ(percent_decode("a+b%20c", true), "a b c");
  EXPECT_EQ(percent_decode("%2F", false), "/");
  EXPECT_EQ(percent_decode("%e", false), std::nullopt);
}

struct AcceptCase {
  const char* accept;
  std::optional<FileFormat> format;
};

TEST(AcceptedFormat, IsTheOneThatIsPreferred) {
  const AcceptCase cases[] = {
      {"", std::nullopt},
      {"  ", std::nullopt},
      {"*/*", std::nullopt},
      {"image/*", std::nullopt},
      {"image/png", FileFormat::png},
      {"image/jpeg", FileFormat::jpeg},
      {"image/tiff", FileFormat::tiff},
      {"image/x-portable-graymap", FileFormat::pgm},
      {"image/x-portable-pixmap", FileFormat::ppm},
      {"image/webp, image/png", FileFormat::png},
      {"image/png,image/jpeg", FileFormat::png},
      {"image/png;q=0.5, image/jpeg", FileFormat::jpeg},
      {"image/png;q=0.5,image/jpeg;q=0.9", FileFormat::jpeg},
      {"image/png ; q=0.1 , image/jpeg ; q=0.2", FileFormat::jpeg},
      {"text/html, */*;q=0.8", std::nullopt},
      {"image/avif,image/webp,*/*", std::nullopt},
      {"image/tiff;q=0.2, */*;q=0.1", FileFormat::tiff},
      {"*/*, image/tiff;q=0.2", std::nullopt},
      {"image/png;q=0, image/jpeg", FileFormat::jpeg},
      {"Image/PNG", FileFormat::png},
      {"image/png;Q=0.1, image/jpeg;q=0.5", FileFormat::jpeg},
      {"image/png;seq=0, image/jpeg;q=0.5", FileFormat::png},
  };
  for (const AcceptCase& c : cases) {
    const auto format = accepted_format(c.accept);
    ASSERT_TRUE(format) << c.accept;
    EXPECT_EQ(*format, c.format) << c.accept;
  }
}

TEST(AcceptedFormat, IsA406WhenThereIsNoneThatWeWrite) {
  for (const char* accept :
       {"text/html", "image/webp", "image/png;q=0", "application/json, text/plain;q=0.5", "png", "*/*;q=0", ";", ","}) {
    const auto format = accepted_format(accept);
    ASSERT_FALSE(format) << accept;
    EXPECT_EQ(format.error().status, 406u);
    EXPECT_EQ(format.error().code, "not-acceptable");
    EXPECT_THAT(format.error().detail, HasSubstr("image/png"));
  }
}

}  // namespace
}  // namespace histod::daemon::api
