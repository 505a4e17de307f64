// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/websocket_frames.hpp"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Messages = std::vector<std::pair<Opcode, std::string>>;

std::string raw(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

Messages read(MessageReader& reader, std::string_view bytes) {
  Messages out;
  reader.take(bytes, [&](Opcode opcode, std::string_view payload) { out.emplace_back(opcode, payload); });
  return out;
}

std::string failure_of(const std::string& bytes, std::size_t message_bytes_max = 1'000'000) {
  MessageReader reader(message_bytes_max);
  try {
    read(reader, bytes);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "no failure";
}

/// RFC 6455, 1.3.
TEST(WebSocketHandshake, AcceptIsTheStandardsOwn) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketHandshake, KeysAreSixteenBytesAndNew) {
  const std::string key = websocket_key();
  EXPECT_EQ(key.size(), 24u);
  EXPECT_TRUE(key.ends_with("==")) << key;
  EXPECT_NE(key, websocket_key());
}

TEST(WebSocketHandshake, RequestHasWhatTheStandardAsksFor) {
  const std::string request = websocket_request("/v1/events?type=a", "Bearer t", "KEY");
  EXPECT_TRUE(request.starts_with("GET /v1/events?type=a HTTP/1.1\r\nHost: ")) << request;
  EXPECT_TRUE(request.ends_with("\r\n\r\n"));
  for (const char* field :
       {"\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n", "\r\nAuthorization: Bearer t\r\n",
        "\r\nSec-WebSocket-Version: 13\r\n", "\r\nSec-WebSocket-Key: KEY\r\n"})
    EXPECT_THAT(request, HasSubstr(field));
}

TEST(WebSocketHandshake, OnlyTheKeysOwnAnswerIsTaken) {
  const std::string key = "dGhlIHNhbXBsZSBub25jZQ==", right = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
  const std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
  EXPECT_EQ(websocket_refusal(head + "Sec-WebSocket-Accept: " + right + "\r\n\r\n", key), "");
  EXPECT_EQ(websocket_refusal(head + "SEC-WEBSOCKET-ACCEPT:" + right + " \r\n\r\n", key), "") << "names have no case";
  EXPECT_THAT(websocket_refusal(head + "Sec-WebSocket-Accept: " + key + "\r\n\r\n", key), HasSubstr(key));
  EXPECT_THAT(websocket_refusal(head + "X-Sec-WebSocket-Accept: " + right + "\r\n\r\n", key), HasSubstr("\"\""));
  EXPECT_THAT(websocket_refusal("HTTP/1.1 403 Forbidden\r\n\r\n", key),
              HasSubstr("\"HTTP/1.1 403 Forbidden\", not 101"));
}

/// RFC 6455, 5.7: "Hello" from a client, its mask 37 fa 21 3d.
TEST(WebSocketFrames, OursAreMasked) {
  EXPECT_EQ(client_frame(Opcode::text, "Hello", 0x37fa213d),
            raw({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  EXPECT_EQ(client_frame(Opcode::pong, "Hello", 0x37fa213d),
            raw({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  EXPECT_EQ(client_frame(Opcode::close, "", 0), raw({0x88, 0x80, 0, 0, 0, 0}));
  EXPECT_EQ(client_frame(Opcode::ping, std::string(125, 'x'), 1).size(), 131u);
  EXPECT_THROW(client_frame(Opcode::ping, std::string(126, 'x'), 1), Failure);
}

/// RFC 6455, 5.7, too: whole, in two fragments, and a ping.
TEST(WebSocketFrames, TheStandardsExamplesAreRead) {
  MessageReader reader;
  EXPECT_THAT(read(reader, raw({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})), ElementsAre(Pair(Opcode::text, "Hello")));
  EXPECT_THAT(read(reader, raw({0x01, 0x03, 0x48, 0x65, 0x6c})), IsEmpty());
  EXPECT_THAT(read(reader, raw({0x80, 0x02, 0x6c, 0x6f})), ElementsAre(Pair(Opcode::text, "Hello")));
  EXPECT_THAT(read(reader, raw({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})), ElementsAre(Pair(Opcode::ping, "Hello")));
}

TEST(WebSocketFrames, LengthsHaveThreeForms) {
  MessageReader reader;
  const std::string kib(256, 'k'), large(65'536, 'l');
  EXPECT_THAT(read(reader, raw({0x82, 0x7e, 0x01, 0x00}) + kib), ElementsAre(Pair(Opcode::binary, kib)));
  EXPECT_THAT(read(reader, raw({0x81, 0x7f, 0, 0, 0, 0, 0, 0x01, 0, 0}) + large),
              ElementsAre(Pair(Opcode::text, large)));
  EXPECT_THAT(read(reader, raw({0x81, 0x7d}) + std::string(125, 's')),
              ElementsAre(Pair(Opcode::text, std::string(125, 's'))));
  EXPECT_THAT(read(reader, raw({0x81, 0})), ElementsAre(Pair(Opcode::text, "")));
}

TEST(WebSocketFrames, ControlFramesComeBetweenFragments) {
  MessageReader reader;
  const std::string bytes =
      raw({0x01, 0x01, 'a', 0x89, 0x01, 'p', 0x00, 0x01, 'b', 0x8a, 0x00, 0x80, 0x01, 'c', 0x81, 0x01, 'd'});
  EXPECT_THAT(read(reader, bytes), ElementsAre(Pair(Opcode::ping, "p"), Pair(Opcode::pong, ""),
                                               Pair(Opcode::text, "abc"), Pair(Opcode::text, "d")));
}

TEST(WebSocketFrames, PiecesMayEndAnywhere) {
  const std::string large(300, 'l');
  const std::string bytes =
      raw({0x01, 0x7e, 0x01, 0x2c}) + large + raw({0x89, 0x01, 'p', 0x80, 0x02, 'y', 'z', 0x81, 0x01, 'd'});
  for (std::size_t piece = 1; piece < bytes.size(); ++piece) {
    MessageReader reader;
    Messages all;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      for (auto& message : read(reader, std::string_view(bytes).substr(at, piece))) all.push_back(std::move(message));
    ASSERT_THAT(all, ElementsAre(Pair(Opcode::ping, "p"), Pair(Opcode::text, large + "yz"), Pair(Opcode::text, "d")))
        << piece;
  }
}

TEST(WebSocketFrames, WhatAServerMustNotSendIsNamed) {
  EXPECT_THAT(failure_of(raw({0x81, 0x81, 0, 0, 0, 0, 'x'})), HasSubstr("masks"));
  EXPECT_THAT(failure_of(raw({0xc1, 0x00})), HasSubstr("0xc1")) << "a reserved bit";
  EXPECT_THAT(failure_of(raw({0x83, 0x00})), HasSubstr("0x83")) << "no such opcode";
  EXPECT_THAT(failure_of(raw({0x80, 0x01, 'x'})), HasSubstr("never began"));
  EXPECT_THAT(failure_of(raw({0x01, 0x01, 'x', 0x81, 0x01, 'y'})), HasSubstr("inside another"));
  EXPECT_THAT(failure_of(raw({0x09, 0x01, 'x'})), HasSubstr("in parts"));
  EXPECT_THAT(failure_of(raw({0x89, 0x7e, 0x00, 0x7e}) + std::string(126, 'x')), HasSubstr("too long"));
  EXPECT_THAT(failure_of(raw({0x81, 0x7e, 0x00, 0x7d})), HasSubstr("2 bytes of length say 125"));
  EXPECT_THAT(failure_of(raw({0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff})), HasSubstr("8 bytes of length say 65535"));
}

TEST(WebSocketFrames, WhatIsTooLongIsRefusedBeforeItCame) {
  EXPECT_THAT(failure_of(raw({0x81, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0})),
              HasSubstr("9223372036854775808 bytes, more than"));
  EXPECT_THAT(failure_of(raw({0x81, 0x7e, 0x01, 0x01}), 256), HasSubstr("257 bytes, more than 256"));
  EXPECT_EQ(failure_of(raw({0x81, 0x7e, 0x01, 0x00}), 256), "no failure");
  const std::string half = std::string(100, 'h');
  EXPECT_THAT(failure_of(raw({0x01, 100}) + half + raw({0x80, 100}) + half, 150), HasSubstr("more than 150"));
}

}  // namespace
}  // namespace histod::bench
