// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

/// Position of the entry of `tag` in the first directory of a little-endian classic TIFF.
std::size_t entry_of(const FileBytes& file, unsigned tag) {
  std::uint32_t directory;
  std::memcpy(&directory, file.data() + 4, 4);
  std::uint16_t count;
  std::memcpy(&count, file.data() + directory, 2);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t found;
    std::memcpy(&found, file.data() + directory + 2 + 12 * i, 2);
    if (found == tag) return directory + 2 + 12 * i;
  }
  ADD_FAILURE() << "no tag " << tag;
  return 0;
}

/// Makes it a LONG if the value needs one.
void set_value(FileBytes& file, unsigned tag, std::uint32_t value) {
  const std::uint16_t type = 4;
  if (value > 0xffff) std::memcpy(file.data() + entry_of(file, tag) + 2, &type, 2);
  std::memcpy(file.data() + entry_of(file, tag) + 8, &value, 4);
}
void set_count(FileBytes& file, unsigned tag, std::uint32_t count) {
  std::memcpy(file.data() + entry_of(file, tag) + 4, &count, 4);
}

FileBytes plain(const TiffSpec& spec = {}, unsigned channels = 1) {
  return tiff_file({{make_raster(24, 18, channels, static_cast<unsigned>(spec.bits)), spec}});
}

TEST(TiffFile, refuses_what_it_cannot_keep_and_says_so) {
  EXPECT_EQ(way_of(plain({.bits = 16, .sample_format = 2})), Errc::unsupported_feature) << "signed";
  EXPECT_EQ(way_of(plain({.photometric = 5, .extra_samples = {}}, 4)), Errc::unsupported_feature) << "CMYK";
  const std::pair<unsigned, std::uint32_t> cases[] = {{259, 7}, {259, 50000}, {259, 34925}, {259, 4}, {262, 6},
                                                      {262, 8}, {258, 32},    {258, 12},    {284, 3}};
  for (const auto& [tag, value] : cases) {
    FileBytes file = plain();
    set_value(file, tag, value);
    EXPECT_EQ(way_of(file), Errc::unsupported_feature) << tag << " = " << value;
  }
  FileBytes lzw = plain({.compression = 5, .predictor = 2});
  set_value(lzw, 317, 3);
  EXPECT_EQ(way_of(lzw), Errc::unsupported_feature);
}

TEST(TiffFile, a_loop_of_directories_is_corrupt) {
  FileBytes file = plain();
  std::uint32_t directory;
  std::memcpy(&directory, file.data() + 4, 4);
  std::uint16_t count;
  std::memcpy(&count, file.data() + directory, 2);
  std::memcpy(file.data() + directory + 2 + std::size_t{12} * count, &directory, 4);
  EXPECT_EQ(way_of(file), Errc::corrupt);
}

TEST(TiffFile, lying_headers_are_stopped_before_allocation) {
  FileBytes file = plain();
  set_value(file, 256, 60000);
  set_value(file, 257, 60000);
  EXPECT_EQ(way_of(file, {.decoded_bytes = 1u << 20}), Errc::bytes_over_limit);
  EXPECT_EQ(way_of(file), Errc::bytes_over_limit);
  set_value(file, 256, 70000);
  EXPECT_EQ(way_of(file), Errc::dimension_over_limit);
  file = plain({.compression = 8});
  set_value(file, 256, 4000);
  set_value(file, 257, 4000);
  set_value(file, 278, 4000);
  EXPECT_EQ(way_of(file), Errc::ratio_over_limit);
  file = plain({.tile = 16});
  set_value(file, 322, 1u << 30);
  EXPECT_EQ(way_of(file), Errc::dimension_over_limit);
  file = plain();
  set_count(file, 258, 0xffffffff);
  EXPECT_EQ(way_of(file), Errc::truncated);
  file = plain();
  set_value(file, 256, 0);
  EXPECT_EQ(way_of(file), Errc::corrupt);
  file = plain();
  set_value(file, 257, 19);
  EXPECT_EQ(way_of(file), Errc::corrupt) << "one row more than the strips hold";
}

TEST(TiffFile, limits_sum_over_pages_and_tags) {
  const FileBytes file = tiff_file({{make_raster(10, 10, 1, 8), {}}, {make_raster(10, 10, 1, 8), {}}});
  EXPECT_EQ(way_of(file, {.pixels = 200}), Errc{});
  EXPECT_EQ(way_of(file, {.pixels = 199}), Errc::pixels_over_limit);
  EXPECT_EQ(way_of(file, {.pages = 1}), Errc::pages_over_limit);
  EXPECT_EQ(way_of(file, {.decoded_bytes = 199}), Errc::bytes_over_limit);
  const FileBytes wordy = plain({.description = std::string(5000, 'd')});
  EXPECT_EQ(way_of(wordy, {.ancillary_bytes = 5000}), Errc::ancillary_over_limit);
}

TEST(TiffFile, a_deflate_bomb_is_stopped_by_its_ratio) {
  Raster black{20'000, 2'000, 1, 8, {}};
  black.samples.assign(40'000'000, 0);
  const FileBytes file = tiff_file({{black, {.compression = 8}}});
  EXPECT_LT(file.size(), 100'000u);
  EXPECT_EQ(way_of(file, {.ratio = 500}), Errc::ratio_over_limit);
  EXPECT_TRUE(codec::probe(file, {}).has_value()) << "the ratio of deflate itself is no reason";
}

TEST(TiffFile, truncated_anywhere_is_an_error) {
  for (const bool big_endian : {false, true}) {
    const FileBytes whole = tiff_file({{make_raster(9, 7, 3, 8),
                                        {.photometric = 2,
                                         .compression = 5,
                                         .rows_per_strip = 2,
                                         .big_endian = big_endian,
                                         .big_tiff = big_endian}}});
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Errc error = way_of(FileBytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
      EXPECT_EQ(error, length < 4 ? Errc::unknown_format : Errc::truncated) << length;
    }
  }
}

TEST(TiffFile, flipped_bits_never_harm) {
  const codec::Limits limits{.pixels = 1'000'000, .decoded_bytes = 4'000'000};
  for (const unsigned compression : {1u, 5u, 8u, 32773u}) {
    const FileBytes whole =
        tiff_file({{make_raster(33, 21, 3, 16),
                    {.bits = 16, .photometric = 2, .compression = compression, .tile = 16, .geo = true}},
                   {make_raster(9, 9, 1, 8), {.compression = compression, .rows_per_strip = 2}}});
    std::mt19937 random(compression);
    int failed = 0;
    for (int i = 0; i < 1000; ++i) {
      FileBytes file = whole;
      // Half of them among the directories, which lie at the end.
      const std::size_t from = i % 2 == 0 ? 0 : file.size() - std::min<std::size_t>(file.size(), 1500);
      for (std::size_t flips = 1 + random() % 3; flips > 0; --flips)
        file[from + random() % (file.size() - from)] ^= std::byte{1} << (random() % 8);
      failed += way_of(file, limits) != Errc{};
    }
    EXPECT_GT(failed, 50);
  }
}

}  // namespace
}  // namespace histod::test
