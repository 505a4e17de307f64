// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "net/error.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;

TEST(Connection, AnswersAndKeepsAlive) {
  TestServer server;
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(get("/hello")));
    const auto reply = client.read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200u);
    EXPECT_EQ(reply->body, "hello");
    EXPECT_EQ(reply->field("content-type"), "text/plain");
    EXPECT_EQ(reply->field("content-length"), "5");
    EXPECT_EQ(reply->field("connection"), "");
    EXPECT_EQ(reply->field("date").size(), 29u);
  }
  EXPECT_EQ(server.stats().connections_opened.get(), 1u);
  EXPECT_EQ(server.stats().requests.get(), 3u);
  EXPECT_EQ(server.stats().responses_2xx.get(), 3u);
  server.on_loop([&] { EXPECT_EQ(server.handler().last_peer, "127.0.0.1"); });
}

TEST(Connection, DurationsAreCountedByKind) {
  TestServer server;
  HttpClient client(server.port());
  for (const char* path : {"/hello", "/hello", "/denied"}) {
    ASSERT_TRUE(client.send(get(path)));
    ASSERT_TRUE(client.read());
  }
  ASSERT_TRUE(client.send(post("/echo", "body")));
  ASSERT_TRUE(client.read());
  const auto count = [&](std::size_t kind) {
    std::uint64_t sum = 0;
    for (const net::Counter& one : server.stats().durations[kind].counts) sum += one.get();
    return sum;
  };
  // The client may have read the answer before the server knows that it was sent.
  EXPECT_TRUE(server.eventually([&] { return count(7) == 1; }));
  EXPECT_EQ(count(1), 2u);
  EXPECT_EQ(count(0), 1u) << "refused before anybody knew what it is";
  EXPECT_GT(server.stats().durations[7].sum_ns.get(), 0u);
}

TEST(Durations, FallIntoTheBucketThatBoundsThem) {
  net::http::Durations durations;
  for (const std::uint64_t ns : {0ull, 250'000ull, 250'001ull, 30'000'000'000ull, 30'000'000'001ull})
    durations.observe(ns);
  EXPECT_EQ(durations.counts[0].get(), 2u);
  EXPECT_EQ(durations.counts[1].get(), 1u);
  EXPECT_EQ(durations.counts[15].get(), 1u);
  EXPECT_EQ(durations.counts[16].get(), 1u);
  EXPECT_EQ(durations.sum_ns.get(), 60'000'500'002ull);
}

TEST(Connection, EchoesBodiesOfManySizesWithoutCopyingThem) {
  TestServer server;
  HttpClient client(server.port());
  for (const std::size_t bytes : {0uz, 1uz, 100uz, 65'000uz, 65'400uz, 65'536uz, 65'537uz, 1'000'000uz, 9'000'000uz}) {
    const std::string body = noise(bytes);
    ASSERT_TRUE(client.send(post("/echo", body)));
    const auto reply = client.read();
    ASSERT_TRUE(reply) << bytes;
    EXPECT_TRUE(reply->body == body) << bytes;
    server.on_loop([&] { EXPECT_TRUE(server.handler().last_body_in_lease); });
  }
  EXPECT_EQ(server.stats().copied_bytes.get(), 0u) << "one client alone: bodies are received where they stay";
  EXPECT_TRUE(server.eventually([&] { return server.server().bytes_in_flight() == 0; }));
}

TEST(Connection, ReceivesIntoRegisteredMemoryAndPastItsEnd) {
  TestServerOptions options;
  options.register_pool = true;
  options.pool.resident_bytes = 2 << 20;
  TestServer server(options);
  const std::error_code error = server.registration_error();
  EXPECT_TRUE(!error || error == net::Errc::no_registered_buffers || error == std::errc::not_enough_memory) << error;
  HttpClient client(server.port());
  for (const std::size_t bytes : {1uz, 60'000uz, 2'000'000uz, 2'097'152uz, 2'097'153uz, 9'000'000uz}) {
    const std::string body = noise(bytes);
    ASSERT_TRUE(client.send(post("/echo", body)));
    const auto reply = client.read();
    ASSERT_TRUE(reply) << bytes;
    EXPECT_TRUE(reply->body == body) << bytes;
    ASSERT_TRUE(client.send(chunked_head("/echo") + chunks(body, 50'000)));
    const auto streamed = client.read();
    ASSERT_TRUE(streamed) << bytes;
    EXPECT_TRUE(streamed->body == body) << bytes;
  }
}

TEST(Connection, MovesABodyThatCannotGrowInPlace) {
  TestServer server;
  HttpClient first(server.port());
  HttpClient second(server.port());
  const std::string body = noise(300'000);
  const std::string request = post("/echo?" + std::string(50, 'q'), body, "X-Close: no\r\n");
  // Both hold a granule, the second one's right behind the first one's.
  ASSERT_TRUE(first.send(request.substr(0, 100)));
  ASSERT_TRUE(server.eventually([&] { return server.pool().stats().leases == 1; }));
  ASSERT_TRUE(second.send(request.substr(0, 100)));
  ASSERT_TRUE(server.eventually([&] { return server.pool().stats().leases == 2; }));
  ASSERT_TRUE(first.send(std::string_view(request).substr(100)));
  const auto reply = first.read();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->body == body);
  EXPECT_EQ(reply->field("x-path"), "/echo");
  EXPECT_GT(server.stats().copied_bytes.get(), 0u);
  ASSERT_TRUE(second.send(std::string_view(request).substr(100)));
  EXPECT_TRUE(second.read()->body == body);
}

TEST(Connection, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/hello") + post("/echo", "first") + post("/echo", noise(70'000)) +
                          chunked_head("/echo") + chunks("second", 4) + get("/denied") + post("/echo", "last")));
  EXPECT_EQ(client.read()->body, "hello");
  EXPECT_EQ(client.read()->body, "first");
  EXPECT_TRUE(client.read()->body == noise(70'000));
  EXPECT_EQ(client.read()->body, "second");
  EXPECT_EQ(client.read()->status, 401u);
  EXPECT_EQ(client.read()->body, "last");
}

TEST(Connection, AnswersAPipelinedRequestOnlyAfterTheOneBefore) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/later") + get("/hello")));
  ASSERT_TRUE(server.wait_pending(1));
  EXPECT_EQ(server.stats().requests.get(), 1u);
  server.answer_pending("first");
  EXPECT_EQ(client.read()->body, "first");
  EXPECT_EQ(client.read()->body, "hello");
}

TEST(Connection, ReceivesByteByByte) {
  TestServer server;
  HttpClient client(server.port());
  for (const char c : post("/echo", "slow body") + chunked_head("/echo") + chunks("chunked", 2)) {
    ASSERT_TRUE(client.send({&c, 1}));
  }
  EXPECT_EQ(client.read()->body, "slow body");
  EXPECT_EQ(client.read()->body, "chunked");
}

TEST(Connection, SendsEveryKindOfBody) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/leased") + get("/static") + get("/empty") + get("/hello")));
  EXPECT_EQ(client.read()->body, "bytes");
  EXPECT_EQ(client.read()->body, "static bytes");
  const auto empty = client.read();
  EXPECT_EQ(empty->status, 204u);
  EXPECT_EQ(empty->field("content-length"), "");
  EXPECT_EQ(client.read()->body, "hello");
}

TEST(Connection, HeadHasTheLengthButNoBody) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" + get("/hello")));
  const auto head = client.read(true);
  EXPECT_EQ(head->status, 200u);
  EXPECT_EQ(head->field("content-length"), "5");
  EXPECT_EQ(client.read()->body, "hello") << "nothing lies between the two responses";
}

TEST(Connection, Http10ClosesUnlessAskedNotTo) {
  TestServer server;
  HttpClient closing(server.port());
  ASSERT_TRUE(closing.send("GET /hello HTTP/1.0\r\n\r\n"));
  const auto reply = closing.read();
  EXPECT_EQ(reply->field("connection"), "close");
  EXPECT_TRUE(closing.closed_by_peer());
  HttpClient keeping(server.port());
  ASSERT_TRUE(keeping.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n"));
  EXPECT_EQ(keeping.read()->field("connection"), "keep-alive");
  EXPECT_EQ(keeping.read()->field("connection"), "close");
  EXPECT_TRUE(keeping.closed_by_peer());
}

TEST(Connection, ClosesWhenTheClientOrTheHandlerWantsIt) {
  TestServer server;
  for (const char* const field : {"Connection: close\r\n", "Connection: foo, Close\r\n", "X-Close: yes\r\n"}) {
    HttpClient client(server.port());
    ASSERT_TRUE(client.send(get("/hello", field)));
    const auto reply = client.read();
    EXPECT_EQ(reply->field("connection"), "close") << field;
    EXPECT_EQ(reply->body, "hello");
    EXPECT_TRUE(client.closed_by_peer()) << field;
  }
}

TEST(Connection, ContinuesOnlyAfterAdmission) {
  TestServer server;
  HttpClient client(server.port());
  const std::string body = noise(200'000);
  ASSERT_TRUE(client.send(post_head("/echo", body.size(), "Expect: 100-continue\r\n")));
  EXPECT_EQ(client.read()->status, 100u);
  ASSERT_TRUE(client.send(body));
  EXPECT_TRUE(client.read()->body == body);
  ASSERT_TRUE(client.send(chunked_head("/echo", "Expect: 100-Continue\r\n")));
  EXPECT_EQ(client.read()->status, 100u);
  ASSERT_TRUE(client.send(chunks("chunked", 3)));
  EXPECT_EQ(client.read()->body, "chunked");
  ASSERT_TRUE(client.send(post_head("/denied", 10, "Expect: 100-continue\r\n")));
  EXPECT_EQ(client.read()->status, 401u) << "refused without 100 Continue";
  EXPECT_TRUE(client.closed_by_peer());
}

TEST(Connection, RefusesAnUnknownExpectation) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(post_head("/echo", 5, "Expect: the-unexpected\r\n")));
  EXPECT_EQ(client.read()->status, 417u);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST(Connection, ReceivesChunkedUploads) {
  TestServer server;
  HttpClient client(server.port());
  for (const std::size_t bytes : {0uz, 1uz, 65'000uz, 66'000uz, 300'000uz, 3'000'000uz}) {
    for (const std::size_t chunk_bytes : {1'000uz, 65'536uz, 10'000'000uz}) {
      const std::string body = noise(bytes);
      ASSERT_TRUE(client.send(chunked_head("/echo") + chunks(body, chunk_bytes)));
      const auto reply = client.read();
      ASSERT_TRUE(reply) << bytes << " in chunks of " << chunk_bytes;
      EXPECT_TRUE(reply->body == body) << bytes << " in chunks of " << chunk_bytes;
    }
  }
}

TEST(Connection, ADroppedResponderAnswers500) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/drop") + get("/hello")));
  const auto reply = client.read();
  EXPECT_EQ(reply->status, 500u);
  EXPECT_TRUE(reply->body.starts_with("internal|")) << reply->body;
  EXPECT_EQ(client.read()->body, "hello") << "the connection lives on";
  EXPECT_EQ(server.stats().responses_5xx.get(), 1u);
}

TEST(Connection, NoticesThatTheClientIsGone) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/later")));
  ASSERT_TRUE(server.wait_pending(1));
  server.on_loop([&] { EXPECT_FALSE(server.handler().pending[0].responder.peer_gone()); });
  client.reset();
  EXPECT_TRUE(server.eventually([&] { return server.handler().pending[0].responder.peer_gone(); }));
  server.answer_pending("nobody hears this");
  EXPECT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 0; }));
  EXPECT_EQ(http_exchange(server.port(), get("/hello"))->body, "hello");
}

TEST(Connection, AbortLeavesAHarmlessResponder) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(get("/later")));
  ASSERT_TRUE(server.wait_pending(1));
  server.on_loop([&] { server.server().abort(); });
  EXPECT_TRUE(client.closed_by_peer());
  server.on_loop([&] { EXPECT_TRUE(server.handler().pending[0].responder.peer_gone()); });
  server.answer_pending("too late");
  EXPECT_EQ(server.stats().responses_2xx.get(), 0u);
}

TEST(Connection, ClientsThatLeaveInMidRequestLeaveNothingBehind) {
  TestServer server;
  const std::string request = post("/echo", noise(100'000));
  for (const std::size_t bytes : {1uz, 20uz, 60uz, 100uz, 50'000uz, 99'000uz}) {
    HttpClient polite(server.port());
    ASSERT_TRUE(polite.send(std::string_view(request).substr(0, bytes)));
    HttpClient rude(server.port());
    ASSERT_TRUE(rude.send(std::string_view(request).substr(0, bytes)));
    ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 2; }));
    rude.reset();
    polite.shutdown_send();
    EXPECT_EQ(polite.read_to_end(), "");
  }
  EXPECT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 0; }));
  server.on_loop([&] { EXPECT_EQ(server.pool().stats().leases, 0u); });
  EXPECT_EQ(server.server().bytes_in_flight(), 0u);
}

TEST(Connection, AnIdleConnectionHoldsNoMemory) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(post("/echo", noise(500'000))));
  ASSERT_TRUE(client.read());
  EXPECT_TRUE(server.eventually([&] { return server.pool().stats().leased_bytes == 0; }));
  ASSERT_TRUE(client.send(get("/hello")));
  EXPECT_EQ(client.read()->body, "hello");
}

TEST(Connection, CountsBytesInFlight) {
  TestServer server;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(post_head("/later", 5'000'000)));
  EXPECT_TRUE(server.eventually([&] { return server.server().bytes_in_flight() == 5'000'000; }));
  ASSERT_TRUE(client.send(noise(5'000'000)));
  ASSERT_TRUE(server.wait_pending(1));
  server.answer_pending("done");
  EXPECT_EQ(client.read()->body, "done");
  EXPECT_TRUE(server.eventually([&] { return server.server().bytes_in_flight() == 0; }));
}

TEST(Connection, ServesIpv6) {
  TestServerOptions options;
  options.address = "::1";
  std::unique_ptr<TestServer> server;
  try {
    server = std::make_unique<TestServer>(options);
  } catch (const std::runtime_error& error) {
    GTEST_SKIP() << "no IPv6 loopback on this machine: " << error.what();
  }
  EXPECT_NE(server->port(), 0);
}

TEST(Connection, ManyClientsAtATime) {
  TestServer server;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (std::uint32_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      HttpClient client(server.port());
      for (std::uint32_t i = 0; i < 40; ++i) {
        const std::string body = noise((i * 7919) % 150'000, thread * 100 + i);
        if (!client.send(i % 2 ? post("/echo", body) : chunked_head("/echo") + chunks(body, 10'000))) return;
        const auto reply = client.read();
        if (reply && reply->body == body) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 320);
}

}  // namespace
}  // namespace histod::test
