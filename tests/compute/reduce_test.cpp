// SPDX-License-Identifier: Apache-2.0
#include "compute/reduce.hpp"

#include <gtest/gtest.h>

#include "tests/support/naive_equalize.hpp"

namespace histod::compute {
namespace {

using test::counts_of;
using test::NaiveImage;
using test::Texture;

Arena& arena() {
  static Arena shared({.cpus = {}, .threads = 3});
  return shared;
}

Histogram count_channel(const ImageView& view, unsigned channel = 0) {
  const Plane plane{PlaneKind::channel, channel};
  EqualizePage page{.image = view};
  return count_planes(page, std::span(&plane, 1), view.format.bins(), arena()).front().histogram;
}

TEST(Reduce, CountsWhatIsThere) {
  std::uint64_t seed = 0;
  for (const unsigned depth : {8u, 16u}) {
    for (const Texture texture : test::k_textures) {
      for (const auto& [width, height] : {std::pair{1u, 1u}, {13u, 5u}, {300u, 200u}, {5000u, 31u}, {3u, 4001u}}) {
        NaiveImage image = naive_image(test::gray_format(depth), width, height, texture, 1u << depth, ++seed,
                                       std::size_t{width} % 3 * 2);
        const Histogram counts = count_channel(image.view());
        EXPECT_EQ(counts_of(counts), naive_count(image, test::naive_channel(0)));
        EXPECT_EQ(counts.total(), std::uint64_t{width} * height);
      }
    }
  }
}

/// Large enough for the tables of pairs, with rows of an odd number of samples.
TEST(Reduce, ALargeImageIsCountedByPairs) {
  for (const Texture texture : test::k_textures) {
    NaiveImage image = naive_image(test::gray_format(8), 2051, 1601, texture, 256, 7, 1);
    const auto all = naive_count(image, test::naive_channel(0));
    EXPECT_EQ(counts_of(count_channel(image.view())), all);
    std::vector<std::byte> mask(std::size_t{2051} * 1601, std::byte{1});
    std::vector<std::uint64_t> expected = all;
    for (std::size_t i = 0; i < mask.size(); i += 3) {
      mask[i] = std::byte{0};
      --expected[std::to_integer<unsigned>(image.view().row(static_cast<std::uint32_t>(i / 2051))[i % 2051])];
    }
    const EqualizePage page{.image = image.view(), .mask = mask};
    const Plane plane;
    const PlaneCount masked = count_planes(page, std::span(&plane, 1), 256, arena()).front();
    EXPECT_EQ(counts_of(masked.histogram), expected);
    EXPECT_EQ(masked.masked, (mask.size() + 2) / 3);
  }
}

TEST(Reduce, ManyBandsAreCountedEachByItself) {
  const PixelFormat format{.colors = 7, .extras = 1, .alpha = false, .depth_bits = 16};
  NaiveImage image = naive_image(format, 90, 70, Texture::narrow, 65536, 3);
  std::vector<Plane> planes(7);
  for (unsigned c = 0; c < 7; ++c) planes[c].channel = c;
  EqualizePage page{.image = image.view()};
  const auto counts = count_planes(page, planes, 65536, arena());
  ASSERT_EQ(counts.size(), 7u);
  for (unsigned c = 0; c < 7; ++c)
    EXPECT_EQ(counts_of(counts[c].histogram), naive_count(image, test::naive_channel(c)));
}

TEST(Reduce, TheWholeIsTheSumOfItsPartsAtEverySplit) {
  NaiveImage image = naive_image(test::gray_format(8), 37, 41, Texture::narrow, 256, 5, 3);
  const Histogram whole = count_channel(image.view());
  for (std::uint32_t split = 0; split <= image.height(); ++split) {
    ImageView top = image.view();
    ImageView bottom = top;
    top.height = split;
    bottom.data = top.data + split * top.stride_bytes;
    bottom.height -= split;
    Histogram sum = count_channel(top);
    sum.merge(count_channel(bottom));
    ASSERT_EQ(sum, whole) << split;
  }
  for (std::uint32_t split = 0; split <= image.width(); ++split) {
    ImageView left = image.view();
    ImageView right = left;
    left.width = split;
    right.data = left.data + split;
    right.width -= split;
    Histogram sum = count_channel(left);
    sum.merge(count_channel(right));
    ASSERT_EQ(sum, whole) << split;
  }
}

TEST(Reduce, LargestSampleSkipsWhatIsLeftOut) {
  const PixelFormat format = test::rgb_format(16, 1, true);
  NaiveImage image(format, 50, 40);
  for (std::uint32_t y = 0; y < 40; ++y) {
    for (std::uint32_t x = 0; x < 50; ++x) {
      for (unsigned c = 0; c < 3; ++c) image.set(x, y, c, x + y);
      image.set(x, y, 3, 65535);
    }
  }
  image.set(7, 7, 2, 9000);
  EqualizePage page{.image = image.view()};
  EXPECT_EQ(largest_sample(page, arena()), 9000u);
  image.set(7, 7, 3, 0);
  EXPECT_EQ(largest_sample(page, arena()), 88u);
}

TEST(Reduce, ATableMovesCountsAndSplitsNone) {
  Histogram before;
  for (std::uint32_t i = 0; i < 256; ++i) before.counts()[i] = i;
  Lut lut(256);
  for (std::uint32_t i = 0; i < 256; ++i) lut[i] = static_cast<std::uint16_t>(i / 2);
  const Histogram after = moved_by(lut, before);
  for (std::uint32_t i = 0; i < 128; ++i) EXPECT_EQ(after[i], 4 * i + 1);
  EXPECT_EQ(after.total(), before.total());
}

}  // namespace
}  // namespace histod::compute
