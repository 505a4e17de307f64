// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

FileBytes text_file(std::string_view text) {
  FileBytes file;
  for (const char c : text) file.push_back(static_cast<std::byte>(c));
  return file;
}

struct NetpbmVariant {
  char kind;
  unsigned channels;
  std::uint32_t maxval;
  FileFormat format;
};

class Netpbm : public testing::TestWithParam<NetpbmVariant> {};

TEST_P(Netpbm, decodes_to_its_samples_and_encodes_to_itself) {
  const auto [kind, channels, maxval, format] = GetParam();
  Raster raster = make_raster(37, 11, channels, maxval > 255 ? 16 : 8);
  for (auto& sample : raster.samples) sample = static_cast<std::uint16_t>(sample % (maxval + 1));
  const FileBytes file = netpbm_file(raster, kind, maxval, " made by a test");
  CodecRun run(file);
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  EXPECT_EQ(run.info().format, format);
  EXPECT_EQ(run.info().pages[0].levels, maxval == 255 || maxval == 65535 ? 0 : maxval + 1);
  EXPECT_EQ(run.raster(), raster);
  const char binary = kind == '2' ? '5' : kind == '3' ? '6' : kind;
  EXPECT_EQ(run.encoded(), netpbm_file(raster, binary, maxval, " made by a test"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Netpbm,
    testing::Values(NetpbmVariant{'5', 1, 255, FileFormat::pgm}, NetpbmVariant{'5', 1, 65535, FileFormat::pgm},
                    NetpbmVariant{'5', 1, 4095, FileFormat::pgm}, NetpbmVariant{'5', 1, 1, FileFormat::pgm},
                    NetpbmVariant{'5', 1, 256, FileFormat::pgm}, NetpbmVariant{'6', 3, 255, FileFormat::ppm},
                    NetpbmVariant{'6', 3, 1023, FileFormat::ppm}, NetpbmVariant{'2', 1, 255, FileFormat::pgm},
                    NetpbmVariant{'2', 1, 65535, FileFormat::pgm}, NetpbmVariant{'3', 3, 100, FileFormat::ppm},
                    NetpbmVariant{'7', 1, 255, FileFormat::pam}, NetpbmVariant{'7', 5, 999, FileFormat::pam}));

TEST(NetpbmHeader, tuple_type_says_what_the_channels_are) {
  const Raster raster = make_raster(5, 4, 4, 8);
  CodecRun alpha(netpbm_file(raster, '7', 255, "", "RGB_ALPHA"));
  ASSERT_TRUE(alpha.decoded());
  EXPECT_EQ(alpha.info().pages[0].format, (compute::PixelFormat{3, 1, true, 8}));
  EXPECT_EQ(alpha.encoded(), netpbm_file(raster, '7', 255, "", "RGB_ALPHA"));
  CodecRun bands(netpbm_file(raster, '7', 255, "", "CMYK"));
  ASSERT_TRUE(bands.decoded());
  EXPECT_EQ(bands.info().pages[0].format, (compute::PixelFormat{4, 0, false, 8}));
  EXPECT_EQ(bands.encoded(), netpbm_file(raster, '7', 255, "", "CMYK"));
}

TEST(NetpbmHeader, comments_and_white_space_may_be_anywhere) {
  CodecRun run(text_file("P5 #one\n# two\r\n2\t#three\n2\n255 ABCD"));
  ASSERT_TRUE(run.decoded()) << run.why().detail;
  EXPECT_EQ(run.raster().samples, (std::vector<std::uint16_t>{'A', 'B', 'C', 'D'}));
  EXPECT_EQ(run.encoded(), text_file("P5\n#one\n# two\n#three\n2 2\n255\nABCD"));
}

TEST(NetpbmHeader, says_what_is_wrong) {
  const std::pair<std::string_view, Errc> cases[] = {
      {"P5 2 2 255 ABC", Errc::truncated},
      {"P5 2 2 255", Errc::truncated},
      {"P5 2 2", Errc::truncated},
      {"P5 # only a comment", Errc::truncated},
      {"P5 0 2 255 ", Errc::corrupt},
      {"P5 2 2 0 ABCD", Errc::corrupt},
      {"P5 2 2 65536 ABCDABCD", Errc::corrupt},
      {"P5 -2 2 255 ABCD", Errc::corrupt},
      {"P5 x 2 255 ABCD", Errc::corrupt},
      {"P5 2 2 255#ABCD", Errc::corrupt},
      {"P5 2 2 100 ABCz", Errc::corrupt},
      {"P5 2 2 300 zzzzzzzz", Errc::corrupt},
      {"P5 99999999999 2 255 ABCD", Errc::corrupt},
      {"P5 70000 2 255 ABCD", Errc::dimension_over_limit},
      {"P5 60000 60000 255 ABCD", Errc::pixels_over_limit},
      {"P6 40000 5000 65535 ABCD", Errc::ratio_over_limit},
      {"P1 2 2 1 0 0 1", Errc::unsupported_feature},
      {"P4 2 2 ABCD", Errc::unsupported_feature},
      {"P5 1 1 255 AP5 1 1 255 B", Errc::unsupported_feature},
      {"P2 2 2 9 1 2 3 4", Errc{}},
      {"P2 2 2 9 1 2 3", Errc::truncated},
      {"P2 2 2 9 1 2 3 10", Errc::corrupt},
      {"P2 2 2 9 1 2 3 x", Errc::corrupt},
      {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 0\nMAXVAL 255\nENDHDR\nA", Errc::unsupported_feature},
      {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nA", Errc::corrupt},
      {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\n", Errc::truncated},
      {"P8 1 1 255 A", Errc::unknown_format},
      {"", Errc::unknown_format},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(way_of(text_file(text)), expected) << text;
}

TEST(NetpbmFile, truncated_anywhere_is_an_error) {
  const FileBytes whole = netpbm_file(make_raster(5, 3, 3, 16), '6', 65535, "c");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Errc error = way_of(FileBytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    EXPECT_EQ(error, length < 3 ? Errc::unknown_format : Errc::truncated) << length;
  }
}

TEST(NetpbmFile, stretches_its_levels_for_a_format_that_cannot_declare_them) {
  Raster raster = make_raster(16, 1, 1, 8);
  for (unsigned i = 0; i < 16; ++i) raster.samples[i] = static_cast<std::uint16_t>(i);
  CodecRun run(netpbm_file(raster, '5', 15));
  ASSERT_TRUE(run.decoded());
  const Raster png = read_png(run.encoded(FileFormat::png));
  const Raster tiff = read_tiff(run.encoded(FileFormat::tiff));
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(png.samples[i], i * 17);
    EXPECT_EQ(tiff.samples[i], i * 17);
  }
}

}  // namespace
}  // namespace histod::test
