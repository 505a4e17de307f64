// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>
#include <string>

#include "compute/tally.hpp"
#include "tests/compute/support.hpp"

namespace histod::compute {
namespace {

using test::NaiveImage;
using test::Texture;
using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<unsigned> numbers) {
  Bytes result{std::byte{'H'}, std::byte{'T'}, std::byte{'L'}, std::byte{'Y'}};
  for (const unsigned number : numbers) result.push_back(static_cast<std::byte>(number));
  return result;
}

Tally tally(NaiveImage& image, const EqualizeOptions& options = {}, std::uint32_t levels = 0) {
  const EqualizePage page{.image = image.view(), .levels = levels};
  return tally_of(std::span(&page, 1), options, test::shared_arena()).value();
}

Tally mixed() {
  Tally sum;
  for (const PixelFormat& format : {test::gray_format(8), test::rgb_format(8, 1, true), test::gray_format(16)}) {
    NaiveImage image = naive_image(format, 61, 43, Texture::narrow, 200, 3);
    EXPECT_TRUE(sum.merge(tally(image, {.color = Color::channels})));
    EXPECT_TRUE(sum.merge(tally(image, {.color = Color::channels}, 200)));
  }
  return sum;
}

std::error_code code_of(const Bytes& file) {
  const auto back = Tally::from_bytes(file);
  return back ? std::error_code() : back.error().code;
}

TEST(TallyBytes, AreAsTheHeaderSays) {
  NaiveImage image(test::gray_format(8), 20, 10);
  for (std::uint32_t i = 0; i < 200; ++i) image.set(i % 20, i / 20, 0, i < 179 ? 0 : i < 199 ? 130 : 131);
  // 179 pixels of 0, then 129 empty bins, 20 of 130, 1 of 131; 256 levels in 256 bins, one image, none masked.
  const Bytes expected = bytes({1, 1, 0, 1, 0x80, 2, 0x80, 2, 1, 0, 3, 0, 0xb3, 1, 0x81, 1, 20, 0, 1});
  EXPECT_EQ(tally(image).to_bytes(), expected);
  EXPECT_EQ(Tally().to_bytes(), bytes({1, 0}));
  EXPECT_EQ(Tally::from_bytes(expected).value(), tally(image));
}

TEST(TallyBytes, ComeBackTheSame) {
  const Tally sum = mixed();
  EXPECT_EQ(sum.entries().size(), 6u);
  const auto back = Tally::from_bytes(sum.to_bytes());
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, sum);
  EXPECT_EQ(Tally::from_bytes(Tally().to_bytes()).value(), Tally());
}

TEST(TallyBytes, LargestCountsComeBack) {
  NaiveImage image(test::gray_format(16), 1, 1);
  Tally sum = tally(image);
  for (int i = 0; i < 63; ++i) ASSERT_TRUE(sum.merge(Tally(sum)));
  EXPECT_EQ(sum.entries()[0].counted, 1ull << 63);
  EXPECT_EQ(Tally::from_bytes(sum.to_bytes()).value(), sum);
}

TEST(TallyBytes, DoNotDependOnTheOrderOfImages) {
  NaiveImage a = naive_image(test::gray_format(8), 9, 9, Texture::uniform, 256, 1);
  NaiveImage b = naive_image(test::gray_format(16), 9, 9, Texture::uniform, 65536, 2);
  Tally ab = tally(a), ba = tally(b);
  ASSERT_TRUE(ab.merge(tally(b)));
  ASSERT_TRUE(ba.merge(tally(a)));
  EXPECT_EQ(ab.to_bytes(), ba.to_bytes());
}

TEST(TallyBytes, OfFewValuesAreFew) {
  NaiveImage image = naive_image(test::gray_format(16), 400, 300, Texture::two_level, 65536, 5);
  EXPECT_LT(tally(image).to_bytes().size(), 40u);
  NaiveImage noise = naive_image(test::gray_format(16), 400, 300, Texture::uniform, 65536, 5);
  EXPECT_LT(tally(noise).to_bytes().size(), 3u * 65536);
}

TEST(TallyBytes, EveryTruncationIsAnError) {
  const Bytes whole = mixed().to_bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ASSERT_EQ(code_of(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))), Errc::truncated)
        << size;
  }
}

/// There is one way to write a tally: what is read at all is written as it was read.
TEST(TallyBytes, EveryOtherByteIsAnErrorOrAnotherTally) {
  NaiveImage image = naive_image(test::rgb_format(8), 13, 9, Texture::narrow, 60, 6);
  const Tally sum = tally(image, {.color = Color::channels});
  const Bytes whole = sum.to_bytes();
  std::size_t errors = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned change : {1u, 2u, 0x40u, 0x7fu, 0x80u, 0xffu}) {
      Bytes other = whole;
      other[at] ^= static_cast<std::byte>(change);
      const auto back = Tally::from_bytes(other);
      errors += !back;
      if (!back) continue;
      ASSERT_NE(*back, sum) << at;
      ASSERT_EQ(back->to_bytes(), other) << at;
    }
  }
  EXPECT_GT(errors, whole.size() * 3);
}

TEST(TallyBytes, HostileHeadersAreErrors) {
  EXPECT_EQ(code_of(bytes({2, 0})), Errc::unsupported_feature);
  EXPECT_EQ(code_of(bytes({1, 0, 0})), Errc::corrupt);                                   // a byte more
  EXPECT_EQ(code_of(bytes({0x81, 0, 0})), Errc::corrupt);                                // 1, but in two bytes
  EXPECT_EQ(code_of(bytes({1, 1, 3, 1, 0x80, 2, 0x80, 2, 1, 0, 0})), Errc::corrupt);     // no such quantity
  EXPECT_EQ(code_of(bytes({1, 1, 0, 2, 0x80, 2, 0x80, 2, 1, 0, 0, 0})), Errc::corrupt);  // brightness of two planes
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x81, 2, 0x80, 2, 1, 0, 0})), Errc::corrupt);     // 257 bins
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 0x81, 2, 1, 0, 0})), Errc::corrupt);     // 257 levels
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 1, 1, 0, 0})), Errc::corrupt);           // 1 level
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 0x80, 2, 0, 0, 0})), Errc::corrupt);     // no image
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 0x80, 2, 1, 0, 0})), std::error_code());
  Bytes other_magic = bytes({1, 0});
  other_magic[3] = std::byte{'X'};
  EXPECT_EQ(code_of(other_magic), Errc::corrupt);
}

TEST(TallyBytes, HostileCountsAreErrors) {
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 1, 3, 9})), std::error_code());
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 1, 4, 9})), Errc::corrupt);        // bin 4 of 4 levels
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 5, 0, 9})), Errc::corrupt);        // 5 filled bins of 4
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 2, 3, 9, 0, 9})), Errc::corrupt);  // none left for the second
  EXPECT_EQ(code_of(bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 1, 3, 0})), Errc::corrupt);        // a count of 0
  // Planes of 9 and 8 pixels.
  EXPECT_EQ(code_of(bytes({1, 1, 2, 2, 0x80, 2, 4, 1, 0, 1, 3, 9, 1, 3, 8})), Errc::corrupt);
  EXPECT_EQ(code_of(bytes({1, 1, 2, 2, 0x80, 2, 4, 1, 0, 1, 3, 9, 1, 3, 9})), std::error_code());
  // The same kind twice, and two in the wrong order.
  EXPECT_EQ(code_of(bytes({1, 2, 0, 1, 0x80, 2, 4, 1, 0, 0, 0, 1, 0x80, 2, 4, 1, 0, 0})), Errc::corrupt);
  EXPECT_EQ(code_of(bytes({1, 2, 0, 1, 0x80, 2, 4, 1, 0, 0, 0, 1, 0x80, 2, 3, 1, 0, 0})), Errc::corrupt);
  EXPECT_EQ(code_of(bytes({1, 2, 0, 1, 0x80, 2, 3, 1, 0, 0, 0, 1, 0x80, 2, 4, 1, 0, 0})), std::error_code());
}

TEST(TallyBytes, NumbersOfMoreThanSixtyFourBitsAreErrors) {
  const auto count = [](std::initializer_list<unsigned> last) {
    Bytes file = bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 1, 0});
    for (int i = 0; i < 9; ++i) file.push_back(std::byte{0xff});
    for (const unsigned byte : last) file.push_back(static_cast<std::byte>(byte));
    return file;
  };
  const auto largest = Tally::from_bytes(count({1}));
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->entries()[0].counted, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(code_of(count({2})), Errc::corrupt);
  EXPECT_EQ(code_of(count({0})), Errc::corrupt);  // 63 bits, but in ten bytes
  EXPECT_EQ(code_of(count({0x81, 0})), Errc::corrupt);
  EXPECT_EQ(code_of(count({0xff, 0xff, 0xff})), Errc::corrupt);
  Bytes two = bytes({1, 1, 0, 1, 0x80, 2, 4, 1, 0, 2, 0, 1, 0});
  const Bytes rest = count({1});
  two.insert(two.end(), rest.end() - 10, rest.end());
  EXPECT_EQ(code_of(two), Errc::corrupt);  // each fits, but not their sum
}

TEST(TallyBytes, ClaimsOfManyBinsAreCheckedFirst) {
  const Bytes file = bytes({1, 0xff, 0xff, 3, 2, 0xff, 1, 0x80, 0x80, 4, 0x80, 0x80, 4, 1, 0});
  const auto back = Tally::from_bytes(file, 100 << 20);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Errc::bytes_over_limit);
  EXPECT_EQ(back.error().value, 255u * 65536 * 8);
  EXPECT_EQ(back.error().limit, 100u << 20);
  EXPECT_EQ(code_of(file), Errc::truncated);
}

TEST(TallyBytes, KindsTogetherAreWithinTheMemory) {
  // One image each of 300 and of 301 levels, nothing counted.
  const Bytes file = bytes({1, 2, 2, 2, 0x80, 0x80, 4, 0xac, 2, 1, 0, 0, 0, 2, 2, 0x80, 0x80, 4, 0xad, 2, 1, 0, 0, 0});
  EXPECT_TRUE(Tally::from_bytes(file, 2 << 20));
  const auto back = Tally::from_bytes(file, (2 << 20) - 1);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Errc::bytes_over_limit);
  EXPECT_EQ(back.error().value, 2u << 20);
}

}  // namespace
}  // namespace histod::compute
