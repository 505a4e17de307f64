// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;
using codec::PageRole;

struct TiffVariant {
  unsigned bits;
  unsigned channels;
  unsigned compression;
  unsigned predictor;
  bool separate;
  unsigned tile;
  bool big_endian;
  bool big_tiff;
};

void PrintTo(const TiffVariant& v, std::ostream* out) {
  *out << v.bits << " bit x" << v.channels << " compression " << v.compression << " predictor " << v.predictor
       << (v.separate ? " separate" : "") << " tile " << v.tile << (v.big_endian ? " MM" : " II")
       << (v.big_tiff ? " Big" : "");
}

std::vector<TiffVariant> all_variants() {
  std::vector<TiffVariant> variants;
  for (const unsigned bits : {8u, 16u})
    for (const unsigned channels : {1u, 3u, 4u, 7u})
      for (const unsigned compression : {1u, 5u, 8u, 32946u, 32773u})
        for (const unsigned predictor : {1u, 2u})
          for (const bool separate : {false, true})
            for (const unsigned tile : {0u, 16u})
              for (const bool big_endian : {false, true})
                for (const bool big_tiff : {false, true})
                  if (predictor == 1 || (compression != 1 && compression != 32773))
                    variants.push_back({bits, channels, compression, predictor, separate, tile, big_endian, big_tiff});
  return variants;
}

TiffSpec spec_of(const TiffVariant& v) {
  TiffSpec spec{.bits = static_cast<int>(v.bits),
                .photometric = v.channels == 3 || v.channels == 4 ? 2u : 1u,
                .compression = v.compression,
                .predictor = v.predictor,
                .separate = v.separate,
                .tile = v.tile,
                .rows_per_strip = 7,
                .big_endian = v.big_endian,
                .big_tiff = v.big_tiff};
  if (v.channels == 4) spec.extra_samples = {2};
  if (v.channels == 7) spec.extra_samples.assign(6, 0);
  return spec;
}

/// All variants in one test: libtiff makes the file and reads the result.
TEST(TiffMatrix, decodes_as_libtiff_does_and_keeps_its_layout) {
  for (const TiffVariant& v : all_variants()) {
    SCOPED_TRACE(testing::PrintToString(v));
    const Raster raster = make_raster(41, 23, v.channels, v.bits, v.compression);
    const FileBytes file = tiff_file({{raster, spec_of(v)}});
    CodecRun run(file);
    ASSERT_TRUE(run.decoded()) << run.why().detail;
    ASSERT_EQ(run.raster(), raster);
    const compute::PixelFormat format = run.info().pages[0].format;
    EXPECT_EQ(format.colors, v.channels == 4 ? 3 : v.channels);
    EXPECT_EQ(format.alpha, v.channels == 4);
    run.change([&](unsigned sample) { return (sample * 3 + 1) & ((1u << v.bits) - 1); });
    const FileBytes out = run.encoded();
    ASSERT_EQ(read_tiff(out), run.raster());
    for (const unsigned tag : {258u, 259u, 262u, 277u, 278u, 284u, 317u, 322u, 323u})
      EXPECT_EQ(tiff_number(out, tag), tiff_number(file, tag)) << tag;
    EXPECT_TRUE(std::equal(file.begin(), file.begin() + 4, out.begin())) << "byte order and BigTIFF-ness";
  }
}

class TiffNoise : public testing::TestWithParam<unsigned> {};

TEST_P(TiffNoise, fits_into_the_promised_size) {
  for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 257u}, {3000u, 2u}, {129u, 201u}}) {
    const Raster raster = make_noise(width, height, 1, 8, width);
    for (const unsigned tile : {0u, 64u}) {
      CodecRun run(tiff_file({{raster, {.compression = GetParam(), .tile = tile, .rows_per_strip = 40}}}));
      ASSERT_TRUE(run.decoded());
      EXPECT_EQ(read_tiff(run.encoded()), raster);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Compressions, TiffNoise, testing::Values(1u, 5u, 8u, 32773u));

TEST(TiffCoding, runs_and_repeats_of_every_length) {
  for (const unsigned compression : {5u, 8u, 32773u}) {
    Raster raster{600, 64, 1, 8, {}};
    for (std::uint32_t y = 0; y < raster.height; ++y)
      for (std::uint32_t x = 0; x < raster.width; ++x)
        raster.samples.push_back(static_cast<std::uint16_t>((x / (y + 1) % 2 == 0 ? y : x) & 255));
    CodecRun run(tiff_file({{raster, {.compression = compression}}}));
    ASSERT_TRUE(run.decoded());
    EXPECT_EQ(run.raster(), raster);
    EXPECT_EQ(read_tiff(run.encoded()), raster);
  }
}

TEST(TiffPhotometric, white_is_zero_means_what_it_says) {
  for (const unsigned bits : {8u, 16u}) {
    const unsigned top = (1u << bits) - 1;
    const Raster stored = make_raster(15, 9, 2, bits);
    CodecRun run(tiff_file(
        {{stored, {.bits = static_cast<int>(bits), .photometric = 0, .separate = bits == 16, .extra_samples = {2}}}}));
    ASSERT_TRUE(run.decoded());
    const Raster seen = run.raster();
    for (std::size_t i = 0; i < seen.samples.size(); ++i)
      EXPECT_EQ(seen.samples[i], i % 2 == 0 ? top - stored.samples[i] : stored.samples[i]);
    EXPECT_EQ(read_tiff(run.encoded()), stored);
    EXPECT_EQ(tiff_number(run.encoded(), 262), 0u);
    EXPECT_EQ(read_png(run.encoded(FileFormat::png)), seen);
  }
}

TEST(TiffPhotometric, palette_becomes_rgb) {
  for (const int bits : {1, 2, 4, 8}) {
    const Raster indexes = make_raster(21, 13, 1, static_cast<unsigned>(bits));
    const std::size_t entries = std::size_t{1} << bits;
    TiffSpec spec{.bits = bits, .photometric = 3, .compression = 8};
    for (std::size_t i = 0; i < 3 * entries; ++i)
      spec.color_map.push_back(static_cast<std::uint16_t>((i * 7919 + 300) & 0xffff));
    CodecRun run(tiff_file({{indexes, spec}}));
    ASSERT_TRUE(run.decoded()) << run.why().detail;
    const Raster rgb = run.raster();
    ASSERT_EQ(rgb.channels, 3u);
    for (std::size_t i = 0; i < rgb.samples.size(); ++i)
      EXPECT_EQ(rgb.samples[i], spec.color_map[indexes.samples[i / 3] + i % 3 * entries] >> 8);
    const FileBytes out = run.encoded();
    EXPECT_EQ(read_tiff(out), rgb);
    EXPECT_EQ(tiff_number(out, 262), 2u);
  }
}

TEST(TiffPhotometric, packed_gray_is_expanded) {
  for (const int bits : {1, 2, 4}) {
    const Raster packed = make_raster(19, 11, 1, static_cast<unsigned>(bits));
    CodecRun run(tiff_file({{packed, {.bits = bits, .compression = 5, .rows_per_strip = 3}}}));
    ASSERT_TRUE(run.decoded()) << run.why().detail;
    const Raster seen = run.raster();
    for (std::size_t i = 0; i < seen.samples.size(); ++i)
      EXPECT_EQ(seen.samples[i], packed.samples[i] * 255u / ((1u << bits) - 1));
    EXPECT_EQ(read_tiff(run.encoded()), seen);
  }
}

TEST(TiffExtras, alpha_and_unknown_extras_are_untouched) {
  const Raster raster = make_raster(12, 12, 5, 16);
  CodecRun run(tiff_file({{raster, {.bits = 16, .photometric = 2, .extra_samples = {1, 0}}}}));
  ASSERT_TRUE(run.decoded());
  EXPECT_EQ(run.info().pages[0].format, (compute::PixelFormat{3, 2, true, 16}));
  run.change([](unsigned v) { return v ^ 0xffff; });
  const FileBytes out = run.encoded();
  const Raster back = read_tiff(out);
  for (std::size_t i = 0; i < raster.samples.size(); ++i)
    EXPECT_EQ(back.samples[i], i % 5 < 3 ? raster.samples[i] ^ 0xffff : raster.samples[i]);
  EXPECT_EQ(tiff_tag(out, 338), std::string("\1\0\0\0", 4)) << "premultiplied stays premultiplied";
}

TEST(TiffPages, keep_their_number_roles_and_differences) {
  const std::vector<TiffPage> pages = {
      {make_raster(64, 48, 3, 8), {.photometric = 2, .compression = 8, .tile = 16}},
      {make_raster(32, 24, 3, 8), {.photometric = 2, .compression = 8, .tile = 16, .subfile = 1}},
      {make_raster(64, 48, 1, 1), {.bits = 1, .photometric = 4, .compression = 8, .subfile = 4}},
      {make_raster(10, 10, 1, 16), {.bits = 16}}};
  CodecRun run(tiff_file(pages));
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  ASSERT_EQ(run.info().pages.size(), 4u);
  EXPECT_EQ(run.info().pages[0].role, PageRole::image);
  EXPECT_EQ(run.info().pages[1].role, PageRole::overview);
  EXPECT_EQ(run.info().pages[2].role, PageRole::mask);
  const FileBytes out = run.encoded();
  ASSERT_EQ(tiff_pages(out), 4u);
  for (unsigned i = 0; i < 4; ++i)
    EXPECT_EQ(read_tiff(out, i), pages[i].raster) << "mask of 1 bit included: page " << i;
  EXPECT_EQ(run.encode(FileFormat::png).error().code, Errc::bad_option);
}

TEST(TiffMetadata, every_tag_survives_but_stale_statistics) {
  for (const bool big_endian : {false, true})
    for (const bool big_tiff : {false, true}) {
      const FileBytes file = tiff_file({{make_raster(30, 20, 1, 16),
                                         {.bits = 16,
                                          .big_endian = big_endian,
                                          .big_tiff = big_tiff,
                                          .orientation = 6,
                                          .geo = true,
                                          .icc = fake_icc("GRAY"),
                                          .description = "a description"}}});
      CodecRun run(file);
      ASSERT_TRUE(run.decoded()) << run.why().detail;
      EXPECT_EQ(run.info().pages[0].nodata, 7.0);
      const FileBytes out = run.encoded();
      for (const unsigned tag : {33550u, 33922u, 34735u, 34736u, 34737u, 42113u, 65000u, 34675u, 270u}) {
        EXPECT_FALSE(tiff_tag(file, tag).empty()) << tag;
        EXPECT_EQ(tiff_tag(out, tag), tiff_tag(file, tag)) << tag;
      }
      EXPECT_STREQ(tiff_tag(out, 42112).c_str(), "<GDALMetadata>\n  <Item name=\"BAND\">red</Item>\n  </GDALMetadata>");
      EXPECT_EQ(tiff_number(out, 274), 6u);
      EXPECT_NE(tiff_number(out, 34665), std::nullopt) << "EXIF directory";
    }
}

TEST(TiffMetadata, nodata_of_white_is_zero_is_turned_round_too) {
  FileBytes file = tiff_file({{make_raster(8, 8, 1, 8), {.photometric = 0, .geo = true}}});
  CodecRun run(file);
  ASSERT_TRUE(run.decoded());
  EXPECT_EQ(run.info().pages[0].nodata, 248.0);
}

}  // namespace
}  // namespace histod::test
