// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"
#include "tests/net/websocket_rig.hpp"

// What the public Autobahn suite asks of a server, as far as we decide it: RFC 6455, 5 to 8.

namespace histod::test {
namespace {

using net::http::WebSocketEnd;

/// The code that a client gets which sends these bytes.
unsigned code_for(const std::string& bytes, net::http::WebSocketOptions options = {}) {
  WebSocketRig rig(std::move(options));
  WebSocketClient client(rig);
  EXPECT_TRUE(client.open());
  client.send(bytes);
  const unsigned code = client.close_code();
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.ends.size() == 1; }));
  EXPECT_EQ(rig.events(), std::vector<std::string>()) << "nothing of it is a message";
  return code;
}

TEST(WebSocketFrames, EchoesTextsOfEveryKindOfLength) {
  WebSocketRig rig({.message_bytes_max = 200'000});
  WebSocketClient client(rig);
  for (const std::size_t bytes : {0uz, 1uz, 124uz, 125uz, 126uz, 127uz, 511uz, 512uz, 513uz, 1535uz, 1536uz, 1537uz,
                                  65'535uz, 65'536uz, 200'000uz}) {
    const std::string message(bytes, 'm');
    ASSERT_TRUE(client.send(text_frame(message)));
    ASSERT_TRUE(client.text() == message) << bytes;
  }
}

TEST(WebSocketFrames, TellsTextFromBinary) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  const std::string no_text("\xff\x00\xc0", 3);
  ASSERT_TRUE(client.send(bytes_of({.opcode = Opcode::binary, .payload = no_text}) + text_frame("text")));
  EXPECT_EQ(client.text(), "text");
  EXPECT_EQ(rig.events(), (std::vector<std::string>{"binary " + no_text, "text text"}));
}

TEST(WebSocketFrames, JoinsFragmentsWithControlFramesBetween) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(client.send(bytes_of({.payload = "one ", .fin = false}) + ping_frame("a") +
                          bytes_of({.opcode = Opcode::continuation, .payload = "two ", .fin = false}) +
                          bytes_of({.opcode = Opcode::continuation, .fin = false}) + ping_frame("b") +
                          bytes_of({.opcode = Opcode::pong, .payload = "unasked"}) +
                          bytes_of({.opcode = Opcode::continuation, .payload = "three"}) + text_frame("next")));
  for (const char* const payload : {"a", "b"}) {
    const auto pong = client.frame();
    ASSERT_TRUE(pong);
    EXPECT_EQ(pong->opcode, Opcode::pong);
    EXPECT_EQ(pong->payload, payload);
  }
  EXPECT_EQ(client.text(), "one two three");
  EXPECT_EQ(client.text(), "next");
}

TEST(WebSocketFrames, ReadsFramesByteByByte) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  const std::string all = bytes_of({.payload = "fr", .fin = false}) + ping_frame("ping") +
                          bytes_of({.opcode = Opcode::continuation, .payload = std::string(200, 'x')});
  for (const char c : all) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(client.frame()->opcode, Opcode::pong);
  EXPECT_EQ(client.text(), "fr" + std::string(200, 'x'));
}

TEST(WebSocketFrames, AnswersPingsWithTheirPayload) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  for (const std::string& payload : {std::string(), std::string("\x00\xff\xfe", 3), std::string(125, 'p')}) {
    ASSERT_TRUE(client.send(ping_frame(payload)));
    const auto pong = client.frame();
    ASSERT_TRUE(pong);
    EXPECT_EQ(pong->opcode, Opcode::pong);
    EXPECT_EQ(pong->payload, payload);
  }
  EXPECT_EQ(rig.events(), std::vector<std::string>());
}

TEST(WebSocketFrames, RefusesFramesThatAreNotMasked) {
  EXPECT_EQ(code_for(bytes_of({.payload = "bare", .masked = false})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::ping, .masked = false})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::close, .masked = false})), 1002u);
}

TEST(WebSocketFrames, RefusesReservedBits) {
  for (unsigned rsv = 1; rsv < 8; ++rsv) {
    EXPECT_EQ(code_for(bytes_of({.payload = "x", .rsv = rsv})), 1002u) << rsv;
    EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::ping, .rsv = rsv})), 1002u) << rsv;
    EXPECT_EQ(code_for(bytes_of({.payload = "x", .fin = false}) +
                       bytes_of({.opcode = Opcode::continuation, .payload = "x", .rsv = rsv})),
              1002u)
        << rsv;
  }
}

TEST(WebSocketFrames, RefusesReservedOpcodes) {
  for (const unsigned opcode : {3u, 4u, 5u, 6u, 7u, 11u, 12u, 13u, 14u, 15u}) {
    EXPECT_EQ(code_for(bytes_of({.opcode = static_cast<Opcode>(opcode), .payload = "x"})), 1002u) << opcode;
  }
}

TEST(WebSocketFrames, RefusesMessagesOverTheLimit) {
  EXPECT_EQ(code_for(text_frame(std::string(4097, 'x'))), 1009u);
  EXPECT_EQ(code_for(text_frame(std::string(11, 'x')), {.message_bytes_max = 10}), 1009u);
  EXPECT_EQ(code_for(bytes_of({.payload = std::string(4000, 'x'), .fin = false}) +
                     bytes_of({.opcode = Opcode::continuation, .payload = std::string(97, 'x')})),
            1009u);
  EXPECT_EQ(code_for(bytes_of({.length = 1u << 30})), 1009u) << "said is enough, before a byte of it has come";
  WebSocketRig rig({.message_bytes_max = 10});
  WebSocketClient client(rig);
  ASSERT_TRUE(client.send(text_frame("ten bytes!") + text_frame("ten again!")));
  EXPECT_EQ(client.text(), "ten bytes!");
  EXPECT_EQ(client.text(), "ten again!");
}

TEST(WebSocketFrames, RefusesLengthsThatNobodyCanMean) {
  for (const std::uint64_t length : {1ull << 63, (1ull << 63) + 5, ~0ull}) {
    EXPECT_EQ(code_for(bytes_of({.length_bytes = 8, .length = length})), 1009u) << length;
    EXPECT_EQ(code_for(bytes_of({.payload = "x", .fin = false}) +
                       bytes_of({.opcode = Opcode::continuation, .length_bytes = 8, .length = length})),
              1009u)
        << length;
  }
}

TEST(WebSocketFrames, RefusesLengthsInMoreBytesThanNeeded) {
  EXPECT_EQ(code_for(bytes_of({.payload = "x", .length_bytes = 2})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.payload = std::string(125, 'x'), .length_bytes = 2})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.payload = "x", .length_bytes = 8})), 1002u);
  EXPECT_EQ(
      code_for(bytes_of({.payload = std::string(65'535, 'x'), .length_bytes = 8}), {.message_bytes_max = 100'000}),
      1002u);
}

TEST(WebSocketFrames, RefusesLongOrFragmentedControlFrames) {
  for (const Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
    EXPECT_EQ(code_for(bytes_of({.opcode = opcode, .payload = std::string(126, 'x')})), 1002u);
    EXPECT_EQ(code_for(bytes_of({.opcode = opcode, .payload = "xx", .fin = false})), 1002u);
  }
}

TEST(WebSocketFrames, RefusesFragmentsOutOfOrder) {
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::continuation, .payload = "x"})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::continuation, .payload = "x", .fin = false})), 1002u);
  EXPECT_EQ(code_for(bytes_of({.payload = "x", .fin = false}) + text_frame("y")), 1002u);
  EXPECT_EQ(code_for(bytes_of({.payload = "x", .fin = false}) + bytes_of({.opcode = Opcode::binary})), 1002u);
}

const std::vector<std::string> k_utf8 = {
    "plain",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "mixed \xe2\x82\xac and \xf0\x9f\x98\x80 and plain again, longer than a word",
};

TEST(WebSocketUtf8, IsAcceptedWhereverItIsSplit) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  for (const std::string& text : k_utf8) {
    ASSERT_TRUE(client.send(text_frame(text)));
    ASSERT_EQ(client.text(), text);
    for (std::size_t at = 0; at <= text.size(); ++at) {
      ASSERT_TRUE(client.send(bytes_of({.payload = text.substr(0, at), .fin = false}) +
                              bytes_of({.opcode = Opcode::continuation, .payload = text.substr(at)})));
      ASSERT_EQ(client.text(), text) << at;
    }
  }
}

TEST(WebSocketUtf8, WhatIsNoneIsRefused) {
  for (const std::string text : {"\x80",
                                 "\xbf",
                                 "\xc0\x80",
                                 "\xc1\xbf",
                                 "\xc2",
                                 "\xc2\x41",
                                 "\xe0\x80\x80",
                                 "\xe0\x9f\xbf",
                                 "\xe2\x82",
                                 "\xe2\x28\xa1",
                                 "\xed\xa0\x80",
                                 "\xed\xbf\xbf",
                                 "\xf0\x80\x80\x80",
                                 "\xf0\x8f\xbf\xbf",
                                 "\xf0\x9f\x98",
                                 "\xf4\x90\x80\x80",
                                 "\xf5\x80\x80\x80",
                                 "\xf8\x88\x80\x80\x80",
                                 "\xfe",
                                 "\xff",
                                 "plain, plain and then \xff"}) {
    EXPECT_EQ(code_for(text_frame(text)), 1007u) << text;
    EXPECT_EQ(code_for(bytes_of({.payload = text.substr(0, 1), .fin = false}) +
                       bytes_of({.opcode = Opcode::continuation, .payload = text.substr(1)})),
              1007u)
        << text;
  }
}

TEST(WebSocketUtf8, IsRefusedBeforeTheMessageIsWhole) {
  EXPECT_EQ(code_for(bytes_of({.payload = "good \xf4\x90", .fin = false})), 1007u);
  EXPECT_EQ(code_for(bytes_of({.payload = "good", .fin = false}) +
                     bytes_of({.opcode = Opcode::continuation, .payload = "\xed\xa0", .fin = false})),
            1007u);
  EXPECT_EQ(code_for(bytes_of({.payload = "bad \xff", .length = 4000})), 1007u) << "in the middle of a frame";
}

TEST(WebSocketUtf8, ACharacterThatAnEmptyFragmentCutsOffIsRefused) {
  EXPECT_EQ(code_for(bytes_of({.payload = "cut \xe2\x82", .fin = false}) + bytes_of({.opcode = Opcode::continuation})),
            1007u);
}

TEST(WebSocketClose, ValidCodesAreEchoed) {
  for (const unsigned code :
       {1000u, 1001u, 1002u, 1003u, 1007u, 1008u, 1009u, 1010u, 1011u, 3000u, 3999u, 4000u, 4999u}) {
    EXPECT_EQ(code_for(close_frame(code)), code);
    EXPECT_EQ(code_for(close_frame(code, "said why")), code);
  }
  EXPECT_EQ(code_for(close_frame(1000, std::string(123, 'r'))), 1000u);
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::close})), 1000u) << "none was said";
}

TEST(WebSocketClose, OtherPayloadsBreakTheRules) {
  for (const unsigned code : {0u, 1u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 1100u, 2000u, 2999u}) {
    EXPECT_EQ(code_for(close_frame(code)), 1002u) << code;
  }
  EXPECT_EQ(code_for(bytes_of({.opcode = Opcode::close, .payload = "x"})), 1002u) << "half a code";
  EXPECT_EQ(code_for(close_frame(1000, std::string(124, 'r'))), 1002u);
  EXPECT_EQ(code_for(close_frame(1000, "\xff")), 1002u);
}

TEST(WebSocketClose, IsCountedByWhoBegan) {
  WebSocketRig rig;
  {
    WebSocketClient client(rig);
    ASSERT_TRUE(client.send(text_frame("last words") + close_frame(1000) + text_frame("too late") + ping_frame("x")));
    EXPECT_EQ(client.text(), "last words");
    EXPECT_EQ(client.close_code(), 1000u) << "what comes behind a close frame is not looked at";
  }
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_peer));
  EXPECT_EQ(rig.events(), std::vector<std::string>{"text last words"});
  EXPECT_EQ(rig.closed(WebSocketEnd::by_peer), 1u);
  WebSocketClient client(rig);
  ASSERT_TRUE(client.send(text_frame("\xff")));
  EXPECT_EQ(client.close_code(), 1007u);
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.ends.size() == 2; }));
  EXPECT_EQ(rig.closed(WebSocketEnd::protocol), 1u);
  EXPECT_TRUE(
      rig.until([&](SocketLog& log) { return log.destroyed == 2 && rig.server.stats().websockets_open.get() == 0; }));
}

}  // namespace
}  // namespace histod::test
