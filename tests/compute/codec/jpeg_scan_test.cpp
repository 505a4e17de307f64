// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_scan.hpp"

#include <random>

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "compute/codec/jpeg_zigzag.hpp"
#include "tests/compute/codec/codec_run.hpp"
#include "tests/support/naive_jpeg.hpp"

/// Reading a scan from many places at once, and what is written of it. Oracle: a reader that goes bit by bit.
namespace histod::test {
namespace {

namespace jpeg = compute::codec::jpeg;

Raster scene(std::uint32_t width, std::uint32_t height, unsigned channels, unsigned noise) {
  Raster raster{width, height, channels, 8, {}};
  std::mt19937 random(width + height);
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (unsigned c = 0; c < channels; ++c)
        raster.samples.push_back(static_cast<std::uint16_t>((x / 5 * (c + 2) + y / 3) % 180 + random() % noise));
  return raster;
}

struct Case {
  unsigned channels;
  int h, v, restart_rows;
  unsigned noise;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.channels << " components " << c.h << "x" << c.v << " restart " << c.restart_rows << " noise " << c.noise;
}

class Scan : public testing::TestWithParam<Case> {
 protected:
  FileBytes file_ =
      jpeg_file(scene(803, 605, GetParam().channels, GetParam().noise),
                {.quality = 95, .h = GetParam().h, .v = GetParam().v, .restart_rows = GetParam().restart_rows});
  NaiveJpeg naive_{file_};
};

TEST_P(Scan, is_what_the_file_says) {
  ASSERT_EQ(naive_.why, "");
  const auto scan = jpeg::read_scan(file_);
  ASSERT_NE(scan, nullptr);
  EXPECT_EQ(scan->width, naive_.width);
  EXPECT_EQ(scan->height, naive_.height);
  EXPECT_EQ(scan->mcus, naive_.mcus.size());
  EXPECT_EQ(scan->data_bytes * 8, naive_.bits);
  EXPECT_EQ(scan->restart_interval, naive_.restart_interval);
  EXPECT_EQ(scan->intervals.size(), naive_.restarts + 1);
  for (std::size_t c = 0; c < scan->components.size(); ++c)
    for (std::size_t i = 0; i < 64; ++i)
      EXPECT_EQ(scan->quantization(c)[jpeg::k_natural_order[i]],
                naive_.tables.at(naive_.components[c].quantization)[i]);
}

TEST_P(Scan, entries_are_places_that_the_slow_reader_comes_by) {
  ASSERT_EQ(naive_.why, "");
  const auto scan = jpeg::read_scan(file_);
  ASSERT_NE(scan, nullptr);
  for (const unsigned threads : {2u, 5u}) {
    compute::Arena arena({.cpus = {}, .threads = threads});
    const auto entries = jpeg::entries_of(*scan, arena);
    ASSERT_GE(entries.size(), 2u);
    for (const jpeg::Entry& entry : entries) {
      ASSERT_LT(entry.mcu, naive_.mcus.size());
      EXPECT_EQ(entry.position, naive_.mcus[entry.mcu].begin);
      EXPECT_EQ(entry.dc, naive_.mcus[entry.mcu].before);
    }
  }
}

TEST_P(Scan, places_of_bands_and_chroma_are_those_of_the_slow_reader) {
  ASSERT_EQ(naive_.why, "");
  const auto scan = jpeg::read_scan(file_);
  ASSERT_NE(scan, nullptr);
  compute::Arena arena({.cpus = {}, .threads = 3});
  std::vector<std::byte> pixels(std::size_t{scan->width} * scan->height);
  const compute::ImageView page{pixels.data(), scan->width, scan->height, scan->width, {}};
  jpeg::Places places(*scan, 257);
  ASSERT_TRUE(jpeg::decode_luma(*scan, page, places, arena));
  ASSERT_EQ(places.bands.size(), (scan->mcus + 256) / 257);
  for (std::size_t i = 0; i < places.bands.size(); ++i) {
    EXPECT_EQ(places.bands[i].mcu, i * 257);
    EXPECT_EQ(places.bands[i].position, naive_.mcus[i * 257].begin);
    EXPECT_EQ(places.bands[i].dc, naive_.mcus[i * 257].before);
  }
  ASSERT_EQ(places.chromas.size(), GetParam().channels == 1 ? 0 : naive_.mcus.size());
  for (std::size_t i = 0; i < places.chromas.size(); ++i) ASSERT_EQ(places.chromas[i], naive_.mcus[i].chroma) << i;
}

TEST_P(Scan, what_is_written_keeps_to_the_standard) {
  ASSERT_EQ(naive_.why, "");
  CodecRun run(file_, {.jpeg_luma_plane = true});
  ASSERT_TRUE(run.decoded());
  run.change([](unsigned v) { return v * v / 255; });
  const FileBytes out = run.encoded();
  const NaiveJpeg found(out);
  ASSERT_EQ(found.why, "");
  EXPECT_EQ(found.width, naive_.width);
  EXPECT_EQ(found.height, naive_.height);
  EXPECT_EQ(found.tables, naive_.tables);
  EXPECT_EQ(found.mcus.size(), naive_.mcus.size());
  for (std::size_t c = 1; c < naive_.blocks.size(); ++c) EXPECT_TRUE(found.blocks[c] == naive_.blocks[c]);
  EXPECT_FALSE(found.blocks[0] == naive_.blocks[0]);
  const cv::Mat whole(1, static_cast<int>(out.size()), CV_8U, const_cast<std::byte*>(out.data()));
  const cv::Mat seen = cv::imdecode(whole, cv::IMREAD_GRAYSCALE);
  ASSERT_EQ(seen.cols, static_cast<int>(naive_.width));
  ASSERT_EQ(seen.rows, static_cast<int>(naive_.height));
  const Raster expected = read_jpeg(out, true);
  for (int y = 0; y < seen.rows; ++y)
    for (int x = 0; x < seen.cols; ++x)
      ASSERT_EQ(seen.at<std::uint8_t>(y, x), expected.samples[static_cast<std::size_t>(y * seen.cols + x)]);
}

INSTANTIATE_TEST_SUITE_P(Cases, Scan,
                         testing::Values(Case{1, 1, 1, 0, 40}, Case{1, 1, 1, 1, 40}, Case{3, 1, 1, 0, 30},
                                         Case{3, 2, 1, 0, 40}, Case{3, 1, 2, 0, 40}, Case{3, 2, 2, 0, 50},
                                         Case{3, 2, 2, 1, 50}, Case{3, 4, 1, 0, 50}, Case{3, 4, 2, 3, 60}));

TEST(ScanRefusals, go_to_libjpeg) {
  const Raster raster = scene(100, 80, 3, 30);
  const FileBytes good = jpeg_file(raster, {.restart_rows = 1});
  ASSERT_NE(jpeg::read_scan(good), nullptr);
  EXPECT_EQ(jpeg::read_scan(jpeg_file(raster, {.progressive = true})), nullptr);
  EXPECT_EQ(jpeg::read_scan(jpeg_file(scene(100, 80, 4, 30), {.cmyk = true})), nullptr);
  EXPECT_EQ(jpeg::read_scan(jpeg_file(raster, {.arithmetic = true})), nullptr);
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_EQ(jpeg::read_scan(FileBytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))), nullptr);
  const auto with = [&](std::byte code, std::byte instead) {
    FileBytes file = good;
    for (std::size_t i = file.size() - 2; i > 0; --i)
      if (file[i] == std::byte{0xFF} && file[i + 1] == code) {
        file[i + 1] = instead;
        return file;
      }
    return FileBytes{};
  };
  EXPECT_NE(jpeg::read_scan(with(std::byte{0xD1}, std::byte{0xD1})), nullptr);
  EXPECT_EQ(jpeg::read_scan(with(std::byte{0xD1}, std::byte{0xD2})), nullptr) << "a restart out of turn";
  EXPECT_EQ(jpeg::read_scan(with(std::byte{0xD1}, std::byte{0x00})), nullptr) << "a restart is missing";
  EXPECT_EQ(jpeg::read_scan(with(std::byte{0xD1}, std::byte{0xFE})), nullptr) << "a segment within the data";
  EXPECT_EQ(jpeg::read_scan(with(std::byte{0xC0}, std::byte{0xC2})), nullptr) << "another process";
  EXPECT_EQ(jpeg::read_scan(with(std::byte{0xDD}, std::byte{0xFE})), nullptr) << "restarts without an interval";
}

}  // namespace
}  // namespace histod::test
