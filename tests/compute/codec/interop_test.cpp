// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/compute/codec/codec_run.hpp"

/// What others make of our files: OpenCV's imgcodecs, and the command line tools of Debian.
namespace histod::test {
namespace {

using codec::FileFormat;

/// OpenCV's reading of a file, in RGB order.
Raster read_with_opencv(const FileBytes& file) {
  const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8U, const_cast<std::byte*>(file.data()));
  const cv::Mat image = cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
  Raster raster{static_cast<std::uint32_t>(image.cols),
                static_cast<std::uint32_t>(image.rows),
                static_cast<unsigned>(image.channels()),
                image.depth() == CV_16U ? 16u : 8u,
                {}};
  const int channels = image.channels();
  for (int y = 0; y < image.rows; ++y)
    for (int x = 0; x < image.cols; ++x)
      for (int c = 0; c < channels; ++c) {
        const int at = x * channels + (channels >= 3 && c < 3 ? 2 - c : c);
        raster.samples.push_back(raster.depth_bits == 16 ? image.ptr<std::uint16_t>(y)[at]
                                                         : image.ptr<std::uint8_t>(y)[at]);
      }
  return raster;
}

TEST(OpenCv, reads_what_is_encoded_here_in_every_format) {
  for (const unsigned channels : {1u, 3u})
    for (const unsigned depth : {8u, 16u}) {
      const Raster raster = make_raster(61, 45, channels, depth);
      CodecRun run(netpbm_file(raster, channels == 1 ? '5' : '6', depth == 8 ? 255 : 65535));
      ASSERT_TRUE(run.decoded());
      EXPECT_EQ(read_with_opencv(run.encoded()), raster);
      EXPECT_EQ(read_with_opencv(run.encoded(FileFormat::png)), raster);
      EXPECT_EQ(read_with_opencv(run.encoded(FileFormat::tiff)), raster);
      // OpenCV takes the channels of a PAM in the other order.
      if (channels == 1) {
        EXPECT_EQ(read_with_opencv(run.encoded(FileFormat::pam)), raster);
      }
    }
  const Raster rgba = make_raster(61, 45, 4, 16);
  CodecRun run(png_file(rgba, {.color_type = 6, .bits = 16}));
  ASSERT_TRUE(run.decoded());
  EXPECT_EQ(read_with_opencv(run.encoded()), rgba);
}

TEST(OpenCv, agrees_about_jpeg_pixels) {
  for (const bool progressive : {false, true}) {
    const FileBytes file = jpeg_file(make_raster(83, 59, 3, 8), {.progressive = progressive});
    CodecRun run(file);
    ASSERT_TRUE(run.decoded());
    EXPECT_EQ(run.raster(), read_with_opencv(file));
  }
}

TEST(OpenCv, writes_what_is_decoded_here) {
  cv::Mat image(40, 50, CV_16UC1);
  for (int y = 0; y < image.rows; ++y)
    for (int x = 0; x < image.cols; ++x) image.at<std::uint16_t>(y, x) = static_cast<std::uint16_t>(x * 1301 + y * 17);
  for (const char* extension : {".png", ".tiff", ".pgm"}) {
    std::vector<unsigned char> bytes;
    ASSERT_TRUE(cv::imencode(extension, image, bytes));
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    const FileBytes file(begin, begin + bytes.size());
    CodecRun run(file);
    ASSERT_TRUE(run.decoded()) << extension << run.why().detail;
    EXPECT_EQ(run.raster(), read_with_opencv(file)) << extension;
  }
}

/// A file in a temporary folder that goes with it.
class TemporaryFile {
 public:
  TemporaryFile(const FileBytes& bytes, const std::string& name) {
    std::string pattern = (std::filesystem::temp_directory_path() / "codec-test-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / name;
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  ~TemporaryFile() { std::filesystem::remove_all(folder_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// Standard output of a tool that gets the path behind its arguments; nothing when the tool is not installed.
  std::optional<std::string> told(const std::string& tool) const {
    FILE* pipe = popen((tool + " '" + path_.string() + "' 2>&1").c_str(), "r");
    if (pipe == nullptr) return std::nullopt;
    std::string text;
    char part[4096];
    for (std::size_t n = 0; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
    const int status = pclose(pipe);
    constexpr int k_not_found = 127;
    if (WIFEXITED(status) && WEXITSTATUS(status) == k_not_found) return std::nullopt;
    EXPECT_EQ(status, 0) << tool << ": " << text;
    return text;
  }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

FileBytes geo_tiff() {
  return tiff_file({{make_raster(64, 48, 3, 16),
                     {.bits = 16,
                      .photometric = 2,
                      .compression = 8,
                      .predictor = 2,
                      .tile = 16,
                      .big_endian = true,
                      .orientation = 6,
                      .geo = true}}});
}

TEST(Tools, listgeo_sees_the_same_georeference_before_and_after) {
  const FileBytes before = geo_tiff();
  CodecRun run(before);
  ASSERT_TRUE(run.decoded());
  const auto expected = TemporaryFile(before, "a.tif").told("listgeo");
  if (!expected) GTEST_SKIP() << "listgeo is not installed";
  EXPECT_NE(expected->find("ModelTiepointTag"), std::string::npos);
  EXPECT_EQ(TemporaryFile(run.encoded(), "a.tif").told("listgeo"), expected);
}

TEST(Tools, exiftool_sees_the_same_metadata_before_and_after) {
  const std::string exif = std::string("Exif\0\0", 6) + fake_exif(6);
  const std::pair<const char*, FileBytes> files[] = {
      {"a.tif", geo_tiff()},
      {"a.png",
       png_file(make_raster(9, 9, 3, 8),
                {.color_type = 2, .chunks_before = {{"eXIf", fake_exif(6)}, {"tEXt", std::string("Title\0x", 7)}}})},
      {"a.jpg", jpeg_file(make_raster(33, 17, 3, 8), {.markers = {{0xE1, exif}, {0xFE, "said"}}, .density = 300})}};
  for (const auto& [name, before] : files) {
    CodecRun run(before);
    ASSERT_TRUE(run.decoded()) << name;
    // Offsets and sizes of pixel data differ, as does the list of statistics; the rest must not.
    const std::string tool =
        "exiftool -a -G1 -s --System:all --ExifTool:all --StripOffsets --StripByteCounts --TileOffsets "
        "--TileByteCounts "
        "--GDALMetadata --ThumbnailOffset -x EXIF:GDALMetadata";
    const auto expected = TemporaryFile(before, name).told(tool);
    if (!expected) GTEST_SKIP() << "exiftool is not installed";
    EXPECT_NE(expected->find("Orientation"), std::string::npos) << name << *expected;
    EXPECT_EQ(TemporaryFile(run.encoded(), name).told(tool), expected) << name;
  }
}

/// Pillow has a PNG reader of its own, which shares only zlib with libpng.
TEST(Tools, pillow_reads_the_same_pixels_of_a_png) {
  const std::string tool = HISTOD_TEST_PYTHON
      " -c 'import sys, zlib; from PIL import Image; image = Image.open(sys.argv[1]); "
      "print(image.mode, image.width, image.height, zlib.crc32(image.tobytes()))'";
  const std::pair<unsigned, const char*> kinds[] = {{1, "L"}, {2, "LA"}, {3, "RGB"}, {4, "RGBA"}};
  for (const auto& [channels, mode] : kinds) {
    const Raster raster = make_raster(700, 900, channels, 8);
    const int color_type = channels == 1 ? 0 : channels == 2 ? 4 : channels == 3 ? 2 : 6;
    CodecRun run(png_file(raster, {.color_type = color_type}));
    ASSERT_TRUE(run.decoded());
    std::vector<Bytef> samples(raster.samples.begin(), raster.samples.end());
    const uLong crc = crc32(0, samples.data(), static_cast<uInt>(samples.size()));
    const auto told = TemporaryFile(run.encoded(), "a.png").told(tool);
    EXPECT_EQ(told, std::string(mode) + " 700 900 " + std::to_string(crc) + "\n");
  }
}

TEST(Tools, tiffinfo_has_nothing_to_complain_of) {
  CodecRun run(geo_tiff());
  ASSERT_TRUE(run.decoded());
  const auto told = TemporaryFile(run.encoded(), "a.tif").told("tiffinfo -D -s");
  if (!told) GTEST_SKIP() << "tiffinfo is not installed";
  EXPECT_EQ(told->find("rror"), std::string::npos) << *told;
  EXPECT_NE(told->find("Orientation: row 0 rhs, col 0 top"), std::string::npos) << *told;
}

}  // namespace
}  // namespace histod::test
