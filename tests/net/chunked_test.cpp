// SPDX-License-Identifier: Apache-2.0
#include "net/http/chunked.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"

namespace histod::test {
namespace {

using net::http::ChunkedDecoder;
using Status = ChunkedDecoder::Status;

struct Decoded {
  Status status = Status::more;
  std::string body;
  std::size_t consumed = 0;
};

/// Feeds `wire` in pieces that end at `splits`, decoding in place as a connection does.
Decoded decode(const std::string& wire, const std::vector<std::size_t>& splits, ChunkedDecoder::Limits limits = {}) {
  ChunkedDecoder decoder(limits);
  net::Counter copied;
  std::string buffer = wire;
  auto* const bytes = reinterpret_cast<std::byte*>(buffer.data());
  Decoded out;
  std::size_t produced = 0;
  std::vector<std::size_t> ends = splits;
  ends.push_back(wire.size());
  for (const std::size_t end : ends) {
    const auto result = decoder.decode({bytes + out.consumed, end - out.consumed}, bytes + produced, copied);
    out.consumed += result.consumed;
    produced += result.produced;
    out.status = result.status;
    if (out.status != Status::more) break;
    EXPECT_EQ(out.consumed, end) << "all is taken while more is wanted";
  }
  out.body = buffer.substr(0, produced);
  return out;
}

TEST(Chunked, DecodesAtEverySplit) {
  const std::string wire =
      "5;x=\"y\"\r\nhello\r\n1A\r\n, this is a longer chunk..\r\n00\r\nA: b\r\nC:\r\n\r\nGET /next";
  const std::string body = "hello, this is a longer chunk..";
  const std::size_t end = wire.find("GET");
  for (std::size_t first = 0; first <= end; ++first) {
    for (std::size_t second = first; second <= end; ++second) {
      const Decoded decoded = decode(wire, {first, second});
      ASSERT_EQ(decoded.status, Status::done) << first << ' ' << second;
      ASSERT_EQ(decoded.body, body) << first << ' ' << second;
      ASSERT_EQ(decoded.consumed, end) << "what follows is not touched";
    }
  }
}

TEST(Chunked, EveryPrefixWantsMore) {
  const std::string wire = "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t bytes = 0; bytes < wire.size(); ++bytes) {
    EXPECT_EQ(decode(wire.substr(0, bytes), {}).status, Status::more) << bytes;
  }
}

TEST(Chunked, RandomBodiesInRandomChunksAndPieces) {
  std::mt19937 random(7);
  for (int turn = 0; turn < 200; ++turn) {
    const std::string body = noise(random() % 5000, static_cast<std::uint32_t>(random()));
    const std::string wire = chunks(body, 1 + random() % 700);
    std::vector<std::size_t> splits;
    for (std::size_t at = 0; at < wire.size(); at += 1 + random() % 400) splits.push_back(at);
    const Decoded decoded = decode(wire, splits);
    ASSERT_EQ(decoded.status, Status::done);
    ASSERT_TRUE(decoded.body == body);
    ASSERT_EQ(decoded.consumed, wire.size());
  }
}

TEST(Chunked, ChangingAnyFramingByteIsNoticedOrChangesTheBody) {
  const std::string wire = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (std::size_t at = 0; at < wire.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = wire;
      if (changed[at] == static_cast<char>(byte)) continue;
      changed[at] = static_cast<char>(byte);
      const Decoded decoded = decode(changed, {});
      EXPECT_FALSE(decoded.status == Status::done && decoded.body == "abcde") << at << " " << byte;
    }
  }
}

TEST(Chunked, RefusesWhatIsNotStrict) {
  for (const std::string& bad : {std::string("\r\n"),
                                 std::string("g\r\n"),
                                 std::string(" 3\r\n"),
                                 std::string("3 \r\n"),
                                 std::string("3\n"),
                                 std::string("3\rabc"),
                                 std::string("3\r\nabcX"),
                                 std::string("3\r\nabc\n"),
                                 std::string("3\r\nabc\rX"),
                                 std::string("-1\r\n"),
                                 std::string("+1\r\n"),
                                 std::string("0x1\r\n"),
                                 std::string(";\r\n"),
                                 std::string("1000000000000000\r\n"),
                                 std::string("fffffffffffffffff\r\n"),
                                 std::string("3;\n"),
                                 std::string("3;\x01\r\n"),
                                 std::string("0\r\n\n"),
                                 std::string("0\r\n X: y\r\n"),
                                 std::string("0\r\n:\r\n"),
                                 std::string("0\r\nX: y\n"),
                                 std::string("0\r\nX: \x7f\r\n"),
                                 std::string("0\r\n\rX")}) {
    EXPECT_EQ(decode(bad, {}).status, Status::malformed) << testing::PrintToString(bad);
  }
}

TEST(Chunked, CapsChunkHeadersAndTrailers) {
  const ChunkedDecoder::Limits limits{.chunk_header_bytes = 20, .trailer_bytes = 30};
  EXPECT_EQ(decode("3;" + std::string(17, 'x') + "\r\n", {}, limits).status, Status::more);
  EXPECT_EQ(decode("3;" + std::string(18, 'x') + "\r\n", {}, limits).status, Status::line_too_long);
  EXPECT_EQ(decode(std::string(21, '0'), {}, limits).status, Status::line_too_long);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(10, 'x') + "\r\nz\r\n";
  EXPECT_EQ(decode(many, {}, limits).status, Status::more) << "the cap is for each header";
  EXPECT_EQ(decode("0\r\n" + std::string("A: b\r\n") + "C: " + std::string(15, 'd') + "\r\n\r\n", {}, limits).status,
            Status::done);
  EXPECT_EQ(decode("0\r\nA: " + std::string(40, 'd'), {}, limits).status, Status::trailer_too_long);
}

TEST(Chunked, CountsOnlyWhatItMoves) {
  std::string wire = "ffff\r\n" + noise(0xffff) + "\r\n0\r\n\r\n";
  net::Counter copied;
  ChunkedDecoder decoder({});
  auto* const bytes = reinterpret_cast<std::byte*>(wire.data());
  ASSERT_EQ(decoder.decode({bytes, 6}, bytes, copied).consumed, 6u);
  // The next piece lies where it belongs.
  const auto result = decoder.decode({bytes + 6, wire.size() - 6}, bytes + 6, copied);
  EXPECT_EQ(result.status, Status::done);
  EXPECT_EQ(result.produced, 0xffffu);
  EXPECT_EQ(copied.get(), 0u);
}

}  // namespace
}  // namespace histod::test
