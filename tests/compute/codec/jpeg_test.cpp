// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

constexpr codec::DecodeOptions k_luma{.jpeg_luma_plane = true};

/// Colours that vary slowly, so that chroma subsampling loses little.
Raster photo(std::uint32_t width, std::uint32_t height, unsigned channels = 3) {
  Raster raster{width, height, channels, 8, {}};
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (unsigned c = 0; c < channels; ++c)
        raster.samples.push_back(static_cast<std::uint16_t>(40 + (x * (c + 1) + y * 2 + (x * y) % 7) * 160 /
                                                                     (width * channels + 2 * height)));
  return raster;
}

int largest_difference(const Raster& a, const Raster& b) {
  EXPECT_EQ(a.samples.size(), b.samples.size());
  int largest = 0;
  for (std::size_t i = 0; i < std::min(a.samples.size(), b.samples.size()); ++i)
    largest = std::max(largest, std::abs(int{a.samples[i]} - int{b.samples[i]}));
  return largest;
}

struct JpegVariant {
  unsigned channels;
  int h, v;
  bool progressive;
  int restart_rows;
  bool rgb;
};

void PrintTo(const JpegVariant& v, std::ostream* out) {
  *out << v.channels << " components " << v.h << "x" << v.v << (v.progressive ? " progressive" : "")
       << (v.rgb ? " RGB" : "") << " restart " << v.restart_rows;
}

JpegSpec spec_of(const JpegVariant& v) {
  return {.h = v.h, .v = v.v, .progressive = v.progressive, .restart_rows = v.restart_rows, .rgb = v.rgb};
}

class Jpeg : public testing::TestWithParam<JpegVariant> {};

TEST_P(Jpeg, decodes_as_libjpeg_does) {
  const FileBytes file = jpeg_file(photo(75, 53, GetParam().channels), spec_of(GetParam()));
  CodecRun run(file);
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  EXPECT_EQ(run.raster(), read_jpeg(file));
}

TEST_P(Jpeg, comes_back_with_its_tables_and_sampling) {
  const FileBytes file = jpeg_file(photo(75, 53, GetParam().channels), spec_of(GetParam()));
  CodecRun run(file);
  ASSERT_TRUE(run.decoded());
  const FileBytes out = run.encoded();
  EXPECT_LE(largest_difference(read_jpeg(out), read_jpeg(file)), 8);
  for (int i = 0; i < static_cast<int>(GetParam().channels); ++i)
    EXPECT_EQ(jpeg_quantization(out, i), jpeg_quantization(file, i));
  EXPECT_EQ(jpeg_shape(out).h, jpeg_shape(file).h);
  EXPECT_EQ(jpeg_shape(out).v, jpeg_shape(file).v);
  EXPECT_EQ(jpeg_shape(out).components, jpeg_shape(file).components);
}

TEST_P(Jpeg, luma_plane_is_the_files_own) {
  const FileBytes file = jpeg_file(photo(75, 53, GetParam().channels), spec_of(GetParam()));
  CodecRun run(file, k_luma);
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  const bool ycc = GetParam().channels == 3 && !GetParam().rgb;
  EXPECT_EQ(run.info().options.jpeg_luma_plane, ycc);
  EXPECT_EQ(run.raster(), read_jpeg(file, ycc));
}

class JpegLuma : public testing::TestWithParam<JpegVariant> {};

TEST_P(JpegLuma, plane_changes_and_chroma_coefficients_do_not) {
  const FileBytes file = jpeg_file(photo(75, 53), spec_of(GetParam()));
  CodecRun run(file, k_luma);
  ASSERT_TRUE(run.decoded());
  run.change([](unsigned v) { return 255 - v; });
  const FileBytes out = run.encoded();
  for (const int i : {1, 2}) EXPECT_EQ(jpeg_coefficients(out, i), jpeg_coefficients(file, i));
  for (const int i : {0, 1, 2}) EXPECT_EQ(jpeg_quantization(out, i), jpeg_quantization(file, i));
  const JpegShape before = jpeg_shape(file);
  EXPECT_EQ(jpeg_shape(out), before);
  EXPECT_LE(largest_difference(read_jpeg(out, true), run.raster()), 12);
}

TEST_P(Jpeg, unchanged_luma_plane_comes_back_close) {
  const FileBytes file = jpeg_file(photo(64, 48, GetParam().channels), spec_of(GetParam()));
  CodecRun run(file, k_luma);
  ASSERT_TRUE(run.decoded());
  EXPECT_LE(largest_difference(read_jpeg(run.encoded(), true), read_jpeg(file, true)), 4);
}

constexpr JpegVariant k_ycc[] = {{3, 1, 1, false, 0, false}, {3, 2, 1, false, 0, false}, {3, 2, 2, false, 0, false},
                                 {3, 1, 2, false, 0, false}, {3, 4, 1, false, 0, false}, {3, 2, 2, true, 0, false},
                                 {3, 1, 1, true, 0, false},  {3, 2, 2, false, 1, false}, {3, 2, 1, true, 2, false},
                                 {3, 4, 2, false, 0, false}};
constexpr JpegVariant k_others[] = {
    {1, 1, 1, false, 0, false}, {1, 1, 1, true, 0, false}, {3, 1, 1, false, 0, true}, {3, 1, 1, true, 0, true}};

INSTANTIATE_TEST_SUITE_P(Ycc, JpegLuma, testing::ValuesIn(k_ycc));
INSTANTIATE_TEST_SUITE_P(Ycc, Jpeg, testing::ValuesIn(k_ycc));
INSTANTIATE_TEST_SUITE_P(GrayAndRgb, Jpeg, testing::ValuesIn(k_others));

std::vector<std::pair<int, std::string>> sample_markers() {
  std::vector<std::pair<int, std::string>> markers;
  markers.emplace_back(0xE1, std::string("Exif\0\0", 6) + fake_exif(6));
  markers.emplace_back(0xE1, std::string("http://ns.adobe.com/xap/1.0/\0", 29) + "<x:xmpmeta/>");
  markers.emplace_back(0xE2, std::string("ICC_PROFILE\0\1\1", 14) + fake_icc("RGB "));
  markers.emplace_back(0xED, "Photoshop 3.0 something");
  markers.emplace_back(0xE9, "whatever");
  markers.emplace_back(0xFE, "a comment");
  return markers;
}

TEST(JpegMetadata, all_segments_are_kept_verbatim_and_in_order) {
  const FileBytes file = jpeg_file(photo(40, 30), {.markers = sample_markers(), .density = 300});
  for (const bool luma : {false, true}) {
    CodecRun run(file, {.jpeg_luma_plane = luma});
    ASSERT_TRUE(run.decoded());
    const FileBytes out = run.encoded();
    EXPECT_EQ(jpeg_markers(out), jpeg_markers(file));
    EXPECT_EQ(jpeg_shape(out).density, 300);
  }
}

TEST(JpegMetadata, an_rgb_profile_does_not_go_with_a_gray_result) {
  CodecRun run(jpeg_file(photo(16, 16), {.markers = sample_markers()}));
  ASSERT_TRUE(run.decoded());
  compute::ImageView& page = run.image().pages[0];
  page.format.colors = 1;  // as Color::gray leaves it
  page.stride_bytes = page.width;
  const FileBytes out = run.encoded();
  EXPECT_EQ(jpeg_shape(out).components, 1);
  for (const auto& [marker, data] : jpeg_markers(out)) EXPECT_NE(marker, 0xE2);
}

TEST(JpegMetadata, goes_into_other_formats) {
  CodecRun run(jpeg_file(photo(40, 30), {.markers = sample_markers(), .density = 254}));
  ASSERT_TRUE(run.decoded());
  const FileBytes png = run.encoded(FileFormat::png);
  EXPECT_EQ(read_png(png), run.raster());
  bool exif = false, icc = false, xmp = false, resolution = false;
  for (const auto& [type, data] : png_chunks(png)) {
    exif = exif || (type == "eXIf" && data == fake_exif(6));
    icc = icc || type == "iCCP";
    xmp = xmp || (type == "iTXt" && data.ends_with("<x:xmpmeta/>"));
    resolution = resolution || (type == "pHYs" && data == std::string("\0\0\x27\x10\0\0\x27\x10\1", 9));
  }
  EXPECT_TRUE(exif && icc && xmp && resolution);
  const FileBytes tiff = run.encoded(FileFormat::tiff);
  EXPECT_EQ(read_tiff(tiff), run.raster());
  EXPECT_EQ(tiff_tag(tiff, 34675), fake_icc("RGB "));
  EXPECT_EQ(tiff_tag(tiff, 700), "<x:xmpmeta/>");
  EXPECT_EQ(tiff_number(tiff, 274), 6u);
}

TEST(JpegMetadata, comes_from_other_formats) {
  const FileBytes source =
      tiff_file({{make_raster(20, 20, 3, 8), {.photometric = 2, .orientation = 8, .icc = fake_icc("RGB ", 70000)}}});
  CodecRun run(source);
  ASSERT_TRUE(run.decoded());
  CodecRun back(run.encoded(FileFormat::jpeg));
  ASSERT_TRUE(back.decoded());
  const FileBytes tiff = back.encoded(FileFormat::tiff);
  EXPECT_EQ(tiff_tag(tiff, 34675), fake_icc("RGB ", 70000)) << "through two APP2 segments";
  EXPECT_EQ(tiff_number(tiff, 274), 8u) << "through an EXIF block";
}

TEST(JpegFile, says_what_is_wrong) {
  EXPECT_EQ(way_of(jpeg_file(make_raster(16, 16, 4, 8), {.cmyk = true})), Errc::unsupported_feature);
  EXPECT_EQ(way_of(jpeg_file(photo(16, 16), {.arithmetic = true})), Errc::unsupported_feature);
  const FileBytes progressive = jpeg_file(photo(16, 16), {.progressive = true});
  EXPECT_EQ(way_of(progressive, {.jpeg_scans = 3}), Errc::scans_over_limit);
  EXPECT_EQ(way_of(progressive, {.jpeg_scans = 10}), Errc{});
  EXPECT_EQ(way_of(jpeg_file(photo(16, 16), {.markers = {{0xE5, std::string(3000, 'x')}}}), {.ancillary_bytes = 3000}),
            Errc::ancillary_over_limit);
}

TEST(JpegFile, options_that_do_not_fit) {
  CodecRun luma(jpeg_file(photo(16, 16), {}), k_luma);
  EXPECT_EQ(luma.encode(FileFormat::jpeg, 50).error().code, Errc::bad_option);
  EXPECT_EQ(luma.encode(FileFormat::png).error().code, Errc::bad_option);
  CodecRun run(jpeg_file(photo(16, 16), {}));
  EXPECT_EQ(run.encode(FileFormat::jpeg, 0).error().code, Errc::bad_option);
  EXPECT_EQ(run.encode(FileFormat::jpeg, 101).error().code, Errc::bad_option);
  EXPECT_LT(run.encoded(FileFormat::jpeg, 10).size(), run.encoded(FileFormat::jpeg, 95).size());
}

TEST(JpegFile, truncated_anywhere_is_an_error) {
  for (const bool progressive : {false, true}) {
    const FileBytes whole = jpeg_file(photo(24, 17), {.progressive = progressive});
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Errc error = way_of(FileBytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
      EXPECT_EQ(error, length < 3 ? Errc::unknown_format : Errc::truncated) << length;
    }
  }
}

TEST(JpegFile, pixels_cut_out_before_the_end_marker_are_an_error) {
  FileBytes file = jpeg_file(make_noise(64, 64, 3, 8), {});
  file.erase(file.end() - 2 - 500, file.end() - 2);
  EXPECT_EQ(way_of(file), Errc::corrupt);
}

TEST(JpegFile, flipped_bits_never_harm) {
  for (const bool progressive : {false, true}) {
    const FileBytes whole =
        jpeg_file(photo(40, 30), {.progressive = progressive, .restart_rows = 1, .markers = sample_markers()});
    std::mt19937 random(progressive ? 7 : 8);
    int failed = 0;
    for (int i = 0; i < 1000; ++i) {
      FileBytes file = whole;
      for (std::size_t flips = 1 + random() % 3; flips > 0; --flips)
        file[random() % file.size()] ^= std::byte{1} << (random() % 8);
      CodecRun run(file, {.jpeg_luma_plane = i % 2 == 0}, {.pixels = 1'000'000});
      if (!run.decoded() || !run.encode(FileFormat::jpeg)) ++failed;
    }
    EXPECT_GT(failed, 100);
  }
}

TEST(JpegFile, lying_dimensions_are_stopped) {
  FileBytes file = jpeg_file(photo(16, 16), {});
  for (std::size_t i = 0; i + 9 < file.size(); ++i)
    if (file[i] == std::byte{0xFF} && file[i + 1] == std::byte{0xC0}) file[i + 5] = file[i + 7] = std::byte{0xFF};
  EXPECT_EQ(way_of(file), Errc::pixels_over_limit);
  EXPECT_EQ(way_of(file, {.pixels = 5'000'000'000, .decoded_bytes = 1ull << 40}), Errc::ratio_over_limit);
}

TEST(JpegFile, the_hardest_noise_fits_into_the_promised_size) {
  for (const unsigned channels : {1u, 3u}) {
    Raster raster = make_noise(203, 117, channels, 8);
    for (auto& sample : raster.samples) sample = sample < 128 ? 0 : 255;
    CodecRun run(netpbm_file(raster, channels == 1 ? '5' : '6', 255));
    ASSERT_TRUE(run.decoded());
    const FileBytes out = run.encoded(FileFormat::jpeg, 100);
    CodecRun luma(jpeg_file(raster, {.quality = 100, .h = 1, .v = 1, .progressive = channels == 3}), k_luma);
    ASSERT_TRUE(luma.decoded());
    luma.change([](unsigned v) { return v < 128 ? 255u : 0u; });
    EXPECT_GT(luma.encoded().size(), raster.samples.size() / 2);
    EXPECT_GT(out.size(), raster.samples.size() / 2);
  }
}

}  // namespace
}  // namespace histod::test
