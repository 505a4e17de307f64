// SPDX-License-Identifier: Apache-2.0
#include "compute/seams.hpp"

#include <cstdlib>

#include "compute/tally.hpp"
#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::NaiveImage;
using test::NaiveSelection;
using test::Texture;

EqualizePage page_of(NaiveImage& image, const NaiveSelection& selection = {}) {
  return {.image = image.view(), .nodata = selection.nodata, .mask = std::as_bytes(std::span(selection.mask))};
}

std::vector<Seam> naive_seam(const NaiveImage& a, const NaiveSelection& of_a, const NaiveImage& b,
                             const NaiveSelection& of_b, Side side) {
  std::vector<Seam> seams(a.format().colors);
  const std::uint32_t length = side == Side::right ? a.height() : a.width();
  for (std::uint32_t i = 0; i < length; ++i) {
    const std::uint32_t ax = side == Side::right ? a.width() - 1 : i, ay = side == Side::right ? i : a.height() - 1;
    const std::uint32_t bx = side == Side::right ? 0 : i, by = side == Side::right ? i : 0;
    if (!naive_keeps(a, of_a, ax, ay) || !naive_keeps(b, of_b, bx, by)) continue;
    for (unsigned c = 0; c < a.format().colors; ++c) {
      const auto step = std::abs(std::int64_t{a.get(ax, ay, c)} - std::int64_t{b.get(bx, by, c)});
      ++seams[c].pairs;
      seams[c].sum += static_cast<std::uint64_t>(step);
      seams[c].largest = std::max(seams[c].largest, static_cast<std::uint32_t>(step));
    }
  }
  return seams;
}

/// `image` from column or row `from` on, so many of them.
NaiveImage cut(const NaiveImage& image, Side side, std::uint32_t from, std::uint32_t size) {
  const bool across = side == Side::right;
  NaiveImage part(image.format(), across ? size : image.width(), across ? image.height() : size);
  for (std::uint32_t y = 0; y < part.height(); ++y) {
    for (std::uint32_t x = 0; x < part.width(); ++x) {
      for (unsigned c = 0; c < image.format().channels(); ++c) {
        part.set(x, y, c, image.get(x + (across ? from : 0), y + (across ? 0 : from), c));
      }
    }
  }
  return part;
}

TEST(Seams, AreAsNaiveCodeFindsThem) {
  std::uint64_t seed = 400;
  for (const Side side : {Side::right, Side::below}) {
    for (const PixelFormat& format : {test::gray_format(8), test::rgb_format(8, 2, true), test::gray_format(16),
                                      test::rgb_format(16), PixelFormat{.colors = 5, .depth_bits = 16}}) {
      for (const bool selected : {false, true}) {
        const std::uint32_t other = side == Side::right ? 37 : 29;
        NaiveImage a = naive_image(format, 37, 29, Texture::uniform, 1u << format.depth_bits, ++seed, 6);
        NaiveImage b = naive_image(format, side == Side::right ? 11 : 37, side == Side::right ? 29 : 13,
                                   Texture::narrow, 1u << format.depth_bits, ++seed);
        NaiveSelection of_a, of_b;
        if (selected) {
          of_a = {test::random_mask(a, seed), a.get(other / 2, 3)};
          of_b = {test::random_mask(b, seed + 1), b.get(0, 0)};
        }
        const auto seams = seam_between(page_of(a, of_a), page_of(b, of_b), side);
        ASSERT_TRUE(seams) << seams.error().detail;
        EXPECT_EQ(*seams, naive_seam(a, of_a, b, of_b, side)) << describe(a);
        EXPECT_LE(seams->at(0).pairs, side == Side::right ? 29u : 37u);
      }
    }
  }
}

/// What datasets are for: tiles equalized by the table of all of them have the steps that the whole image has there.
TEST(Seams, TilesByOneTableAdjoinAsInTheWholeImage) {
  for (const Side side : {Side::right, Side::below}) {
    for (const Color color : {Color::luma, Color::channels}) {
      NaiveImage whole = naive_image(test::rgb_format(16), 60, 60, Texture::gradient, 65536, 7);
      NaiveImage first = cut(whole, side, 0, 25), second = cut(whole, side, 25, 35);
      const EqualizeOptions options{.rule = Rule::exact, .color = color};
      std::vector<EqualizePage> pages{page_of(first), page_of(second)};
      const auto tally = tally_of(pages, options, test::shared_arena());
      ASSERT_TRUE(tally);
      ASSERT_TRUE(apply_tables(pages, *make_tables(Rule::exact, *tally), options, test::shared_arena()));
      test::equalize_image(whole, options);
      NaiveImage left = cut(whole, side, 0, 25), right = cut(whole, side, 25, 35);
      const auto seams = seam_between(pages[0], pages[1], side);
      ASSERT_TRUE(seams);
      EXPECT_EQ(*seams, naive_seam(left, {}, right, {}, side));
      EXPECT_EQ(seams->at(0).pairs, 60u);
    }
  }
}

TEST(Seams, MergeIsTheSumAndTheLargest) {
  Seam seam{.pairs = 3, .sum = 10, .largest = 9};
  seam.merge({.pairs = 2, .sum = 7, .largest = 6});
  EXPECT_EQ(seam, (Seam{.pairs = 5, .sum = 17, .largest = 9}));
  seam.merge({.pairs = 1, .sum = 65535, .largest = 65535});
  EXPECT_EQ(seam, (Seam{.pairs = 6, .sum = 65552, .largest = 65535}));
}

TEST(Seams, NothingAdjoinsNothing) {
  NaiveImage none(test::gray_format(8), 0, 12),
      some = naive_image(test::gray_format(8), 5, 12, Texture::uniform, 256, 8);
  EXPECT_EQ(seam_between(page_of(none), page_of(some), Side::right).value(), std::vector<Seam>(1));
  EXPECT_EQ(seam_between(page_of(some), page_of(none), Side::right).value(), std::vector<Seam>(1));
  NaiveImage empty(test::gray_format(8), 0, 0);
  EXPECT_EQ(seam_between(page_of(empty), page_of(empty), Side::below).value(), std::vector<Seam>(1));
}

TEST(Seams, WhatDoesNotFitIsRefused) {
  NaiveImage image = naive_image(test::gray_format(8), 20, 10, Texture::uniform, 256, 9);
  const auto code = [&](const PixelFormat& format, std::uint32_t width, std::uint32_t height, Side side) {
    NaiveImage other = naive_image(format, width, height, Texture::uniform, 256, 10);
    const auto seams = seam_between(page_of(image), page_of(other), side);
    return seams ? std::error_code() : seams.error().code;
  };
  EXPECT_EQ(code(test::gray_format(8), 7, 10, Side::right), std::error_code());
  EXPECT_EQ(code(test::gray_format(8), 7, 10, Side::below), Errc::bad_option);
  EXPECT_EQ(code(test::gray_format(8), 20, 7, Side::below), std::error_code());
  EXPECT_EQ(code(test::gray_format(8), 20, 7, Side::right), Errc::bad_option);
  EXPECT_EQ(code(test::gray_format(16), 20, 10, Side::right), Errc::bad_option);
  EXPECT_EQ(code(test::rgb_format(8), 20, 10, Side::right), Errc::bad_option);
  // Only colors count: alpha on one side does not keep tiles apart.
  EXPECT_EQ(code({.colors = 1, .extras = 1, .alpha = true, .depth_bits = 8}, 20, 10, Side::right), std::error_code());
  const NaiveSelection short_mask{std::vector<std::uint8_t>(199, 1), std::nullopt};
  EXPECT_EQ(seam_between(page_of(image, short_mask), page_of(image), Side::right).error().code, Errc::bad_option);
}

}  // namespace
}  // namespace histod::compute
