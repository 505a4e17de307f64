// SPDX-License-Identifier: Apache-2.0
#include "compute/tally.hpp"

#include <functional>
#include <limits>

#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::NaiveCounts;
using test::NaiveImage;
using test::NaiveSelection;

constexpr TableKind k_gray8{};
constexpr TableKind k_gray16{Quantity::brightness, 1, 65536, 65536};
constexpr Color k_colors[] = {Color::luma, Color::ycrcb, Color::lab, Color::channels, Color::gray};

/// An image with what may leave out some of its pixels.
struct Member {
  NaiveImage image;
  std::uint32_t levels;
  NaiveSelection selection;

  EqualizePage page() {
    return {.image = image.view(),
            .levels = levels,
            .nodata = selection.nodata,
            .mask = std::as_bytes(std::span(selection.mask))};
  }
  std::uint64_t pixels() const { return std::uint64_t{image.width()} * image.height(); }
};

Member member(const PixelFormat& format, std::uint32_t levels, std::uint64_t seed, bool selected = false) {
  const auto texture = test::k_textures[seed % std::size(test::k_textures)];
  const auto width = static_cast<std::uint32_t>(20 + seed * 7 % 50);
  Member result{naive_image(format, width, 31, texture, levels, seed), levels, {}};
  if (selected) result.selection = {test::random_mask(result.image, seed), result.image.get(3, 3)};
  return result;
}

std::vector<Member> mixed_members(std::uint64_t seed) {
  std::vector<Member> members;
  for (int round = 0; round < 2; ++round) {
    members.push_back(member(test::gray_format(8), 256, ++seed));
    members.push_back(member(test::rgb_format(8), 256, ++seed, true));
    members.push_back(member(test::gray_format(16), 65536, ++seed));
    members.push_back(member(test::rgb_format(16, 1, true), 65536, ++seed));
    members.push_back(member(test::gray_format(16), 4096, ++seed, true));
    members.push_back(member(test::rgb_format(8, 2), 200, ++seed));
  }
  return members;
}

Tally tally(Member& member, const EqualizeOptions& options) {
  const EqualizePage page = member.page();
  const auto result = tally_of(std::span(&page, 1), options, test::shared_arena());
  EXPECT_TRUE(result) << result.error().detail;
  return result ? *result : Tally();
}

Tally sum_of(std::span<Member> members, const EqualizeOptions& options) {
  Tally sum;
  for (Member& member : members) EXPECT_TRUE(sum.merge(tally(member, options)));
  return sum;
}

/// The values that Color::luma, channels and gray count in an image, a plane each.
std::vector<test::NaiveValue> naive_values(const NaiveImage& image, Color color, Rule rule) {
  if (image.format().colors == 1) return {test::naive_channel(0)};
  if (color == Color::luma) return {test::naive_luma};
  if (color == Color::gray) return {rule == Rule::reference ? test::naive_gray_pillow : test::naive_gray};
  return {test::naive_channel(0), test::naive_channel(1), test::naive_channel(2)};
}

/// All pixels of the members of a kind in one count, a plane each.
std::vector<NaiveCounts> naive_sum(std::span<Member> members, const TableKind& kind, const EqualizeOptions& options) {
  std::vector<NaiveCounts> sum(kind.planes, NaiveCounts(kind.bins));
  for (Member& member : members) {
    const std::vector<test::NaiveValue> values = naive_values(member.image, options.color, options.rule);
    const bool same = member.image.format().bins() == kind.bins && member.levels == kind.levels;
    if (!same || values.size() != kind.planes) continue;
    for (std::size_t p = 0; p < values.size(); ++p) {
      const NaiveCounts counts = naive_count(member.image, values[p], member.selection);
      std::transform(counts.begin(), counts.end(), sum[p].begin(), sum[p].begin(), std::plus<>());
    }
  }
  return sum;
}

NaiveImage naive_apply(const Member& member, const std::vector<test::NaiveLut>& luts, const EqualizeOptions& options) {
  const bool gray = member.image.format().colors == 1;
  if (gray || options.color == Color::channels) return naive_apply_channels(member.image, luts, member.selection);
  if (options.color == Color::luma) return naive_apply_luma(member.image, luts[0], member.levels, member.selection);
  const auto value = naive_values(member.image, Color::gray, options.rule)[0];
  return naive_apply_gray(member.image, luts[0], value, member.selection);
}

TEST(Tally, OfASetCountsAllPixelsOfAKindTogether) {
  for (const Color color : {Color::luma, Color::channels, Color::gray}) {
    const EqualizeOptions options{.rule = Rule::exact, .color = color};
    std::vector<Member> members = mixed_members(40);
    const Tally sum = sum_of(members, options);
    // 8 and 16 bit, 200, 256 and 4096 levels: with channels, color images are kinds of their own.
    EXPECT_EQ(sum.entries().size(), color == Color::channels ? 6u : 4u);
    std::uint64_t images = 0, pixels = 0;
    for (const TallyEntry& entry : sum.entries()) {
      const std::vector<NaiveCounts> expected = naive_sum(members, entry.kind, options);
      for (std::size_t p = 0; p < expected.size(); ++p) {
        const std::span<const std::uint64_t> counts = entry.planes[p].counts();
        ASSERT_EQ(NaiveCounts(counts.begin(), counts.end()), expected[p]) << describe(entry.kind);
        ASSERT_EQ(entry.planes[p].total(), entry.counted);
      }
      images += entry.images;
      pixels += entry.counted + entry.masked;
    }
    EXPECT_EQ(images, members.size());
    for (const Member& member : members) pixels -= member.pixels();
    EXPECT_EQ(pixels, 0u);
  }
}

TEST(Tally, TablesOfASetAreThoseOfAllItsPixels) {
  for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::vips}) {
    for (const Color color : {Color::luma, Color::channels, Color::gray}) {
      const EqualizeOptions options{.rule = rule, .color = color};
      std::vector<Member> members = mixed_members(60);
      const std::vector<Member> before = members;
      const Tally sum = sum_of(members, options);
      const auto tables = make_tables(rule, sum);
      ASSERT_TRUE(tables);
      ASSERT_EQ(tables->size(), sum.entries().size());
      for (std::size_t i = 0; i < members.size(); ++i) {
        const TableKind kind = table_kind(members[i].image.format(), color, members[i].levels);
        std::vector<test::NaiveLut> luts;
        for (const NaiveCounts& counts : naive_sum(members, kind, options)) {
          luts.push_back(test::naive_lut(name(rule), counts, kind.levels));
        }
        Member copy = before[i];
        EqualizePage page = copy.page();
        ASSERT_TRUE(apply_tables(std::span(&page, 1), *tables, options, test::shared_arena()));
        ASSERT_EQ(test::samples_of(page.image), naive_apply(before[i], luts, options).samples())
            << name(rule) << " " << name(color) << " " << describe(kind);
      }
    }
  }
}

TEST(Tally, OfOneImageMakesTheTablesOfEqualize) {
  std::uint64_t seed = 80;
  for (const Color color : k_colors) {
    for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::pillow, Rule::vips}) {
      for (const PixelFormat& format :
           {test::gray_format(8), test::rgb_format(8), test::gray_format(16), test::rgb_format(16, 1, true)}) {
        if (rule == Rule::pillow && format.depth_bits == 16) continue;
        for (const bool selected : {false, true}) {
          Member own = member(format, format.bins(), ++seed, selected);
          Member given = own;
          const EqualizeOptions options{.rule = rule, .color = color};
          const auto tables = make_tables(rule, tally(given, options));
          ASSERT_TRUE(tables);
          EqualizePage page = given.page();
          const auto report = apply_tables(std::span(&page, 1), *tables, options, test::shared_arena(), true);
          ASSERT_TRUE(report) << report.error().detail;
          EqualizePage equalized = own.page();
          const EqualizeReport expected = test::equalize_page(equalized, options);
          ASSERT_EQ(test::samples_of(page.image), test::samples_of(equalized.image)) << name(color) << name(rule);
          for (std::size_t p = 0; p < expected.planes.size(); ++p) {
            test::expect_same(report->planes.at(p), expected.planes[p], std::string(name(color)));
          }
        }
      }
    }
  }
}

TEST(Tally, OfPagesIsThatOfTheirStack) {
  for (const Color color : k_colors) {
    std::vector<Member> members, copies;
    for (std::uint64_t i = 0; i < 3; ++i) members.push_back(member(test::rgb_format(16), 65536, 90 + i));
    copies = members;
    std::vector<EqualizePage> pages, others;
    for (Member& one : members) pages.push_back(one.page());
    for (Member& one : copies) others.push_back(one.page());
    const EqualizeOptions options{.rule = Rule::exact, .color = color, .pages = PagesMode::stack};
    const auto counted = tally_of(pages, options, test::shared_arena());
    ASSERT_TRUE(counted);
    ASSERT_EQ(counted->entries().size(), 1u);
    EXPECT_EQ(counted->entries()[0].images, 1u);
    ASSERT_TRUE(apply_tables(pages, *make_tables(Rule::exact, *counted), options, test::shared_arena()));
    ASSERT_TRUE(equalize(others, options, test::shared_arena()));
    for (std::size_t i = 0; i < pages.size(); ++i) {
      ASSERT_EQ(test::samples_of(pages[i].image), test::samples_of(others[i].image)) << name(color) << i;
    }
  }
}

TEST(Tally, AnOverviewIsNotCounted) {
  Member image = member(test::gray_format(8), 256, 1);
  Member overview = member(test::gray_format(8), 256, 2);
  std::vector<EqualizePage> pages{image.page(), overview.page()};
  pages[1].counted = false;
  const auto both = tally_of(pages, {}, test::shared_arena());
  ASSERT_TRUE(both);
  EXPECT_EQ(*both, tally(image, {}));
  EXPECT_EQ(tally_of({}, {}, test::shared_arena()).value(), Tally());
}

/// Members come and go in any order: what is left is the tally of those that are there.
TEST(Tally, WhatWasAddedCanBeTakenAwayExactly) {
  std::mt19937_64 random(5);
  std::vector<Member> members = mixed_members(100);
  std::vector<Tally> tallies;
  for (Member& one : members) tallies.push_back(tally(one, {.color = Color::channels}));
  std::vector<int> present(members.size());
  Tally sum;
  for (int step = 0; step < 120; ++step) {
    const std::size_t i = random() % members.size();
    if (present[i] > 0 && random() % 2 == 0) {
      ASSERT_TRUE(sum.subtract(tallies[i]));
      --present[i];
    } else {
      ASSERT_TRUE(sum.merge(tallies[i]));
      ++present[i];
    }
    Tally fresh;
    for (std::size_t k = members.size(); k-- > 0;) {
      for (int n = 0; n < present[k]; ++n) ASSERT_TRUE(fresh.merge(tallies[k]));
    }
    ASSERT_EQ(sum, fresh);
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    while (present[i]-- > 0) ASSERT_TRUE(sum.subtract(tallies[i]));
  }
  EXPECT_EQ(sum, Tally());
}

TEST(Tally, CanBeMergedWithAndTakenFromItself) {
  std::vector<Member> members = mixed_members(7);
  Tally sum = sum_of(members, {});
  const Tally once = sum;
  ASSERT_TRUE(sum.merge(sum));
  EXPECT_EQ(sum.entries()[0].counted, 2 * once.entries()[0].counted);
  ASSERT_TRUE(sum.subtract(once));
  EXPECT_EQ(sum, once);
  ASSERT_TRUE(sum.subtract(sum));
  EXPECT_TRUE(sum.entries().empty());
}

TEST(Tally, WhatWasNotAddedIsNotTakenAway) {
  Member first = member(test::gray_format(8), 256, 1), second = member(test::gray_format(8), 256, 2);
  Member deep = member(test::gray_format(16), 65536, 3);
  Tally sum = tally(first, {});
  ASSERT_TRUE(sum.merge(tally(deep, {})));
  const Tally before = sum;
  Tally kinds = tally(second, {});
  ASSERT_TRUE(kinds.merge(tally(deep, {})));
  Member color = member(test::rgb_format(8), 256, 4);
  for (const Tally& never : {tally(second, {}), kinds, tally(color, {.color = Color::channels})}) {
    const auto taken = sum.subtract(never);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Errc::corrupt);
    EXPECT_EQ(sum, before);
  }
  EXPECT_TRUE(sum.subtract(tally(first, {})));
  EXPECT_FALSE(sum.subtract(tally(first, {})));
}

TEST(Tally, TheLastImageTakesAllPixelsWithIt) {
  // As many images, but fewer pixels: it must have been another.
  Member whole = member(test::gray_format(8), 256, 6);
  Member part = whole;
  part.selection.mask.assign(whole.pixels(), 1);
  part.selection.mask[0] = 0;
  Tally sum = tally(whole, {});
  EXPECT_EQ(sum.subtract(tally(part, {})).error().code, Errc::corrupt);
  part.selection.mask.assign(whole.pixels(), 0);
  Tally none = tally(part, {});
  EXPECT_EQ(none.entries()[0].images, 1u);
  EXPECT_EQ(none.entries()[0].masked, whole.pixels());
  EXPECT_EQ(sum.subtract(none).error().code, Errc::corrupt);
  EXPECT_EQ(none.subtract(tally(whole, {})).error().code, Errc::corrupt);
}

TEST(Tally, KindsBeyondTheMemoryAreRefused) {
  Tally sum;
  for (std::uint32_t levels = 1000; levels < 1003; ++levels) {
    Member one = member(test::gray_format(16), levels, levels);
    ASSERT_TRUE(sum.merge(tally(one, {}), 3 << 19));
    ASSERT_TRUE(sum.merge(tally(one, {}), 3 << 19));
  }
  const Tally before = sum;
  Member one_more = member(test::gray_format(8), 256, 4);
  const auto merged = sum.merge(tally(one_more, {}), 3 << 19);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Errc::bytes_over_limit);
  EXPECT_EQ(merged.error().value, (3u << 19) + 2048);
  EXPECT_EQ(merged.error().limit, 3u << 19);
  EXPECT_EQ(sum, before);
}

TEST(Tally, SumsAboveSixtyFourBitsAreRefused) {
  Member one = member(test::gray_format(8), 256, 4);
  Tally sum = tally(one, {});
  for (int i = 0; i < 200; ++i) {
    const Tally before = sum;
    if (const auto merged = sum.merge(before); !merged) {
      EXPECT_EQ(merged.error().code, Errc::pixels_over_limit);
      EXPECT_EQ(sum, before);
      EXPECT_GT(before.entries()[0].counted, std::numeric_limits<std::uint64_t>::max() / 2);
      return;
    }
  }
  FAIL() << "twice as much two hundred times";
}

TEST(Tally, RangesAreFullOrFixed) {
  Member one = member(test::gray_format(16), 4096, 4);
  one.image.set(0, 0, 0, 4095);
  EqualizePage page = one.page();
  const auto refusal = [&](const EqualizeOptions& options) {
    const auto counted = tally_of(std::span(&page, 1), options, test::shared_arena());
    return counted ? std::error_code() : counted.error().code;
  };
  EXPECT_EQ(refusal({.range = RangeMode::automatic}), Errc::bad_option);
  EXPECT_EQ(refusal({.range = RangeMode::fixed, .range_levels = 4095}), Errc::sample_out_of_range);
  EXPECT_EQ(refusal({.rule = Rule::pillow}), Errc::bad_option);
  page.levels = 0;
  const EqualizeOptions fixed{.range = RangeMode::fixed, .range_levels = 4096};
  EXPECT_EQ(tally_of(std::span(&page, 1), fixed, test::shared_arena()).value(), tally(one, {}));
}

TEST(MatchTables, OfASetToItselfChangeNothing) {
  std::vector<Member> members = mixed_members(120);
  const std::vector<Member> before = members;
  const Tally sum = sum_of(members, {});
  const auto tables = match_tables(sum, sum);
  ASSERT_TRUE(tables);
  for (std::size_t i = 0; i < members.size(); ++i) {
    EqualizePage page = members[i].page();
    ASSERT_TRUE(apply_tables(std::span(&page, 1), *tables, {}, test::shared_arena()));
    ASSERT_EQ(members[i].image.samples(), before[i].image.samples());
  }
}

TEST(MatchTables, AreThoseOfEachPlane) {
  Member source = member(test::rgb_format(8), 256, 121), reference = member(test::rgb_format(8), 256, 122);
  const EqualizeOptions options{.color = Color::channels};
  const Tally from = tally(source, options), to = tally(reference, options);
  const auto tables = match_tables(from, to);
  ASSERT_TRUE(tables);
  ASSERT_EQ(tables->size(), 1u);
  EXPECT_TRUE(check(tables->front()));
  for (std::size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(tables->front().tables[p], *match_lut(from.entries()[0].planes[p], to.entries()[0].planes[p], 256));
  }
}

TEST(MatchTables, NeedTheKindInTheReference) {
  Member deep = member(test::gray_format(16), 65536, 123), plain = member(test::gray_format(8), 256, 124);
  const auto tables = match_tables(tally(deep, {}), tally(plain, {}));
  ASSERT_FALSE(tables);
  EXPECT_EQ(tables.error().code, Errc::bad_option);
  EXPECT_NE(tables.error().detail.find("brightness, 16 bit, 65536 levels"), std::string::npos);
  EXPECT_NE(tally(deep, {}).find(k_gray16), nullptr);
  EXPECT_EQ(tally(deep, {}).find(k_gray8), nullptr);
}

}  // namespace
}  // namespace histod::compute
