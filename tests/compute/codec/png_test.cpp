// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

struct PngVariant {
  int color_type;
  int bits;
  bool interlaced;
  bool transparency;
};

void PrintTo(const PngVariant& v, std::ostream* out) {
  *out << "type " << v.color_type << " bits " << v.bits << (v.interlaced ? " interlaced" : "")
       << (v.transparency ? " tRNS" : "");
}

std::vector<PngVariant> all_variants() {
  const std::map<int, std::vector<int>> depths = {
      {0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}}};
  std::vector<PngVariant> variants;
  for (const auto& [type, bits] : depths)
    for (const int depth : bits)
      for (const bool interlaced : {false, true})
        for (const bool transparency : {false, true})
          if (!transparency || type < 4) variants.push_back({type, depth, interlaced, transparency});
  return variants;
}

unsigned channels_of(int color_type) { return color_type == 2 ? 3 : color_type == 4 ? 2 : color_type == 6 ? 4 : 1; }

class Png : public testing::TestWithParam<PngVariant> {};

TEST_P(Png, decodes_as_libpng_does_and_comes_back_equal) {
  const PngVariant v = GetParam();
  const Raster raster = make_raster(33, 19, channels_of(v.color_type), static_cast<unsigned>(v.bits));
  const FileBytes file = png_file(
      raster, {.color_type = v.color_type, .bits = v.bits, .interlaced = v.interlaced, .transparency = v.transparency});
  const Raster expected = read_png(file);
  CodecRun run(file);
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  EXPECT_EQ(run.raster(), expected);
  const bool alpha = v.transparency || v.color_type >= 4;
  EXPECT_EQ(run.info().pages[0].format.alpha, alpha);
  EXPECT_EQ(run.info().pages[0].format.depth_bits, v.bits == 16 ? 16 : 8);
  EXPECT_EQ(run.info().pages[0].levels, 0u);
  EXPECT_EQ(read_png(run.encoded()), expected);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Png, testing::ValuesIn(all_variants()));

TEST(PngPixels, alpha_is_untouched_when_colours_change) {
  const Raster raster = make_raster(20, 10, 4, 16);
  CodecRun run(png_file(raster, {.color_type = 6, .bits = 16}));
  ASSERT_TRUE(run.decoded());
  run.change([](unsigned v) { return 65535 - v; });
  const Raster back = read_png(run.encoded());
  ASSERT_EQ(back.samples.size(), raster.samples.size());
  for (std::size_t i = 0; i < raster.samples.size(); ++i)
    EXPECT_EQ(back.samples[i], i % 4 == 3 ? raster.samples[i] : 65535 - raster.samples[i]);
}

std::multimap<std::string, std::string> by_type(const FileBytes& file) {
  std::multimap<std::string, std::string> found;
  for (auto& [type, data] : png_chunks(file)) found.emplace(type, data);
  return found;
}

TEST(PngMetadata, all_but_the_stale_is_kept) {
  const std::vector<std::pair<std::string, std::string>> before = {
      {"gAMA", std::string("\0\0\xb1\x8f", 4)},
      {"cHRM", std::string(32, '\7')},
      {"pHYs", std::string("\0\0\x0b\x13\0\0\x0b\x13\1", 9)},
      {"iCCP", std::string("p\0\0abc", 6)},
      {"eXIf", fake_exif(6)},
      {"tEXt", std::string("Title\0x", 7)},
      {"prVt", "safe to copy"},
      {"prVT", "unsafe to copy"},
      {"sBIT", "\x08"},
      {"bKGD", std::string("\0\1", 2)}};
  const std::vector<std::pair<std::string, std::string>> after = {{"tIME", std::string("\x07\xEA\1\2\3\4\5", 7)},
                                                                  {"iTXt", std::string("k\0\0\0\0\0value", 11)}};
  CodecRun run(
      png_file(make_raster(9, 9, 1, 8), {.color_type = 0, .bits = 8, .chunks_before = before, .chunks_after = after}));
  ASSERT_TRUE(run.decoded());
  const FileBytes out = run.encoded();
  const auto found = by_type(out);
  for (const auto& [type, data] : before) {
    const bool stale = type == "prVT" || type == "sBIT";
    EXPECT_EQ(found.count(type), stale ? 0u : 1u) << type;
    if (!stale) {
      EXPECT_EQ(found.find(type)->second, data);
    }
  }
  for (const auto& [type, data] : after) EXPECT_EQ(found.find(type)->second, data);
  const auto chunks = png_chunks(out);
  EXPECT_EQ(chunks[chunks.size() - 2].first, "iTXt") << "what came after the pixels stays after them";
}

TEST(PngMetadata, histogram_and_background_of_a_palette_go) {
  CodecRun run(
      png_file(make_raster(9, 9, 1, 2),
               {.color_type = 3, .bits = 2, .chunks_before = {{"hIST", std::string(8, '\1')}, {"bKGD", "\1"}}}));
  ASSERT_TRUE(run.decoded());
  const auto found = by_type(run.encoded());
  EXPECT_EQ(found.count("hIST") + found.count("bKGD") + found.count("PLTE"), 0u);
}

TEST(PngFile, says_what_is_wrong) {
  const Raster raster = make_raster(8, 8, 1, 8);
  EXPECT_EQ(way_of(png_file(raster, {.chunks_before = {{"acTL", std::string(8, '\1')}}})), Errc::unsupported_feature);
  EXPECT_EQ(way_of(png_file(raster, {.chunks_before = {{"CrIT", "x"}}})), Errc::unsupported_feature);
  codec::Limits limits;
  limits.ancillary_bytes = 100;
  EXPECT_EQ(way_of(png_file(raster, {.chunks_before = {{"tEXt", std::string(101, 'a')}}}), limits),
            Errc::ancillary_over_limit);
  limits = {.dimension = 7};
  EXPECT_EQ(way_of(png_file(raster, {}), limits), Errc::dimension_over_limit);
  limits = {.pixels = 63};
  EXPECT_EQ(way_of(png_file(raster, {}), limits), Errc::pixels_over_limit);
  limits = {.decoded_bytes = 63};
  EXPECT_EQ(way_of(png_file(raster, {}), limits), Errc::bytes_over_limit);
}

TEST(PngFile, lying_dimensions_are_stopped_before_allocation) {
  FileBytes file = png_file(make_raster(8, 8, 1, 8), {});
  file[16] = std::byte{0x7f};  // width, most significant byte
  EXPECT_EQ(way_of(file), Errc::dimension_over_limit);
  file[16] = std::byte{0};
  file[18] = file[22] = std::byte{0x3f};  // 16 136 x 16 136 from 100 bytes
  EXPECT_EQ(way_of(file), Errc::pixels_over_limit);
  file[22] = std::byte{0x1f};
  EXPECT_EQ(way_of(file), Errc::ratio_over_limit);
}

TEST(PngFile, truncated_anywhere_is_an_error) {
  const FileBytes whole =
      png_file(make_raster(7, 6, 3, 8), {.color_type = 2, .chunks_before = {{"tEXt", std::string("a\0b", 3)}}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Errc error = way_of(FileBytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    EXPECT_EQ(error, length < 8 ? Errc::unknown_format : Errc::truncated) << length;
  }
}

TEST(PngFile, one_wrong_bit_never_goes_unseen_among_the_pixels) {
  const FileBytes whole = png_file(make_raster(40, 30, 3, 8), {.color_type = 2});
  std::mt19937 random(5);
  for (int i = 0; i < 1500; ++i) {
    FileBytes file = whole;
    const std::size_t at = 8 + random() % (file.size() - 20);
    file[at] ^= std::byte{1} << (random() % 8);
    EXPECT_NE(way_of(file), Errc{}) << "byte " << at;
  }
}

TEST(PngFile, noise_fits_into_the_promised_size) {
  for (const unsigned depth : {8u, 16u})
    for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 300u}, {300u, 1u}, {257u, 199u}}) {
      const Raster raster = make_noise(width, height, 4, depth);
      CodecRun run(png_file(raster, {.color_type = 6, .bits = static_cast<int>(depth)}));
      ASSERT_TRUE(run.decoded());
      EXPECT_EQ(read_png(run.encoded()), raster);
    }
}

TEST(PngFile, a_full_output_is_an_error) {
  CodecRun run(png_file(make_noise(50, 50, 1, 8), {}));
  ASSERT_TRUE(run.decoded());
  FileBytes out(1000);
  const auto length = codec::encode(run.image(), {.format = FileFormat::png, .quality = {}}, out, test_arena());
  ASSERT_FALSE(length);
  EXPECT_EQ(length.error().code, Errc::output_full);
}

}  // namespace
}  // namespace histod::test
