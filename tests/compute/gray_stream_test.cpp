// SPDX-License-Identifier: Apache-2.0
#include "compute/gray_stream.hpp"

#include <array>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::compute {
namespace {

using test::NaiveImage;
using test::Texture;

std::vector<std::byte> bytes_of(const NaiveImage& image) {
  std::vector<std::byte> out;
  for (const std::uint32_t sample : image.samples()) out.push_back(static_cast<std::byte>(sample));
  return out;
}

/// Pieces of all lengths, odd ones too.
template <class F>
void in_pieces(std::span<std::byte> bytes, std::uint32_t seed, F&& f) {
  std::mt19937 random(seed);
  while (!bytes.empty()) {
    const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 + random() % 70'000);
    f(bytes.first(piece));
    bytes = bytes.subspan(piece);
  }
}

class GrayStreamTest : public testing::TestWithParam<Texture> {};
INSTANTIATE_TEST_SUITE_P(Textures, GrayStreamTest, testing::ValuesIn(test::k_textures));

TEST_P(GrayStreamTest, DoesWhatEachRuleSays) {
  GrayStream stream(1);
  // The larger one is counted by pairs, unless it repeats itself; one stream does all, one after the other.
  for (const auto& [width, height] : {std::pair{1u, 1u}, {61u, 47u}, {1'500u, 1'001u}}) {
    const NaiveImage image = test::naive_image(test::gray_format(8), width, height, GetParam(), 256, 3);
    for (const char* rule : {"opencv", "exact", "reference", "pillow", "vips"}) {
      std::vector<std::byte> bytes = bytes_of(image);
      stream.begin(bytes.size());
      in_pieces(bytes, width, [&](auto piece) { stream.count(0, piece); });
      stream.make_table(*rule_from_name(rule));
      EXPECT_EQ(stream.histogram().total(), bytes.size());
      in_pieces(bytes, width + 1, [&](auto piece) { stream.apply(piece); });
      EXPECT_EQ(bytes, bytes_of(test::naive_equalize_channels(image, rule, 256))) << rule << ' ' << width;
    }
  }
}

TEST(GrayStream, TakesBackWhatWasNoSample) {
  const NaiveImage image = test::naive_image(test::gray_format(8), 1'200, 1'000, Texture::narrow, 200, 5);
  std::vector<std::byte> file = bytes_of(image);
  const std::vector<std::byte> header(4'321, std::byte{77}), trailer(99, std::byte{200});
  file.insert(file.begin(), header.begin(), header.end());
  file.insert(file.end(), trailer.begin(), trailer.end());
  GrayStream stream(1);
  stream.begin(file.size());
  in_pieces(file, 1, [&](auto piece) { stream.count(0, piece); });
  stream.discount(header);
  stream.discount(trailer);
  stream.make_table(Rule::exact);
  const auto counts = stream.histogram().counts();
  EXPECT_EQ(test::NaiveCounts(counts.begin(), counts.end()), test::naive_count(image, test::naive_channel(0)));
}

TEST(GrayStream, ForgetsAnImageThatWasGivenUp) {
  std::vector<std::byte> noise(3'000'000, std::byte{9}), image(2'000'000, std::byte{1});
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<std::byte>(i * i >> 7);
  image[5] = std::byte{3};
  GrayStream stream(2);
  stream.begin(noise.size());
  stream.count(0, noise);
  stream.count(1, noise);
  stream.begin(image.size());
  stream.count(0, image);
  stream.make_table(Rule::opencv);
  EXPECT_EQ(stream.histogram()[1], 1'999'999u);
  EXPECT_EQ(stream.histogram()[3], 1u);
  EXPECT_EQ(stream.histogram().total(), 2'000'000u);
}

TEST(GrayStream, HandsCountAtTheSameTime) {
  const NaiveImage image = test::naive_image(test::gray_format(8), 2'000, 1'600, Texture::gradient, 256, 11);
  std::vector<std::byte> bytes = bytes_of(image);
  constexpr unsigned k_hands = 4;
  GrayStream stream(k_hands);
  stream.begin(bytes.size());
  std::vector<std::thread> threads;
  const std::size_t part = bytes.size() / k_hands;
  for (unsigned hand = 0; hand < k_hands; ++hand) {
    threads.emplace_back([&, hand] {
      in_pieces(std::span(bytes).subspan(hand * part, part), hand, [&](auto piece) { stream.count(hand, piece); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  stream.make_table(Rule::vips);
  const auto counts = stream.histogram().counts();
  EXPECT_EQ(test::NaiveCounts(counts.begin(), counts.end()), test::naive_count(image, test::naive_channel(0)));
}

TEST(GrayStream, NothingCountedIsTheIdentity) {
  GrayStream stream(1);
  stream.begin(0);
  stream.make_table(Rule::opencv);
  for (unsigned i = 0; i < 256; ++i) EXPECT_EQ(stream.table()[i], i);
}

}  // namespace
}  // namespace histod::compute
