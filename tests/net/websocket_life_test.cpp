// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"
#include "tests/net/websocket_rig.hpp"

// How a WebSocket is used and how it ends: sending, slow clients, silence, closing, drain, abort, loss.

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using net::http::WebSocketEnd;

/// More than the kernel takes for a client that does not read.
constexpr std::size_t k_flood_bytes = 32u << 20;

TEST(WebSocketSend, AMessageThatIsOutMakesItWritable) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  for (int i = 1; i <= 3; ++i) {
    rig.send("message " + std::to_string(i));
    EXPECT_EQ(client.text(), "message " + std::to_string(i));
    EXPECT_TRUE(rig.until([i](SocketLog& log) { return log.writable == i && !log.sockets[0]->pending(); }));
  }
}

TEST(WebSocketSend, CallsNobodyBack) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.server.on_loop([&] {
    EXPECT_FALSE(rig.log.sockets[0]->pending());
    rig.log.sockets[0]->send(std::make_shared<const std::string>("x"));
    EXPECT_TRUE(rig.log.sockets[0]->pending());
    EXPECT_EQ(rig.log.writable, 0);
  });
  EXPECT_EQ(client.text(), "x");
}

TEST(WebSocketSend, OneTextGoesToManyClients) {
  WebSocketRig rig;
  std::vector<std::unique_ptr<WebSocketClient>> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<WebSocketClient>(rig));
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.size() == 100; }));
  EXPECT_EQ(rig.server.stats().websockets_open.get(), 100u);
  const auto text = std::make_shared<const std::string>(70'000, 'n');
  rig.server.on_loop([&] {
    for (auto* const socket : rig.log.sockets) socket->send(text);
  });
  for (const auto& client : clients) ASSERT_TRUE(client->text() == *text);
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.writable == 100; }));
  EXPECT_EQ(text.use_count(), 1) << "nobody keeps it";
  EXPECT_EQ(rig.server.stats().sent_bytes.get(), 7'000'000u);
  clients.clear();
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.destroyed == 100; }));
  EXPECT_EQ(rig.server.stats().websockets_open.get(), 0u);
  EXPECT_EQ(rig.closed(WebSocketEnd::lost), 100u);
}

TEST(WebSocketSend, ASlowReaderMakesItLate) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  const std::string flood(k_flood_bytes, 'f');
  rig.send(flood);
  // What the client says is still heard, and a ping waits for its pong behind the message.
  ASSERT_TRUE(client.send(text_frame("still here") + ping_frame("late")));
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.events.size() == 1; }));
  rig.server.on_loop([&] {
    EXPECT_TRUE(rig.log.sockets[0]->pending());
    EXPECT_EQ(rig.log.writable, 0);
  });
  EXPECT_TRUE(client.text() == flood);
  const auto pong = client.frame();
  const auto echo = client.frame();
  ASSERT_TRUE(pong && echo);
  EXPECT_EQ(pong->payload + echo->payload, pong->opcode == Opcode::pong ? "latestill here" : "still herelate");
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.writable == 2; }));
}

TEST(WebSocketSend, AReaderThatHasStoppedIsDropped) {
  WebSocketRig rig({.send_timeout = 50ms});
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.send(std::string(k_flood_bytes, 'f'));
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::stalled));
  rig.server.on_loop([&] { EXPECT_EQ(rig.log.writable, 0); });
  EXPECT_LT(client.read_to_end().size(), k_flood_bytes);
  EXPECT_EQ(rig.closed(WebSocketEnd::stalled), 1u);
}

TEST(WebSocketSend, APongThatNobodyReadsHoldsNothingForEver) {
  WebSocketRig rig({.silence_max = 300ms});
  WebSocketClient client(rig);
  const std::string pings = ping_frame(std::string(125, 'p'));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += pings;
  for (int i = 0; i < 1000 && client.send(many); ++i) {
  }
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.ends.size() == 1; }));
  EXPECT_TRUE(rig.closed(WebSocketEnd::silent) == 1 || rig.closed(WebSocketEnd::lost) == 1);
}

TEST(WebSocketSilence, PingsGoOutAndNoOtherTimeOutCounts) {
  TestServerOptions options;
  options.limits.idle_timeout = options.limits.header_timeout = options.limits.stall_timeout = 1s;
  WebSocketRig rig({.ping_interval = 400ms, .silence_max = 60s}, options);
  WebSocketClient client(rig);
  if (!client.open()) GTEST_SKIP() << "this machine was too slow for a handshake in a second";
  for (int i = 0; i < 4; ++i) {
    const auto ping = client.frame();
    ASSERT_TRUE(ping);
    EXPECT_EQ(ping->opcode, Opcode::ping);
    EXPECT_EQ(ping->payload, "");
    EXPECT_FALSE(ping->masked);
    ASSERT_TRUE(client.send(bytes_of({.opcode = Opcode::pong})));
  }
  ASSERT_TRUE(client.send(close_frame(1000)));
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_peer)) << "a client that answers is not dropped";
}

TEST(WebSocketSilence, AClientThatSaysNothingIsDropped) {
  WebSocketRig rig({.ping_interval = 20ms, .silence_max = 100ms});
  WebSocketClient client(rig);
  ASSERT_TRUE(client.open());
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::silent));
  const std::string pings = client.read_to_end();
  EXPECT_EQ(pings.find_first_not_of(std::string("\x89\0", 2)), std::string::npos) << "it got nothing but pings";
  EXPECT_GE(pings.size(), 2u);
}

TEST(WebSocketSilence, AHalfFrameIsSilence) {
  WebSocketRig rig({.silence_max = 100ms});
  WebSocketClient client(rig);
  ASSERT_TRUE(client.send(text_frame("half of this").substr(0, 3)));
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::silent));
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(WebSocketEnds, WeCloseWithCodeAndReason) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.send("before");
  rig.close(1013, "too slow");
  EXPECT_EQ(client.text(), "before") << "what was on its way goes first";
  const auto frame = client.frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, Opcode::close);
  EXPECT_EQ(frame->code(), 1013u);
  EXPECT_EQ(frame->reason(), "too slow");
  ASSERT_TRUE(client.send(text_frame("unheard") + ping_frame("unanswered") + close_frame(1013)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_us));
  EXPECT_EQ(rig.events(), std::vector<std::string>()) << "nothing is heard after close()";
}

TEST(WebSocketEnds, ASecondCloseAndASendAfterItDoNothing) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.server.on_loop([&] {
    auto& socket = *rig.log.sockets[0];
    socket.close(4000, "");
    socket.close(4001, "again");
    socket.send(std::make_shared<const std::string>("late"));
    EXPECT_FALSE(socket.pending());
  });
  EXPECT_EQ(client.close_code(), 4000u);
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_us));
}

TEST(WebSocketEnds, TheLongestReasonFits) {
  WebSocketRig rig;
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.close(1008, std::string(123, 'r'));
  EXPECT_EQ(client.frame()->reason(), std::string(123, 'r'));
}

TEST(WebSocketEnds, AClientThatDoesNotAnswerACloseIsCut) {
  WebSocketRig rig({.close_timeout = 50ms});
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.close(1000, "");
  EXPECT_EQ(client.frame()->code(), 1000u);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_us));
}

TEST(WebSocketEnds, AClientThatDoesNotReadIsCutWhenClosed) {
  WebSocketRig rig({.close_timeout = 50ms});
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.send(std::string(k_flood_bytes, 'f'));
  rig.close(1013, "too slow");
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::by_us));
  EXPECT_LT(client.read_to_end().size(), k_flood_bytes);
}

TEST(WebSocketEnds, BothMayCloseAtOnce) {
  WebSocketRig rig;
  for (std::size_t i = 1; i <= 50; ++i) {
    WebSocketClient client(rig);
    ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.size() == 1; }));
    std::jthread sending([&client] { client.send(close_frame(3000)); });
    // The client's may have come first.
    rig.server.on_loop([&] {
      if (!rig.log.sockets.empty()) rig.log.sockets[0]->close(4000, "");
    });
    const auto frame = client.frame();
    ASSERT_TRUE(frame);
    EXPECT_TRUE(frame->code() == 4000 || frame->code() == 3000) << frame->code();
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_TRUE(rig.until([i](SocketLog& log) { return log.ends.size() == i; }));
  }
  EXPECT_EQ(rig.closed(WebSocketEnd::by_us) + rig.closed(WebSocketEnd::by_peer), 50u);
}

TEST(WebSocketEnds, AClientMayVanish) {
  WebSocketRig rig;
  {
    WebSocketClient polite(rig);
    ASSERT_TRUE(polite.open());
    polite.shutdown_send();
    EXPECT_TRUE(rig.ended_as(WebSocketEnd::lost, 1));
  }
  WebSocketClient rude(rig);
  ASSERT_TRUE(rude.open());
  rude.reset();
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::lost, 2));
  WebSocketClient in_mid_frame(rig);
  ASSERT_TRUE(in_mid_frame.send(text_frame("cut off").substr(0, 8)));
  in_mid_frame.reset();
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::lost, 3));
  WebSocketClient in_mid_flood(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.size() == 1; }));
  rig.send(std::string(k_flood_bytes, 'f'));
  in_mid_flood.reset();
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::lost, 4));
  EXPECT_TRUE(
      rig.until([&](SocketLog& log) { return log.destroyed == 4 && rig.server.stats().connections_open.get() == 0; }));
}

TEST(WebSocketEnds, AHalfClosedClientThatDoesNotReadIsCut) {
  WebSocketRig rig({.send_timeout = 60s, .close_timeout = 60s});
  for (const bool closing : {false, true}) {
    WebSocketClient client(rig);
    ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.size() == 1; }));
    rig.send(std::string(k_flood_bytes, 'f'));
    if (closing) rig.close(1013, "too slow");
    client.shutdown_send();
    EXPECT_TRUE(rig.until([&](SocketLog& log) { return log.destroyed == (closing ? 2 : 1); })) << closing;
    EXPECT_LT(client.read_to_end().size(), k_flood_bytes);
  }
  EXPECT_EQ(rig.closed(WebSocketEnd::lost), 1u);
  EXPECT_EQ(rig.closed(WebSocketEnd::by_us), 1u);
}

TEST(WebSocketEnds, AHandlerMayCloseWheneverItIsCalled) {
  struct Closing final : net::http::WebSocketHandler {
    explicit Closing(std::atomic<int>& ended) : ended_(ended) {}
    void opened(net::http::WebSocket& socket) override {
      socket.send(std::make_shared<const std::string>("welcome"));
      socket.close(4321, "and goodbye");
    }
    void message(std::string_view, bool) override { ADD_FAILURE(); }
    void writable() override { ADD_FAILURE(); }
    void closed(net::http::WebSocketEnd end) override { ended_ += end == WebSocketEnd::by_us ? 1 : 100; }
    std::atomic<int>& ended_;
  };
  std::atomic<int> ended = 0;
  TestServer server;
  server.on_loop([&] { server.handler().make_socket = [&] { return std::make_unique<Closing>(ended); }; });
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(upgrade_request() + text_frame("unheard")));
  EXPECT_EQ(client.read()->status, 101u);
  EXPECT_EQ(read_frame(client)->payload, "welcome");
  EXPECT_EQ(read_frame(client)->code(), 4321u);
  ASSERT_TRUE(client.send(close_frame(4321)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(server.eventually([&] { return ended == 1; }));
}

TEST(WebSocketDrain, ClosesWith1001AndWaitsForTheAnswer) {
  WebSocketRig rig({.close_timeout = 60s});
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.send("before");
  rig.server.start_drain();
  EXPECT_EQ(client.text(), "before");
  EXPECT_EQ(client.frame()->code(), 1001u);
  EXPECT_EQ(rig.server.stats().connections_open.get(), 1u) << "it has not answered";
  ASSERT_TRUE(client.send(close_frame(1001)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(rig.server.wait_drained());
  EXPECT_EQ(rig.closed(WebSocketEnd::drained), 1u);
}

TEST(WebSocketDrain, DoesNotWaitForEver) {
  WebSocketRig rig({.close_timeout = 50ms});
  WebSocketClient silent(rig);
  WebSocketClient busy(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 2; }));
  rig.send(std::string(k_flood_bytes, 'f'));
  rig.server.start_drain();
  EXPECT_TRUE(rig.server.wait_drained());
  EXPECT_EQ(rig.closed(WebSocketEnd::drained), 2u);
}

TEST(WebSocketDrain, AnUpgradeThatComesTooLateIsClosedAtOnce) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  ASSERT_TRUE(client.send(upgrade_request("", "/later")));
  ASSERT_TRUE(rig.server.wait_pending(1));
  rig.server.start_drain();
  rig.server.on_loop([&] {
    net::http::Response response;
    response.status = 101;
    response.websocket = std::make_unique<LoggedSocket>(rig.log);
    rig.server.handler().pending[0].responder.send(std::move(response));
    rig.server.handler().pending.clear();
  });
  EXPECT_EQ(client.read()->status, 101u);
  EXPECT_EQ(read_frame(client)->code(), 1001u);
  ASSERT_TRUE(client.send(close_frame(1001)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(rig.server.wait_drained());
}

TEST(WebSocketDrain, AbortCutsWhatIsLeft) {
  WebSocketRig rig({.close_timeout = 60s});
  WebSocketClient idle(rig);
  WebSocketClient half(rig);
  WebSocketClient flooded(rig);
  ASSERT_TRUE(half.send(text_frame("half").substr(0, 5)));
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 3; }));
  rig.server.on_loop([&] { rig.log.sockets[2]->send(std::make_shared<const std::string>(k_flood_bytes, 'f')); });
  rig.server.on_loop([&] { rig.server.server().abort(); });
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(half.read_to_end(), "");
  EXPECT_LT(flooded.read_to_end().size(), k_flood_bytes);
  EXPECT_TRUE(rig.ended_as(WebSocketEnd::aborted, 3));
  EXPECT_TRUE(rig.until([&](SocketLog&) { return rig.server.stats().connections_open.get() == 0; }));
}

TEST(WebSocketDrain, AbortEndsADrainThatWaits) {
  WebSocketRig rig({.close_timeout = 60s});
  WebSocketClient client(rig);
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  rig.server.start_drain();
  EXPECT_EQ(client.frame()->code(), 1001u);
  rig.server.on_loop([&] { rig.server.server().abort(); });
  EXPECT_TRUE(rig.server.wait_drained());
  EXPECT_TRUE(client.closed_by_peer());
}

TEST(WebSocketMany, AnIdleOneHoldsNoMemoryOfThePool) {
  WebSocketRig rig;
  std::vector<std::unique_ptr<WebSocketClient>> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(std::make_unique<WebSocketClient>(rig));
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.size() == 50; }));
  for (const auto& client : clients) ASSERT_TRUE(client->send(text_frame("x")));
  for (const auto& client : clients) ASSERT_EQ(client->text(), "x");
  rig.server.on_loop([&] { EXPECT_EQ(rig.server.pool().stats().leases, 0u); });
  EXPECT_EQ(rig.server.server().bytes_in_flight(), 0u);
  EXPECT_EQ(http_exchange(rig.server.port(), get("/hello"))->body, "hello") << "others are served beside them";
}

TEST(WebSocketMany, TalkAtATime) {
  WebSocketRig rig;
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&rig, &good, thread] {
      for (int i = 0; i < 10; ++i) {
        WebSocketClient client(rig);
        for (int j = 0; j < 20; ++j) {
          const std::string text = std::to_string(thread) + "/" + std::to_string(i) + "/" + std::string(j * 97u, 'x');
          if (client.send(ping_frame("p") + text_frame(text)) && client.frame() && client.text() == text) ++good;
        }
        if (i % 2) continue;
        client.send(close_frame(1000));
        if (client.close_code() != 1000) good = -1'000'000;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 1600);
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.destroyed == 80; }));
  EXPECT_EQ(rig.closed(WebSocketEnd::by_peer), 40u);
  EXPECT_EQ(rig.closed(WebSocketEnd::lost), 40u);
  EXPECT_EQ(rig.server.stats().websockets_opened.get(), 80u);
}

}  // namespace
}  // namespace histod::test
