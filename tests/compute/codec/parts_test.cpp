// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/parts.hpp"

#include <atomic>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

/// Files that are made in parts: which part is whose, and how much of a file is as it will stay while it is made.
namespace histod::test {
namespace {

using codec::FileFormat;
using codec::InOrder;

TEST(Parts, each_is_worked_on_once_and_each_hand_by_one_thread) {
  for (const unsigned threads : k_threads) {
    for (const std::uint64_t count : {0u, 1u, 3u, 64u, 1000u}) {
      std::vector<std::atomic<int>> seen(count), busy(4);
      codec::for_each_part(arena_of(threads), count, std::min<std::size_t>(4, count),
                           [&](std::size_t hand, std::uint64_t index) {
                             ASSERT_LT(hand, std::min(4u, threads));
                             EXPECT_EQ(busy[hand]++, 0);
                             ++seen[index];
                             --busy[hand];
                           });
      for (const auto& times : seen) ASSERT_EQ(times, 1);
    }
  }
}

TEST(InOrder, puts_each_as_soon_as_it_is_its_turn) {
  std::vector<std::size_t> put;
  InOrder order(5, [&](std::size_t i) { put.push_back(i); });
  order.made(2);
  order.made(1);
  EXPECT_TRUE(put.empty());
  order.made(0);
  EXPECT_EQ(put, (std::vector<std::size_t>{0, 1, 2}));
  order.made(4);
  EXPECT_EQ(put.size(), 3u);
  order.made(3);
  EXPECT_EQ(put, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(InOrder, puts_all_in_their_order_whoever_makes_them) {
  constexpr std::size_t k_count = 2'000;
  std::vector<std::size_t> shuffled(k_count);
  for (std::size_t i = 0; i < k_count; ++i) shuffled[i] = i;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(7));
  std::vector<std::size_t> put;
  std::atomic<int> inside = 0;
  InOrder order(k_count, [&](std::size_t i) {
    EXPECT_EQ(inside++, 0) << "two at once";
    put.push_back(i);
    --inside;
  });
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> makers;
  for (int t = 0; t < 4; ++t)
    makers.emplace_back([&] {
      for (std::size_t i = next++; i < k_count; i = next++) order.made(shuffled[i]);
    });
  for (std::thread& maker : makers) maker.join();
  ASSERT_EQ(put.size(), k_count);
  EXPECT_TRUE(std::is_sorted(put.begin(), put.end()));
}

/// What an encoder told of a file while it made it, with a copy of what was said to be as it stays.
struct Growth {
  FileBytes file;
  std::vector<FileBytes> beginnings;
};

Growth growth_of(CodecRun& run, const codec::EncodeOptions& options, unsigned threads) {
  Growth growth;
  FileBytes out(codec::encoded_bytes_max(run.image(), options));
  std::size_t before = 0;
  std::atomic<int> inside = 0;
  const auto grown = [&](std::size_t bytes) {
    EXPECT_EQ(inside++, 0) << "two at once";
    EXPECT_GT(bytes, before) << "it grows";
    before = bytes;
    growth.beginnings.emplace_back(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(bytes));
    --inside;
  };
  const auto length = codec::encode(run.image(), options, out, arena_of(threads), grown);
  EXPECT_TRUE(length.has_value());
  out.resize(length.value_or(0));
  growth.file = std::move(out);
  return growth;
}

TEST(Grown, what_was_told_is_how_the_file_begins) {
  const Raster raster = make_raster(1'500, 1'400, 3, 8);
  CodecRun run(netpbm_file(raster, '6', 255));
  ASSERT_TRUE(run.decoded());
  for (const codec::EncodeOptions& options :
       {codec::EncodeOptions{.format = FileFormat::png, .quality = {}},
        codec::EncodeOptions{.format = FileFormat::png, .quality = {}, .png_small = true},
        codec::EncodeOptions{.format = FileFormat::jpeg, .quality = 85}})
    for (const unsigned threads : k_threads) {
      const Growth growth = growth_of(run, options, threads);
      const std::string where = std::string(codec::name(options.format)) + ", " + std::to_string(threads);
      EXPECT_GE(growth.beginnings.size(), 3u) << where;
      for (const FileBytes& beginning : growth.beginnings) {
        ASSERT_LT(beginning.size(), growth.file.size()) << where << ": something is left for the end";
        EXPECT_TRUE(std::equal(beginning.begin(), beginning.end(), growth.file.begin())) << where;
      }
      FileBytes quiet(codec::encoded_bytes_max(run.image(), options));
      quiet.resize(codec::encode(run.image(), options, quiet, arena_of(threads)).value_or(0));
      EXPECT_TRUE(growth.file == quiet) << where << ": the file is the same whether somebody listens or not";
    }
}

TEST(Grown, says_nothing_of_small_files_and_of_those_that_name_their_end_first) {
  const Raster large = make_raster(1'500, 1'400, 3, 8), small = make_raster(64, 64, 3, 8);
  CodecRun large_run(netpbm_file(large, '6', 255)), small_run(netpbm_file(small, '6', 255));
  ASSERT_TRUE(large_run.decoded() && small_run.decoded());
  for (const FileFormat format : {FileFormat::tiff, FileFormat::ppm})
    EXPECT_TRUE(growth_of(large_run, {.format = format, .quality = {}}, 2).beginnings.empty());
  for (const FileFormat format : {FileFormat::png, FileFormat::jpeg})
    EXPECT_TRUE(growth_of(small_run, {.format = format, .quality = {}}, 2).beginnings.empty());
}

}  // namespace
}  // namespace histod::test
