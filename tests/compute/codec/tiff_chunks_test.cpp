// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_chunks.hpp"

#include <atomic>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::tiff::ChunkList;
using codec::tiff::FirstFailure;

constexpr unsigned k_compressions[] = {1, 5, 8, 32946, 32773};

TEST(TiffChunks, are_numbered_through_all_pages) {
  ChunkList list;
  EXPECT_EQ(list.size(), 0u);
  for (const std::uint64_t chunks : {3u, 1u, 0u, 2u}) list.add_page(chunks);
  ASSERT_EQ(list.size(), 6u);
  const std::pair<std::size_t, std::uint64_t> expected[] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {3, 0}, {3, 1}};
  for (std::uint64_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(list.at(i).page, expected[i].first) << i;
    EXPECT_EQ(list.at(i).chunk, expected[i].second) << i;
  }
}

TEST(TiffChunks, hands_are_as_many_as_their_memory_allows) {
  using codec::tiff::hands_max;
  EXPECT_EQ(hands_max(1, 1u << 30), 1u);
  EXPECT_EQ(hands_max(3, 1u << 30), 3u);
  EXPECT_EQ(hands_max(100, 1u << 30), 4u);
  EXPECT_EQ(hands_max(1000, 0), 64u);
  EXPECT_EQ(hands_max(1000, 1), 64u);
  EXPECT_EQ(hands_max(1000, 1u << 20), 16u);
}

TEST(TiffChunks, of_all_failures_the_first_in_the_file_is_told) {
  FirstFailure failure;
  EXPECT_TRUE(failure.result().has_value());
  EXPECT_FALSE(failure.is_before(0));
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&failure, t] {
      for (std::uint64_t i = 0; i < 100; ++i) {
        const std::uint64_t index = 7 + (i * 37 + t * 11) % 100;
        failure.note(index, {make_error_code(Errc::corrupt), "broken", index, 0});
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(failure.is_before(7));
  EXPECT_TRUE(failure.is_before(8));
  ASSERT_FALSE(failure.result().has_value());
  EXPECT_EQ(failure.result().error().value, 7u);
}

struct Cut {
  bool separate;
  unsigned tile;
  unsigned rows_per_strip;
};
constexpr Cut k_cuts[] = {{false, 0, 3}, {false, 32, 0}, {true, 0, 5}, {true, 16, 0}, {false, 0, 0}};

std::vector<TiffSpec> specs(unsigned compression) {
  std::vector<TiffSpec> all;
  for (const int bits : {8, 16})
    for (const Cut& cut : k_cuts)
      for (const unsigned predictor : {1u, 2u})
        if (predictor == 1 || (compression != 1 && compression != 32773))
          all.push_back({.bits = bits,
                         .photometric = 2,
                         .compression = compression,
                         .predictor = predictor,
                         .separate = cut.separate,
                         .tile = cut.tile,
                         .rows_per_strip = cut.rows_per_strip});
  return all;
}

class TiffThreads : public testing::TestWithParam<unsigned> {};

/// libtiff makes the files and reads the results.
TEST_P(TiffThreads, make_no_difference) {
  for (const TiffSpec& spec : specs(GetParam())) {
    SCOPED_TRACE(testing::Message() << spec.bits << " bit, predictor " << spec.predictor << ", tile " << spec.tile
                                    << ", rows " << spec.rows_per_strip << (spec.separate ? ", separate" : ""));
    const Raster raster = make_raster(131, 97, 3, static_cast<unsigned>(spec.bits), spec.tile);
    const FileBytes file = tiff_file({{raster, spec}});
    FileBytes first;
    for (const unsigned threads : k_threads) {
      CodecRun run(file, {}, {}, arena_of(threads));
      ASSERT_TRUE(run.decoded()) << run.why().detail;
      ASSERT_EQ(run.raster(), raster) << threads;
      const FileBytes out = run.encoded();
      if (first.empty()) {
        EXPECT_EQ(read_tiff(out), raster);
        first = out;
      }
      EXPECT_EQ(out, first) << threads << " threads make another file";
    }
  }
}

/// Pages of different cuts, depths and compressions: their chunks are in one row.
TEST_P(TiffThreads, go_from_page_to_page) {
  std::vector<TiffPage> pages;
  for (const unsigned other : k_compressions) {
    pages.push_back({make_raster(61, 45, 1, 8, other), {.compression = GetParam(), .rows_per_strip = 4}});
    pages.push_back(
        {make_raster(40, 33, 3, 16, other), {.bits = 16, .photometric = 2, .compression = other, .tile = 16}});
    pages.push_back({make_raster(29, 31, 1, 8, other), {.photometric = 0, .compression = other, .tile = 16}});
  }
  const FileBytes file = tiff_file(pages);
  FileBytes first;
  for (const unsigned threads : k_threads) {
    CodecRun run(file, {}, {}, arena_of(threads));
    ASSERT_TRUE(run.decoded()) << run.why().detail;
    const FileBytes out = run.encoded();
    ASSERT_EQ(tiff_pages(out), pages.size());
    for (unsigned i = 0; i < pages.size(); ++i) ASSERT_EQ(read_tiff(out, i), pages[i].raster) << i;
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << threads << " threads make another file";
  }
}

INSTANTIATE_TEST_SUITE_P(Compressions, TiffThreads, testing::ValuesIn(k_compressions));

/// Sets the offsets of some chunks to a place where no chunk can be read; the file is little-endian and classic.
FileBytes with_broken_chunks(FileBytes file, std::initializer_list<std::size_t> chunks) {
  std::uint32_t directory, table;
  std::memcpy(&directory, file.data() + 4, 4);
  std::size_t entry = directory + 2;
  for (std::uint16_t tag = 0; tag != 273 && tag != 324; entry += 12) std::memcpy(&tag, file.data() + entry, 2);
  std::memcpy(&table, file.data() + entry - 4, 4);
  for (const std::size_t chunk : chunks) {
    std::uint32_t at;
    std::memcpy(&at, file.data() + table + 4 * chunk, 4);
    // Ends at once in LZW, and is no zlib header; all literals and runs of PackBits are too short.
    std::memset(file.data() + at, 0x80, 2 + chunk % 7);
    for (std::size_t i = 0; i < 12; ++i) file[at + i] = std::byte{static_cast<unsigned char>(i % 2 == 0 ? 0x80 : 0x40)};
  }
  return file;
}

std::string failure_of(const FileBytes& file, unsigned threads) {
  const CodecRun run(file, {}, {}, arena_of(threads));
  if (run.decoded()) return "";
  return run.why().detail + " " + std::to_string(run.why().value) + " of " + std::to_string(run.why().limit);
}

TEST(TiffChunks, a_broken_one_is_told_as_by_one_thread) {
  for (const unsigned compression : {5u, 8u}) {
    for (const unsigned tile : {0u, 16u}) {
      const FileBytes file =
          tiff_file({{make_raster(90, 120, 1, 8), {.compression = compression, .tile = tile, .rows_per_strip = 4}}});
      ASSERT_EQ(failure_of(file, 4), "");
      const std::string alone = failure_of(with_broken_chunks(file, {11}), 1);
      EXPECT_NE(alone, "") << compression;
      for (int round = 0; round < 20; ++round)
        for (const unsigned threads : k_threads)
          EXPECT_EQ(failure_of(with_broken_chunks(file, {11, 12, 13, 19, 27}), threads), alone) << compression;
    }
  }
}

/// The last strip of a file whose height was lowered holds more than it needs to.
TEST(TiffChunks, may_hold_more_than_is_needed) {
  for (const unsigned compression : k_compressions) {
    for (const bool flat : {false, true}) {
      Raster raster = make_noise(50, 40, 1, 8, compression);
      if (flat) raster.samples.assign(raster.samples.size(), 7);
      for (const std::uint32_t height : {1u, 13u, 39u}) {
        FileBytes file = tiff_file({{raster, {.compression = compression}}});
        std::uint32_t directory;
        std::memcpy(&directory, file.data() + 4, 4);
        std::size_t entry = directory + 2;
        for (std::uint16_t tag = 0; tag != 257; entry += 12) std::memcpy(&tag, file.data() + entry, 2);
        std::memcpy(file.data() + entry - 4, &height, 4);
        CodecRun run(file);
        ASSERT_TRUE(run.decoded()) << compression << run.why().detail;
        Raster expected = raster;
        expected.height = height;
        expected.samples.resize(std::size_t{50} * height);
        EXPECT_EQ(run.raster(), expected) << compression;
        EXPECT_EQ(read_tiff(run.encoded()), expected) << compression;
      }
    }
  }
}

TEST(TiffPhotometric, packed_white_is_zero_is_turned_round) {
  for (const int bits : {1, 2, 4}) {
    for (const unsigned tile : {0u, 16u}) {
      const Raster packed = make_raster(37, 21, 1, static_cast<unsigned>(bits));
      CodecRun run(
          tiff_file({{packed, {.bits = bits, .photometric = 0, .compression = 5, .tile = tile, .rows_per_strip = 2}}}));
      ASSERT_TRUE(run.decoded()) << run.why().detail;
      const Raster seen = run.raster();
      const unsigned top = (1u << bits) - 1;
      for (std::size_t i = 0; i < seen.samples.size(); ++i)
        ASSERT_EQ(seen.samples[i], 255 - packed.samples[i] * 255u / top);
    }
  }
}

/// Rows of every length beside those that are taken sixteen bytes at a time, and any number of samples a pixel.
TEST(TiffPredictor, rows_of_every_length) {
  for (const unsigned bits : {8u, 16u})
    for (unsigned channels = 1; channels <= 6; ++channels)
      for (std::uint32_t width = 1; width < 40; width += 1 + width / 9) {
        const Raster raster = make_noise(width, 3, channels, bits, width);
        TiffSpec spec{.bits = static_cast<int>(bits), .compression = 8, .predictor = 2, .big_endian = width % 2 == 0};
        spec.extra_samples.assign(channels - 1, 0);
        CodecRun run(tiff_file({{raster, spec}}));
        ASSERT_TRUE(run.decoded()) << run.why().detail;
        ASSERT_EQ(run.raster(), raster) << bits << " bit, " << channels << " channels, width " << width;
        ASSERT_EQ(read_tiff(run.encoded()), raster) << bits << " bit, " << channels << " channels, width " << width;
      }
}

}  // namespace
}  // namespace histod::test
