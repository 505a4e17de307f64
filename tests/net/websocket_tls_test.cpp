// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"
#include "tests/net/tls_rig.hpp"
#include "tests/net/websocket_rig.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using net::http::WebSocketEnd;

class WebSocketTls : public testing::Test, protected OwnCertificate {
 protected:
  void SetUp() override { ASSERT_TRUE(made_) << "openssl could not make a certificate"; }
  /// A client behind the handshake.
  static std::unique_ptr<TlsClient> connect(WebSocketRig& rig, const std::string& more = "") {
    auto client = std::make_unique<TlsClient>(rig.server.port());
    EXPECT_TRUE(client->connected());
    EXPECT_TRUE(client->send(upgrade_request() + more));
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
      const std::string byte = client->read_bytes(1);
      if (byte.empty()) break;
      head += byte;
    }
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    return client;
  }
};

TEST_F(WebSocketTls, TalksAndCloses) {
  WebSocketRig rig({.message_bytes_max = 200'000}, options());
  const auto client = connect(rig, text_frame("with the request"));
  EXPECT_EQ(read_frame(*client)->payload, "with the request");
  for (const std::size_t bytes : {0uz, 5uz, 8192uz, 16'384uz, 16'385uz, 150'000uz}) {
    const std::string text(bytes, 't');
    ASSERT_TRUE(client->send(ping_frame("p") + text_frame(text)));
    EXPECT_EQ(read_frame(*client)->opcode, Opcode::pong);
    const auto echo = read_frame(*client);
    ASSERT_TRUE(echo);
    EXPECT_TRUE(echo->payload == text) << bytes;
  }
  ASSERT_TRUE(client->send(close_frame(1000)));
  EXPECT_EQ(read_frame(*client)->code(), 1000u);
  EXPECT_EQ(client->read_bytes(1), "");
  EXPECT_TRUE(client->closed_cleanly());
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_peer));
}

TEST_F(WebSocketTls, ReadsAndWritesAtOnce) {
  WebSocketRig rig({}, options());
  const auto client = connect(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  const std::string flood(8u << 20, 'f');
  rig.send(flood);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client->send(text_frame("up " + std::to_string(i))));
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.events.size() == 20; })) << "heard while the message waits";
  const auto down = read_frame(*client);
  ASSERT_TRUE(down);
  EXPECT_TRUE(down->payload == flood);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(read_frame(*client)->payload, "up " + std::to_string(i));
}

TEST_F(WebSocketTls, IsDrainedAndAborted) {
  WebSocketRig rig({.close_timeout = 60s}, options());
  const auto polite = connect(rig);
  const auto stuck = connect(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 2; }));
  rig.server.start_drain();
  EXPECT_EQ(read_frame(*polite)->code(), 1001u);
  ASSERT_TRUE(polite->send(close_frame(1001)));
  EXPECT_EQ(polite->read_bytes(1), "");
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::drained, 1));
  rig.server.on_loop([&] { rig.server.server().abort(); });
  EXPECT_TRUE(rig.server.wait_drained());
}

TEST_F(WebSocketTls, SlowAndLostClientsAreDropped) {
  WebSocketRig rig({.send_timeout = 200ms}, options());
  const auto slow = connect(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.send(std::string(32u << 20, 'f'));
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::stalled));
  const auto lost = connect(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 2; }));
  lost->below().reset();
  EXPECT_TRUE(
      rig.until([&](SocketLog& log) { return log.destroyed == 2 && rig.server.stats().connections_open.get() == 0; }));
  EXPECT_EQ(rig.closed(WebSocketEnd::lost), 1u);
}

}  // namespace
}  // namespace histod::test
