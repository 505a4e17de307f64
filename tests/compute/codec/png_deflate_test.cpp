// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_deflate.hpp"

#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <zlib.h>

/// The Deflate of the PNG encoder by itself, unpacked by zlib: also over its own input, as the encoder runs it.
namespace histod::test {
namespace {

namespace png = compute::codec::png;
using Buffer = std::vector<std::byte>;

Buffer inflated(const Buffer& stream, std::size_t expected_bytes, int expected_result = Z_STREAM_END) {
  Buffer out(expected_bytes + 1);
  z_stream state{};
  EXPECT_EQ(inflateInit2(&state, -15), Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
  state.avail_in = static_cast<uInt>(stream.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&state, Z_SYNC_FLUSH), expected_result) << (state.msg == nullptr ? "" : state.msg);
  EXPECT_EQ(state.avail_in, 0u);
  out.resize(state.total_out);
  inflateEnd(&state);
  return out;
}

/// Deflates into memory of exactly the promised size, with a guard behind it.
Buffer deflated(const Buffer& raw, bool last = true) {
  constexpr std::size_t k_guard_bytes = 16;
  const std::size_t bound = png::deflate_bytes_max(raw.size());
  Buffer out(bound + k_guard_bytes, std::byte{0xA5});
  const std::byte* end = png::deflate_rows(raw, last, out.data());
  const auto bytes = static_cast<std::size_t>(end - out.data());
  EXPECT_LE(bytes, bound);
  EXPECT_TRUE(std::all_of(out.begin() + static_cast<std::ptrdiff_t>(bound), out.end(),
                          [](std::byte b) { return b == std::byte{0xA5}; }));
  out.resize(bytes);
  return out;
}

/// As deflated(), but from the end of the same memory, as near as is allowed.
Buffer deflated_in_place(const Buffer& raw) {
  const std::size_t lead = png::deflate_lead_bytes(raw.size());
  Buffer memory(lead);
  memory.insert(memory.end(), raw.begin(), raw.end());
  const std::byte* end = png::deflate_rows(std::span(memory).subspan(lead), true, memory.data());
  memory.resize(static_cast<std::size_t>(end - memory.data()));
  return memory;
}

void expect_round_trip(const Buffer& raw, std::string_view what) {
  const Buffer out = deflated(raw);
  EXPECT_EQ(inflated(out, raw.size()), raw) << what;
  EXPECT_EQ(deflated_in_place(raw), out) << what;
}

template <class Make>
Buffer made(std::size_t bytes, Make make) {
  Buffer raw(bytes);
  for (std::size_t i = 0; i < bytes; ++i) raw[i] = static_cast<std::byte>(make(i));
  return raw;
}

TEST(PngDeflate, every_short_length) {
  std::mt19937 random(1);
  for (std::size_t bytes = 1; bytes < 700; ++bytes) {
    expect_round_trip(made(bytes, [&](std::size_t) { return random() % 256; }), "noise");
    expect_round_trip(made(bytes, [&](std::size_t) { return random() % 2; }), "two values");
    expect_round_trip(Buffer(bytes, std::byte{7}), "one value");
  }
}

TEST(PngDeflate, runs_of_every_length) {
  for (const std::size_t between : {1u, 2u, 3u, 20u}) {
    Buffer raw;
    for (std::size_t run = 1; run < 600; ++run) {
      raw.insert(raw.end(), run, static_cast<std::byte>(run));
      for (std::size_t i = 0; i < between; ++i) raw.push_back(static_cast<std::byte>(run + 100 + i));
    }
    expect_round_trip(raw, "runs");
    EXPECT_LT(deflated(raw).size(), raw.size() / 10);
  }
}

TEST(PngDeflate, blocks_full_of_literals_and_full_of_runs) {
  std::mt19937 random(2);
  for (const std::size_t bytes : {32'767u, 32'768u, 32'769u, 32'784u, 32'785u, 65'536u, 100'000u, 700'000u}) {
    expect_round_trip(made(bytes, [&](std::size_t) { return random() % 200; }), "literals");
    expect_round_trip(made(bytes, [&](std::size_t i) { return i / 5 % 2; }), "runs of five");
    expect_round_trip(made(bytes, [&](std::size_t i) { return i / 300 % 2; }), "long runs");
    expect_round_trip(made(bytes, [&](std::size_t i) { return i / 4 % 2; }), "repetitions too short for a run");
  }
}

/// Literals whose codes are long come first, and what repays them last.
TEST(PngDeflate, never_overtakes_its_input) {
  std::mt19937 random(3);
  for (const std::size_t dear : {100u, 1'000u, 5'000u, 10'000u, 20'000u, 30'000u})
    for (const std::size_t bytes : {32'768u, 65'536u, 200'000u})
      for (const unsigned values : {2u, 3u, 5u})
        expect_round_trip(made(bytes,
                               [&](std::size_t i) {
                                 const bool cheap = i % 32'768 >= dear;
                                 return cheap ? i % values : 5 + random() % 251;
                               }),
                          "dear, then cheap");
}

TEST(PngDeflate, what_does_not_compress_is_stored) {
  std::mt19937 random(4);
  const Buffer raw = made(300'000, [&](std::size_t) { return random() % 256; });
  const Buffer out = deflated(raw);
  EXPECT_EQ(inflated(out, raw.size()), raw);
  EXPECT_LE(out.size(), raw.size() + 8 * (raw.size() / 32'768 + 2));
}

TEST(PngDeflate, parts_can_be_joined) {
  std::mt19937 random(5);
  Buffer whole, stream;
  for (int part = 0; part < 9; ++part) {
    const Buffer raw =
        made(1 + random() % 50'000, [&](std::size_t i) { return random() % (i % 3000 < 500 ? 256 : 3); });
    whole.insert(whole.end(), raw.begin(), raw.end());
    const Buffer out = deflated(raw, part == 8);
    if (part < 8) {
      EXPECT_EQ(inflated(out, raw.size(), Z_OK), raw) << "refers to nothing before it, and ends at a byte";
    }
    stream.insert(stream.end(), out.begin(), out.end());
  }
  EXPECT_EQ(inflated(stream, whole.size()), whole);
}

TEST(PngDeflate, is_near_what_zlib_makes_of_the_same_runs) {
  std::mt19937 random(6);
  const Buffer raw = made(400'000, [&](std::size_t i) {
    const int noise = static_cast<int>(random() % 8) + static_cast<int>(random() % 8) - 7;
    return i % 4000 < 900 ? 0 : noise & 255;
  });
  z_stream state{};
  ASSERT_EQ(deflateInit2(&state, 9, Z_DEFLATED, -15, 9, Z_RLE), Z_OK);
  Buffer peer(deflateBound(&state, raw.size()));
  state.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(raw.data()));
  state.avail_in = static_cast<uInt>(raw.size());
  state.next_out = reinterpret_cast<Bytef*>(peer.data());
  state.avail_out = static_cast<uInt>(peer.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  EXPECT_LE(deflated(raw).size(), state.total_out * 101 / 100);
  deflateEnd(&state);
}

}  // namespace
}  // namespace histod::test
