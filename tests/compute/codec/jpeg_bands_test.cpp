// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

/// Large JPEGs are written in bands that are restart intervals. Oracle: what libjpeg writes in one go.
namespace histod::test {
namespace {

using codec::FileFormat;

/// Smooth shades with some noise: many coefficients, none of them out of the ordinary.
Raster landscape(std::uint32_t width, std::uint32_t height, unsigned channels) {
  Raster raster{width, height, channels, 8, {}};
  raster.samples.reserve(std::size_t{width} * height * channels);
  std::mt19937 random(width * 31 + height);
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (unsigned c = 0; c < channels; ++c)
        raster.samples.push_back(static_cast<std::uint16_t>((x * (c + 1) / 3 + y * 2 / 3) % 200 + random() % 24));
  return raster;
}

FileBytes encoded_by(CodecRun& run, unsigned threads, std::optional<int> quality = {}) {
  compute::Arena arena({.cpus = {}, .threads = threads});
  const codec::EncodeOptions options{.format = FileFormat::jpeg, .quality = quality};
  FileBytes out(codec::encoded_bytes_max(run.image(), options));
  const auto length = codec::encode(run.image(), options, out, arena);
  EXPECT_TRUE(length.has_value()) << length.error().detail;
  out.resize(length.value_or(0));
  return out;
}

/// The numbers of the restart markers, in their order.
std::vector<unsigned> restarts(const FileBytes& file) {
  std::vector<unsigned> numbers;
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    const auto next = std::to_integer<unsigned>(file[i + 1]);
    if (file[i] == std::byte{0xFF} && next >= 0xD0 && next <= 0xD7) numbers.push_back(next - 0xD0);
  }
  return numbers;
}

std::vector<unsigned> counted_restarts(std::size_t count) {
  std::vector<unsigned> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = i % 8;
  return numbers;
}

void expect_same_coefficients(const FileBytes& a, const FileBytes& b, unsigned channels) {
  for (int i = 0; i < static_cast<int>(channels); ++i) {
    EXPECT_TRUE(jpeg_coefficients(a, i) == jpeg_coefficients(b, i)) << "component " << i;
    EXPECT_EQ(jpeg_quantization(a, i), jpeg_quantization(b, i));
  }
}

struct Size {
  std::uint32_t width, height;
  std::size_t bands;  ///< of half a megapixel each, in multiples of 96 rows
};
void PrintTo(const Size& s, std::ostream* out) { *out << s.width << "x" << s.height; }

class JpegBands : public testing::TestWithParam<Size> {};

TEST_P(JpegBands, pixels_come_out_as_libjpeg_codes_them) {
  for (const unsigned channels : {1u, 3u}) {
    const Raster raster = landscape(GetParam().width, GetParam().height, channels);
    CodecRun run(netpbm_file(raster, channels == 1 ? '5' : '6', 255));
    ASSERT_TRUE(run.decoded());
    const FileBytes out = encoded_by(run, 1, 85);
    const FileBytes whole = jpeg_file(raster, {.quality = 85});
    expect_same_coefficients(out, whole, channels);
    EXPECT_TRUE(read_jpeg(out) == read_jpeg(whole));
    EXPECT_EQ(restarts(out), counted_restarts(GetParam().bands - 1));
    EXPECT_EQ(jpeg_shape(out).restart_interval > 0, GetParam().bands > 1);
  }
}

TEST_P(JpegBands, bytes_are_the_same_for_any_arena) {
  for (const unsigned channels : {1u, 3u}) {
    CodecRun run(netpbm_file(landscape(GetParam().width, GetParam().height, channels), channels == 1 ? '5' : '6', 255));
    ASSERT_TRUE(run.decoded());
    const FileBytes one = encoded_by(run, 1);
    for (const unsigned threads : {2u, 5u}) EXPECT_TRUE(encoded_by(run, threads) == one) << threads;
  }
}

TEST_P(JpegBands, input_keeps_tables_sampling_and_segments) {
  const Raster raster = landscape(GetParam().width, GetParam().height, 3);
  for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {4, 2}, {3, 2}}) {
    JpegSpec spec{.quality = 75, .h = h, .v = v, .markers = {{0xE9, "whatever"}, {0xFE, "a comment"}}, .density = 300};
    const FileBytes file = jpeg_file(raster, spec);
    CodecRun run(file);
    ASSERT_TRUE(run.decoded());
    const FileBytes out = encoded_by(run, 2);
    JpegShape shape = jpeg_shape(out);
    EXPECT_EQ(shape.restart_interval > 0, GetParam().bands > 1);
    shape.restart_interval = 0;
    EXPECT_EQ(shape, jpeg_shape(file));
    EXPECT_EQ(jpeg_markers(out), jpeg_markers(file));
    spec.markers.clear();
    expect_same_coefficients(out, jpeg_file(run.raster(), spec), 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, JpegBands,
                         testing::Values(Size{1000, 480, 1}, Size{1000, 481, 2}, Size{1001, 963, 3},
                                         Size{6000, 1000, 11}, Size{61, 17100, 3}));

TEST(JpegBands, an_interval_longer_than_its_marker_can_say_is_none) {
  const Raster raster = landscape(43700, 100, 1);
  CodecRun run(netpbm_file(raster, '5', 255));
  ASSERT_TRUE(run.decoded());
  const FileBytes out = encoded_by(run, 2, 85);
  EXPECT_TRUE(restarts(out).empty());
  expect_same_coefficients(out, jpeg_file(raster, {.quality = 85}), 1);
}

}  // namespace
}  // namespace histod::test
