// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <random>

#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

/// The bytes of all strips of 8-bit samples, differenced by hand, when zlib deflates them.
std::size_t zlib_bytes(const Raster& raster, std::size_t rows, bool differ, int level) {
  const std::size_t line = std::size_t{raster.width} * raster.channels;
  std::size_t sum = 0;
  for (std::size_t y = 0; y < raster.height; y += rows) {
    std::vector<Bytef> strip;
    for (std::size_t i = y * line; i < std::min<std::size_t>(raster.height, y + rows) * line; ++i) {
      const bool first = i % line < raster.channels;
      const unsigned before = differ && !first ? raster.samples[i - raster.channels] : 0;
      strip.push_back(static_cast<Bytef>(raster.samples[i] - before));
    }
    uLongf bytes = compressBound(strip.size());
    std::vector<Bytef> out(bytes);
    EXPECT_EQ(compress2(out.data(), &bytes, strip.data(), strip.size(), level), Z_OK);
    sum += bytes;
  }
  return sum;
}

/// Waves with a little noise: as smooth as photographs are.
Raster photograph(unsigned channels) {
  Raster raster{1200, 900, channels, 8, {}};
  std::mt19937 random(channels);
  for (unsigned y = 0; y < raster.height; ++y)
    for (unsigned x = 0; x < raster.width; ++x)
      for (unsigned c = 0; c < channels; ++c) {
        const double wave = 100 * std::sin(x * 0.011 + c) * std::cos(y * 0.007 + 2 * c);
        raster.samples.push_back(
            static_cast<std::uint16_t>(128 + static_cast<int>(wave) + static_cast<int>(random() % 5)));
      }
  return raster;
}

/// A pattern that repeats with every row and is no run anywhere.
Raster weave(unsigned channels) {
  Raster raster{1200, 900, channels, 8, {}};
  std::mt19937 random(9);
  std::vector<std::uint16_t> thread(97);
  for (auto& sample : thread) sample = static_cast<std::uint16_t>(random() % 256);
  for (std::size_t i = 0; i < std::size_t{raster.width} * raster.height * channels; ++i)
    raster.samples.push_back(thread[i % thread.size()]);
  return raster;
}

constexpr unsigned k_rows = 64;

FileBytes encoded_again(const Raster& raster, unsigned predictor) {
  const unsigned photometric = raster.channels == 3 ? 2 : 1;
  CodecRun run(tiff_file(
      {{raster, {.photometric = photometric, .compression = 8, .predictor = predictor, .rows_per_strip = k_rows}}}));
  EXPECT_TRUE(run.decoded());
  FileBytes out = run.encoded();
  EXPECT_EQ(read_tiff(out), raster);
  return out;
}

TEST(TiffDeflate, of_photographs_is_as_small_as_zlib_makes_it) {
  for (const unsigned channels : {1u, 3u}) {
    const Raster raster = photograph(channels);
    const std::size_t made = encoded_again(raster, 2).size();
    EXPECT_LT(static_cast<double>(made), 1.05 * static_cast<double>(zlib_bytes(raster, k_rows, true, 6)));
  }
}

TEST(TiffDeflate, looks_for_repeats_where_there_are_some) {
  for (const unsigned channels : {1u, 3u})
    for (const unsigned predictor : {1u, 2u})
      for (const Raster& raster : {weave(channels), photograph(channels)}) {
        const std::size_t made = encoded_again(raster, predictor).size();
        const std::size_t zlib = zlib_bytes(raster, k_rows, predictor == 2, 3);
        EXPECT_LT(static_cast<double>(made), 1.05 * static_cast<double>(zlib) + 1000)
            << channels << " channels, predictor " << predictor;
      }
}

/// Each page has its own way: what suits one may be the worst for the other.
TEST(TiffDeflate, is_chosen_for_each_page) {
  const std::vector<Raster> rasters = {photograph(1), weave(1), photograph(1)};
  std::vector<TiffPage> pages;
  std::size_t zlib = 0;
  for (const Raster& raster : rasters) {
    pages.push_back({raster, {.compression = 8, .predictor = 2, .rows_per_strip = k_rows}});
    zlib += zlib_bytes(raster, k_rows, true, 3);
  }
  CodecRun run(tiff_file(pages));
  ASSERT_TRUE(run.decoded());
  const FileBytes out = run.encoded();
  for (unsigned i = 0; i < rasters.size(); ++i) EXPECT_EQ(read_tiff(out, i), rasters[i]);
  EXPECT_LT(static_cast<double>(out.size()), 1.05 * static_cast<double>(zlib) + 1000);
}

TEST(TiffLzw, strings_of_few_letters_fill_the_table) {
  for (const unsigned letters : {1u, 2u, 3u, 16u, 256u})
    for (const std::uint32_t width : {1u, 2u, 255u, 3838u, 3839u, 3840u, 20'000u, 65'000u}) {
      Raster raster{width, 3, 1, 8, {}};
      std::mt19937 random(letters + width);
      for (std::size_t i = 0; i < std::size_t{3} * width; ++i)
        raster.samples.push_back(static_cast<std::uint16_t>(random() % letters));
      CodecRun run(tiff_file({{raster, {.compression = 5, .rows_per_strip = 2}}}));
      ASSERT_TRUE(run.decoded()) << run.why().detail;
      ASSERT_EQ(run.raster(), raster) << letters << " letters, width " << width;
      ASSERT_EQ(read_tiff(run.encoded()), raster) << letters << " letters, width " << width;
    }
}

TEST(TiffSlots, noise_fits_into_them_with_any_number_of_threads) {
  for (const unsigned compression : {5u, 8u, 32946u, 32773u})
    for (const unsigned tile : {0u, 48u})
      for (const unsigned threads : k_threads) {
        const Raster raster = make_noise(333, 201, 3, 16, tile);
        CodecRun run(tiff_file({{raster,
                                 {.bits = 16,
                                  .photometric = 2,
                                  .compression = compression,
                                  .separate = tile == 48,
                                  .tile = tile,
                                  .rows_per_strip = 5}}}),
                     {}, {}, arena_of(threads));
        ASSERT_TRUE(run.decoded());
        EXPECT_EQ(read_tiff(run.encoded()), raster);
      }
}

TEST(TiffSlots, memory_that_is_too_small_is_refused) {
  CodecRun run(tiff_file({{make_raster(64, 64, 1, 8), {.compression = 5, .rows_per_strip = 8}}}));
  ASSERT_TRUE(run.decoded());
  const codec::EncodeOptions options{.format = FileFormat::tiff, .quality = {}};
  FileBytes out(codec::encoded_bytes_max(run.image(), options) - 1);
  const auto length = codec::encode(run.image(), options, out, test_arena());
  ASSERT_FALSE(length.has_value());
  EXPECT_EQ(length.error().code, Errc::output_full);
}

/// Other formats become strips of Deflate, with the levels of a PGM stretched over the whole depth.
TEST(TiffSlots, other_formats_become_the_same_file_with_any_number_of_threads) {
  Raster dim = make_raster(700, 900, 1, 8);
  for (auto& sample : dim.samples) sample = sample % 100;
  const FileBytes files[] = {netpbm_file(dim, '5', 99),
                             png_file(make_raster(600, 700, 3, 16), {.color_type = 2, .bits = 16})};
  for (const FileBytes& file : files) {
    FileBytes first;
    for (const unsigned threads : k_threads) {
      CodecRun run(file, {}, {}, arena_of(threads));
      ASSERT_TRUE(run.decoded());
      const FileBytes out = run.encoded(FileFormat::tiff);
      if (first.empty()) first = out;
      EXPECT_EQ(out, first) << threads;
    }
    CodecRun run(file);
    Raster expected = run.raster();
    if (expected.channels == 1)
      for (auto& sample : expected.samples) sample = static_cast<std::uint16_t>((sample * 255u + 49) / 99);
    EXPECT_EQ(read_tiff(first), expected);
  }
}

}  // namespace
}  // namespace histod::test
