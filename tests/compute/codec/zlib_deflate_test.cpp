// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/zlib_deflate.hpp"

#include <random>

#include <gtest/gtest.h>
#include <zlib.h>

namespace histod::compute::codec {
namespace {

std::vector<std::byte> samples(std::size_t bytes, unsigned range) {
  std::mt19937 random(range);
  std::vector<std::byte> out(bytes);
  for (std::byte& sample : out) sample = static_cast<std::byte>(random() % range);
  return out;
}

/// zlib itself, in memory of its own.
std::vector<std::byte> by_zlib(Bytes raw, int level) {
  uLongf bytes = compressBound(raw.size());
  std::vector<std::byte> out(bytes);
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(out.data()), &bytes, reinterpret_cast<const Bytef*>(raw.data()),
                      raw.size(), level),
            Z_OK);
  out.resize(bytes);
  return out;
}

TEST(ZlibDeflate, makes_what_zlib_makes_with_the_same_settings) {
  std::vector<std::byte> state(k_zlib_state_bytes + 16);
  for (const std::size_t bytes : {0u, 1u, 100u, 70'000u, 1'000'000u})
    for (const unsigned range : {1u, 5u, 256u})
      for (const int level : {1, 3, 6}) {
        const auto raw = samples(bytes, range);
        const auto expected = by_zlib(raw, level);
        std::vector<std::byte> out(expected.size() + 1);
        const std::size_t misplaced = bytes % 16;
        const std::size_t made =
            zlib_deflate(raw, {.level = level}, true, std::span(state).subspan(misplaced, k_zlib_state_bytes), out);
        ASSERT_EQ(made, expected.size()) << bytes << " bytes, level " << level;
        out.resize(made);
        EXPECT_EQ(out, expected);
      }
}

TEST(ZlibDeflate, says_when_there_is_too_little_room) {
  std::vector<std::byte> state(k_zlib_state_bytes);
  const auto raw = samples(50'000, 256);
  const auto expected = by_zlib(raw, 6);
  for (const std::size_t room : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, expected.size() - 1}) {
    std::vector<std::byte> out(room);
    EXPECT_EQ(zlib_deflate(raw, {}, true, state, out), 0u) << room;
  }
  std::vector<std::byte> out(expected.size());
  EXPECT_EQ(zlib_deflate(raw, {}, true, state, out), expected.size());
  EXPECT_EQ(zlib_deflate(raw, {}, true, std::span(state).first(1000), out), 0u) << "no room for zlib";
}

TEST(ZlibDeflate, pieces_follow_one_another) {
  std::vector<std::byte> state(k_zlib_state_bytes);
  const auto raw = samples(90'000, 7);
  std::vector<std::byte> out(100'000);
  const ZlibSettings settings{.level = 8, .window_bits = -15, .memory_level = 9, .strategy = Z_FILTERED};
  std::size_t made = 0;
  for (std::size_t at = 0; at < raw.size(); at += 30'000) {
    const Bytes piece = Bytes(raw).subspan(at, 30'000);
    const std::size_t more = zlib_deflate(piece, settings, at == 60'000, state, std::span(out).subspan(made));
    ASSERT_GT(more, 0u);
    made += more;
  }
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, -15), Z_OK);
  std::vector<std::byte> back(raw.size());
  stream.next_in = reinterpret_cast<Bytef*>(out.data());
  stream.avail_in = static_cast<uInt>(made);
  stream.next_out = reinterpret_cast<Bytef*>(back.data());
  stream.avail_out = static_cast<uInt>(back.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  EXPECT_EQ(back, raw);
}

}  // namespace
}  // namespace histod::compute::codec
