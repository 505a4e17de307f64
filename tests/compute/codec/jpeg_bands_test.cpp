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
                         testing::Values(Size{1000, 480, 1}, Size{1000, 481, 2}, Size{1001, 963, 3}, Size{3000, 400, 5},
                                         Size{61, 17100, 3}));

TEST(JpegBands, an_interval_longer_than_its_marker_can_say_is_none) {
  const Raster raster = landscape(43700, 100, 1);
  CodecRun run(netpbm_file(raster, '5', 255));
  ASSERT_TRUE(run.decoded());
  const FileBytes out = encoded_by(run, 2, 85);
  EXPECT_TRUE(restarts(out).empty());
  expect_same_coefficients(out, jpeg_file(raster, {.quality = 85}), 1);
}

/// Files of one scan that are large enough for several threads to read.
struct Source {
  unsigned channels;
  int h, v;
  int restart_rows;
  std::uint32_t width, height;
};
void PrintTo(const Source& s, std::ostream* out) {
  *out << s.channels << " components " << s.h << "x" << s.v << " restart " << s.restart_rows << ", " << s.width << "x"
       << s.height;
}

FileBytes source_file(const Source& s) {
  const JpegSpec spec{
      .quality = 92, .h = s.h, .v = s.v, .restart_rows = s.restart_rows, .markers = {{0xFE, "a comment"}}};
  return jpeg_file(landscape(s.width, s.height, s.channels), spec);
}

/// The luma plane as `threads` threads decode it.
Raster decoded_by(const FileBytes& file, unsigned threads, Errc* error = nullptr) {
  compute::Arena arena({.cpus = {}, .threads = threads});
  const auto info = codec::probe(file, {}, {.jpeg_luma_plane = true});
  Raster raster;
  if (error != nullptr) *error = info ? Errc{} : static_cast<Errc>(info.error().code.value());
  if (!info) return raster;
  std::vector<std::byte> memory(info->pixel_bytes + 64);
  const auto aligned = 64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  const auto image = codec::decode(file, *info, std::span(memory).subspan(aligned), {}, arena);
  if (error != nullptr && !image) *error = static_cast<Errc>(image.error().code.value());
  if (!image) return raster;
  const compute::ImageView& page = image->pages[0];
  raster = {page.width, page.height, page.format.channels(), 8, {}};
  for (std::uint32_t y = 0; y < page.height; ++y)
    for (std::size_t x = 0; x < page.row_bytes(); ++x)
      raster.samples.push_back(std::to_integer<std::uint16_t>(page.row(y)[x]));
  return raster;
}

class JpegScan : public testing::TestWithParam<Source> {};

TEST_P(JpegScan, is_decoded_as_libjpeg_does_by_any_number_of_threads) {
  const FileBytes file = source_file(GetParam());
  const Raster expected = read_jpeg(file, true);
  for (const unsigned threads : {1u, 2u, 5u}) EXPECT_TRUE(decoded_by(file, threads) == expected) << threads;
}

TEST_P(JpegScan, broken_anywhere_is_what_libjpeg_makes_of_it) {
  const FileBytes whole = source_file(GetParam());
  std::mt19937 random(GetParam().width);
  int failed = 0;
  for (int i = 0; i < 10; ++i) {
    FileBytes file = whole;
    file[1000 + random() % (file.size() - 1000)] ^= std::byte{1} << (random() % 8);
    Errc one{};
    Errc many{};
    const Raster by_one = decoded_by(file, 1, &one);
    const Raster by_many = decoded_by(file, 5, &many);
    EXPECT_EQ(one, many);
    EXPECT_TRUE(by_one == by_many);
    EXPECT_TRUE(many != Errc{} || by_many == read_jpeg(file, true));
    failed += many != Errc{};
  }
  EXPECT_LT(failed, 10);
}

TEST_P(JpegScan, luma_is_coded_as_libjpeg_codes_the_plane_and_chroma_is_untouched) {
  if (GetParam().channels == 1) GTEST_SKIP() << "there is no chroma";
  const FileBytes file = source_file(GetParam());
  CodecRun run(file, {.jpeg_luma_plane = true});
  ASSERT_TRUE(run.decoded());
  run.change([](unsigned v) { return (255 - v) * 7 / 8; });
  const FileBytes out = encoded_by(run, 1);
  for (const unsigned threads : {2u, 5u}) EXPECT_TRUE(encoded_by(run, threads) == out) << threads;
  const FileBytes gray = jpeg_file(run.raster(), {.quality = 92});
  EXPECT_TRUE(jpeg_coefficients(out, 0) == jpeg_coefficients(gray, 0));
  for (const int i : {1, 2}) EXPECT_TRUE(jpeg_coefficients(out, i) == jpeg_coefficients(file, i));
  for (const int i : {0, 1, 2}) EXPECT_EQ(jpeg_quantization(out, i), jpeg_quantization(file, i));
  JpegShape shape = jpeg_shape(out);
  EXPECT_EQ(jpeg_markers(out), jpeg_markers(file));
  const std::uint32_t mcu_width = 8u * static_cast<unsigned>(GetParam().h);
  const std::uint32_t mcu_height = 8u * static_cast<unsigned>(GetParam().v);
  const std::uint32_t mcus =
      (GetParam().width + mcu_width - 1) / mcu_width * ((GetParam().height + mcu_height - 1) / mcu_height);
  ASSERT_GT(shape.restart_interval, 0);
  EXPECT_EQ(restarts(out), counted_restarts((mcus - 1) / static_cast<unsigned>(shape.restart_interval)));
  if (GetParam().restart_rows == 0) shape.restart_interval = 0;
  EXPECT_EQ(shape, jpeg_shape(file));
  EXPECT_TRUE(decoded_by(out, 5) == read_jpeg(out, true)) << "what was written is read in parallel, too";
}

INSTANTIATE_TEST_SUITE_P(Sources, JpegScan,
                         testing::Values(Source{1, 1, 1, 0, 1500, 1100}, Source{1, 1, 1, 3, 1001, 777},
                                         Source{3, 1, 1, 0, 1001, 777}, Source{3, 2, 1, 0, 1001, 777},
                                         Source{3, 1, 2, 0, 1003, 779}, Source{3, 2, 2, 0, 1505, 1107},
                                         Source{3, 2, 2, 1, 1501, 1113}, Source{3, 4, 2, 0, 1201, 905},
                                         Source{3, 4, 1, 2, 1100, 801}, Source{3, 1, 1, 1, 61, 17003}));

TEST(JpegScanBounds, an_image_that_is_another_one_where_nobody_counted_still_fits) {
  // The first eighth of each band is flat, all else the hardest noise there is: codes made for the one fit the other
  // badly.
  Raster raster{1024, 1024, 3, 8, {}};
  std::mt19937 random(5);
  for (std::uint32_t y = 0; y < raster.height; ++y)
    for (std::uint32_t x = 0; x < raster.width; ++x) {
      const std::size_t mcu = y / 8 * (raster.width / 8) + x / 8;
      const bool counted = mcu % 2730 < 2730 / 8 + 2;
      const auto noise = random();
      for (unsigned c = 0; c < 3; ++c) raster.samples.push_back(counted ? 128 : (noise >> c) % 2 * 255);
    }
  CodecRun run(jpeg_file(raster, {.quality = 100, .h = 1, .v = 1}), {.jpeg_luma_plane = true});
  ASSERT_TRUE(run.decoded());
  const FileBytes out = encoded_by(run, 2);
  EXPECT_TRUE(jpeg_coefficients(out, 0) == jpeg_coefficients(jpeg_file(run.raster(), {.quality = 100}), 0));
}

}  // namespace
}  // namespace histod::test
