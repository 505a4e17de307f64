// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>
#include <zlib.h>

#include "compute/kernels.hpp"
#include "tests/compute/codec/codec_run.hpp"

/// What the PNG encoder writes: read by libpng, unpacked by zlib, and compared with a filter by filter count.
namespace histod::test {
namespace {

using codec::FileFormat;

int color_type_of(unsigned channels) { return channels == 1 ? 0 : channels == 2 ? 4 : channels == 3 ? 2 : 6; }

FileBytes file_of(const Raster& raster) {
  return png_file(raster, {.color_type = color_type_of(raster.channels), .bits = static_cast<int>(raster.depth_bits)});
}

FileBytes encoded_in(compute::Arena& arena, CodecRun& run, bool small = false) {
  const codec::EncodeOptions options{.format = FileFormat::png, .quality = {}, .png_small = small};
  FileBytes out(codec::encoded_bytes_max(run.image(), options));
  const auto length = codec::encode(run.image(), options, out, arena);
  EXPECT_TRUE(length.has_value());
  out.resize(length.value_or(0));
  return out;
}

/// The rows in their filters, as they lie in the file's zlib stream.
std::vector<unsigned char> inflated(const FileBytes& file) {
  std::string stream;
  std::size_t pixels = 0;
  for (const auto& [type, data] : png_chunks(file)) {
    if (type == "IDAT") stream += data;
    if (type == "IHDR")
      for (std::size_t i = 0; i < 4; ++i) pixels = pixels << 8 | static_cast<unsigned char>(data[4 + i]);
  }
  std::vector<unsigned char> rows(std::size_t{8} << 20);
  uLongf bytes = rows.size();
  EXPECT_EQ(uncompress(rows.data(), &bytes, reinterpret_cast<const Bytef*>(stream.data()), stream.size()), Z_OK);
  rows.resize(bytes);
  EXPECT_EQ(rows.size() % pixels, 0u);
  return rows;
}

TEST(PngEncode, is_read_by_libpng_at_every_width_and_format) {
  for (const unsigned depth : {8u, 16u})
    for (unsigned channels = 1; channels <= 4; ++channels)
      for (std::uint32_t width = 1; width <= 70; ++width) {
        const Raster raster = make_raster(width, 9, channels, depth, width);
        CodecRun run(file_of(raster));
        ASSERT_TRUE(run.decoded());
        EXPECT_EQ(read_png(run.encoded()), raster) << width << " x 9, channels " << channels << ", bits " << depth;
      }
}

TEST(PngEncode, is_read_by_libpng_where_there_are_many_bands) {
  const std::pair<std::uint32_t, std::uint32_t> sizes[] = {{9, 60'000}, {40'000, 33}, {700, 900}, {511, 1027}};
  for (const auto& [width, height] : sizes)
    for (const unsigned depth : {8u, 16u}) {
      const Raster raster = make_raster(width, height, 2, depth);
      CodecRun run(file_of(raster));
      ASSERT_TRUE(run.decoded());
      const FileBytes file = run.encoded();
      EXPECT_EQ(read_png(file), raster) << width << " x " << height;
      const auto chunks = png_chunks(file);
      EXPECT_GE(std::count_if(chunks.begin(), chunks.end(), [](const auto& c) { return c.first == "IDAT"; }), 3);
    }
}

/// Rows whose filtered bytes try the deflater: runs of every length, blocks full of runs, what does not compress at
/// all, and what begins so.
TEST(PngEncode, is_read_by_libpng_whatever_the_texture) {
  std::mt19937 random(7);
  const auto noise = [&](std::size_t) { return static_cast<unsigned>(random() & 255); };
  const std::function<unsigned(std::size_t)> textures[] = {
      [](std::size_t) { return 0u; },
      [](std::size_t i) { return static_cast<unsigned>(i / 5 % 2 * 255); },
      [](std::size_t i) { return static_cast<unsigned>(i / 6 * 37 % 256); },
      [&](std::size_t i) { return i < 200'000 ? noise(i) : 9u; },
      [&](std::size_t i) { return i % 70'000 < 33'000 ? noise(i) : 9u; },
      [&](std::size_t i) { return i / 1000 % 7 == 0 ? noise(i) : static_cast<unsigned>(i % 256); },
      [&](std::size_t) { return random() % 40 == 0 ? noise(0) : 3u; },
      noise};
  for (std::size_t t = 0; t < std::size(textures); ++t)
    for (const std::uint32_t width : {1000u, 14u, 263u}) {
      Raster raster{width, 800'000 / width, 1, 8, {}};
      for (std::size_t i = 0; i < std::size_t{raster.width} * raster.height; ++i)
        raster.samples.push_back(static_cast<std::uint16_t>(textures[t](i)));
      CodecRun run(netpbm_file(raster, '5', 255));
      ASSERT_TRUE(run.decoded());
      EXPECT_EQ(read_png(run.encoded(FileFormat::png)), raster) << "texture " << t << ", width " << width;
    }
}

TEST(PngEncode, bytes_depend_neither_on_threads_nor_on_instructions) {
  compute::Arena two({.cpus = {}, .threads = 2});
  compute::Arena five({.cpus = {}, .threads = 5});
  for (unsigned channels = 1; channels <= 4; ++channels)
    for (const unsigned depth : {8u, 16u}) {
      CodecRun run(file_of(make_raster(619, 1100, channels, depth)));
      ASSERT_TRUE(run.decoded());
      const FileBytes expected = encoded_in(test_arena(), run);
      EXPECT_EQ(encoded_in(two, run), expected);
      EXPECT_EQ(encoded_in(five, run), expected);
      for (const compute::Kernels* kernels : compute::available_kernels()) {
        compute::set_kernels(*kernels);
        EXPECT_EQ(encoded_in(two, run), expected) << kernels->isa;
      }
    }
}

int predicted_sample(unsigned filter, int a, int b, int c) {
  if (filter == 0) return 0;
  if (filter == 1) return a;
  if (filter == 2) return b;
  if (filter == 3) return (a + b) / 2;
  const int p = a + b - c;
  if (std::abs(p - a) <= std::abs(p - b) && std::abs(p - a) <= std::abs(p - c)) return a;
  return std::abs(p - b) <= std::abs(p - c) ? b : c;
}

TEST(PngEncode, each_row_has_the_filter_of_the_least_sum) {
  for (unsigned channels = 1; channels <= 4; ++channels) {
    const std::uint32_t width = 40 + channels;
    Raster raster = make_raster(width, 60, channels, 8);
    for (std::size_t i = 0; i < raster.samples.size() / 3; ++i)  // texture in which rows resemble one another
      raster.samples[i] = static_cast<std::uint16_t>((i % (std::size_t{width} * channels) * 91) % 256);
    CodecRun run(file_of(raster));
    ASSERT_TRUE(run.decoded());
    const auto rows = inflated(run.encoded());
    const std::size_t bytes = std::size_t{width} * channels;
    ASSERT_EQ(rows.size(), (bytes + 1) * raster.height);
    for (std::uint32_t y = 0; y < raster.height; ++y) {
      const auto sample = [&](std::uint32_t row, std::size_t i, std::size_t back) {
        return row == ~0u || i < back ? 0 : static_cast<int>(raster.samples[row * bytes + i - back]);
      };
      std::array<long, 5> sums{};
      for (unsigned filter = 0; filter < 5; ++filter)
        for (std::size_t i = 0; i < bytes; ++i) {
          const int left = sample(y, i, channels), above = sample(y - 1, i, 0), corner = sample(y - 1, i, channels);
          const int value = (sample(y, i, 0) - predicted_sample(filter, left, above, corner)) & 255;
          sums[filter] += std::min(value, 256 - value);
          if (filter == rows[y * (bytes + 1)]) {
            EXPECT_EQ(rows[y * (bytes + 1) + 1 + i], value) << "row " << y << ", byte " << i;
          }
        }
      EXPECT_EQ(rows[y * (bytes + 1)], std::min_element(sums.begin(), sums.end()) - sums.begin()) << "row " << y;
    }
  }
}

TEST(PngEncode, noise_fits_into_the_promised_size_whatever_the_bands) {
  for (const auto& [width, height] : {std::pair{1u, 60'000u}, {3000u, 400u}, {30'000u, 40u}, {2u, 2u}}) {
    const Raster raster = make_noise(width, height, 1, 16);
    CodecRun run(file_of(raster));
    ASSERT_TRUE(run.decoded());
    EXPECT_EQ(read_png(run.encoded()), raster) << width << " x " << height;
  }
}

TEST(PngEncode, stays_near_the_size_of_libpngs_own) {
  for (const unsigned channels : {1u, 3u}) {
    const Raster raster = make_raster(1200, 900, channels, 8);
    const FileBytes own = file_of(raster);
    CodecRun run(own);
    ASSERT_TRUE(run.decoded());
    EXPECT_LE(run.encoded().size(), own.size() * 105 / 100);
  }
}

/// A page of text, say: the same shapes again and again, at no fixed distance.
Raster page_of_shapes(unsigned channels) {
  std::mt19937 random(9);
  const Raster shapes = make_noise(12, 12, channels, 8, 3);
  Raster page{1100, 1000, channels, 8, {}};
  page.samples.resize(std::size_t{page.width} * page.height * channels, 250);
  for (std::uint32_t top = 0; top + 12 < page.height; top += 14)
    for (std::uint32_t left = 0; left + 12 < page.width; left += 12 + static_cast<std::uint32_t>(random() % 40))
      for (std::uint32_t y = 0; y < 12; ++y)
        std::copy_n(shapes.samples.begin() + static_cast<std::ptrdiff_t>(y * 12 * channels), 12 * channels,
                    page.samples.begin() + static_cast<std::ptrdiff_t>(((top + y) * page.width + left) * channels));
  return page;
}

TEST(PngSmall, is_smaller_where_shapes_repeat_and_read_by_libpng) {
  for (const unsigned channels : {1u, 3u}) {
    const Raster raster = page_of_shapes(channels);
    CodecRun run(file_of(raster));
    ASSERT_TRUE(run.decoded());
    const FileBytes small = encoded_in(test_arena(), run, true);
    EXPECT_EQ(read_png(small), raster);
    EXPECT_LT(small.size(), encoded_in(test_arena(), run).size() * 9 / 10);
  }
}

TEST(PngSmall, is_never_larger) {
  for (const Raster& raster : {make_noise(1, 1, 1, 8), make_noise(900, 700, 3, 8), make_raster(900, 700, 1, 16),
                               make_raster(64, 64, 4, 8), make_raster(20'000, 33, 2, 8)}) {
    CodecRun run(file_of(raster));
    ASSERT_TRUE(run.decoded());
    const FileBytes small = encoded_in(test_arena(), run, true);
    EXPECT_EQ(read_png(small), raster);
    EXPECT_LE(small.size(), encoded_in(test_arena(), run).size());
  }
}

TEST(PngSmall, bytes_do_not_depend_on_threads) {
  compute::Arena two({.cpus = {}, .threads = 2});
  compute::Arena eleven({.cpus = {}, .threads = 11});
  Raster raster = make_raster(1024, 6000, 1, 8);  // more bands than workspaces
  for (auto& sample : raster.samples) sample = static_cast<std::uint16_t>(sample / 16 * 16);
  CodecRun run(file_of(raster));
  ASSERT_TRUE(run.decoded());
  const FileBytes expected = encoded_in(test_arena(), run, true);
  EXPECT_EQ(encoded_in(two, run, true), expected);
  EXPECT_EQ(encoded_in(eleven, run, true), expected);
  EXPECT_EQ(read_png(expected), raster);
}

TEST(PngEncode, declared_levels_are_stretched_in_every_band) {
  Raster raster = make_raster(900, 1500, 1, 8);
  for (auto& sample : raster.samples) sample = static_cast<std::uint16_t>(sample % 16);
  CodecRun run(netpbm_file(raster, '5', 15));
  ASSERT_TRUE(run.decoded());
  const Raster back = read_png(run.encoded(FileFormat::png));
  ASSERT_EQ(back.samples.size(), raster.samples.size());
  for (std::size_t i = 0; i < raster.samples.size(); ++i) ASSERT_EQ(back.samples[i], raster.samples[i] * 17) << i;
}

}  // namespace
}  // namespace histod::test
