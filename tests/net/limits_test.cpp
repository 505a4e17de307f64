// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

// Bounds of a connection: sizes, times, numbers, memory, and how it ends.

namespace histod::test {
namespace {

using namespace std::chrono_literals;

TEST(Limits, RefusesBodiesOverTheAdmittedLength) {
  TestServer server;
  server.handler().body_bytes_max = 1000;
  HttpClient exact(server.port());
  ASSERT_TRUE(exact.send(post("/echo", noise(1000)) + chunked_head("/echo") + chunks(noise(1000), 300)));
  EXPECT_TRUE(exact.read()->body == noise(1000));
  EXPECT_TRUE(exact.read()->body == noise(1000));
  HttpClient declared(server.port());
  ASSERT_TRUE(declared.send(post_head("/echo", 1001)));
  const auto reply = declared.read();
  EXPECT_EQ(reply->status, 413u);
  EXPECT_EQ(reply->body, "too-large|the body is too large|1001|1000|/echo");
  EXPECT_TRUE(declared.closed_by_peer());
  HttpClient streamed(server.port());
  ASSERT_TRUE(streamed.send(chunked_head("/echo") + chunks(noise(1001), 300)));
  EXPECT_EQ(streamed.read()->status, 413u);
  EXPECT_TRUE(streamed.closed_by_peer());
}

TEST(Limits, RefusesABodyWhereNoneIsExpected) {
  TestServer server;
  EXPECT_EQ(http_exchange(server.port(), post("/nobody", "x"))->status, 413u);
  EXPECT_EQ(http_exchange(server.port(), chunked_head("/nobody") + chunks("x", 1))->status, 413u);
  EXPECT_EQ(http_exchange(server.port(), post("/nobody", ""))->status, 200u);
  EXPECT_EQ(http_exchange(server.port(), "POST /nobody HTTP/1.1\r\nHost: a\r\n\r\n")->status, 200u);
}

TEST(Limits, WantsALengthWhereABodyIsExpected) {
  TestServer server;
  const auto reply = http_exchange(server.port(), "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(reply->status, 411u);
  EXPECT_TRUE(reply->body.starts_with("length-required|"));
}

TEST(Limits, RefusesALengthOverTheWholePool) {
  TestServerOptions options;
  options.pool = {.budget_bytes = 1 << 20, .resident_bytes = 1 << 20};
  TestServer server(options);
  EXPECT_EQ(http_exchange(server.port(), post_head("/echo", 2 << 20))->status, 413u);
  EXPECT_EQ(http_exchange(server.port(), chunked_head("/echo") + chunks(noise(2 << 20), 100'000))->status, 413u);
}

TEST(Limits, TheClientReadsAnEarlyRefusalThoughItGoesOnSending) {
  TestServer server;
  server.handler().body_bytes_max = 1000;
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(post_head("/echo", 200'000)));
  client.send(noise(200'000));
  const auto reply = client.read();
  ASSERT_TRUE(reply) << "a reset would have overtaken the response";
  EXPECT_EQ(reply->status, 413u);
}

TEST(Limits, BoundsTheHeader) {
  TestServerOptions options;
  options.limits.header_bytes = 2000;
  options.limits.header_fields = 10;
  options.limits.target_bytes = 500;
  TestServer server(options);
  EXPECT_EQ(http_exchange(server.port(), get("/hello", "X: " + std::string(1500, 'a') + "\r\n"))->status, 200u);
  EXPECT_EQ(http_exchange(server.port(), get("/hello", "X: " + std::string(2000, 'a') + "\r\n"))->status, 431u);
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "A: b\r\n";
  EXPECT_EQ(http_exchange(server.port(), get("/hello", fields))->status, 200u);
  EXPECT_EQ(http_exchange(server.port(), get("/hello", fields + "A: b\r\n"))->status, 431u);
  EXPECT_EQ(http_exchange(server.port(), get("/" + std::string(499, 'a')))->status, 404u);
  EXPECT_EQ(http_exchange(server.port(), get("/" + std::string(500, 'a')))->status, 414u);
  EXPECT_EQ(http_exchange(server.port(), "GET /" + std::string(1000, 'a'))->status, 414u) << "before the line is whole";
}

TEST(Limits, ASlowHeaderGets408) {
  TestServerOptions options;
  options.limits.header_timeout = 50ms;
  TestServer server(options);
  HttpClient client(server.port());
  ASSERT_TRUE(client.send("GET /hello HTT"));
  const auto reply = client.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408u);
  EXPECT_EQ(reply->field("connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.stats().timeouts_header.get(), 1u);
}

TEST(Limits, AStalledBodyGets408) {
  TestServerOptions options;
  options.limits.stall_timeout = 50ms;
  TestServer server(options);
  for (const std::string& request : {post_head("/echo", 100) + "part", chunked_head("/echo") + "a\r\npart"}) {
    HttpClient client(server.port());
    ASSERT_TRUE(client.send(request));
    const auto reply = client.read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 408u);
    EXPECT_TRUE(client.closed_by_peer());
  }
  EXPECT_EQ(server.stats().timeouts_body.get(), 2u);
}

TEST(Limits, ABodyBelowTheLeastRateGets408ThoughItNeverStalls) {
  TestServerOptions options;
  options.limits.stall_timeout = 200ms;
  options.limits.body_rate_min_bytes_per_s = 1 << 20;
  TestServer server(options);
  HttpClient client(server.port(), 5ms);
  ASSERT_TRUE(client.send(post_head("/echo", 100'000)));
  // Bytes go on coming, each in far less than the stall time-out, until the server has had enough.
  std::optional<HttpReply> reply;
  for (int i = 0; i < 50'000 && !reply; ++i) {
    if (!client.send("x")) break;
    reply = client.read();
  }
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408u);
}

TEST(Limits, AnIdleConnectionIsClosedSilently) {
  TestServerOptions options;
  options.limits.idle_timeout = 50ms;
  TestServer server(options);
  HttpClient fresh(server.port());
  EXPECT_EQ(fresh.read_to_end(), "");
  HttpClient used(server.port());
  ASSERT_TRUE(used.send(get("/hello")));
  ASSERT_TRUE(used.read());
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_EQ(server.stats().timeouts_header.get(), 0u);
}

TEST(Limits, AClientThatDoesNotReadIsDropped) {
  TestServerOptions options;
  options.limits.stall_timeout = 1s;
  TestServer server(options);
  const std::string request = post("/echo", noise(20'000'000));
  HttpClient client(server.port());
  ASSERT_TRUE(client.send(request));
  EXPECT_TRUE(server.eventually([&] { return server.stats().timeouts_write.get() == 1; }));
  EXPECT_TRUE(server.eventually([&] { return server.pool().stats().leases == 0; }));
}

TEST(Limits, OverTheCapOnConnectionsIs503) {
  TestServerOptions options;
  options.limits.connections = 2;
  TestServer server(options);
  HttpClient first(server.port());
  auto second = std::make_unique<HttpClient>(server.port());
  ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 2; }));
  HttpClient third(server.port());
  const auto reply = third.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503u);
  EXPECT_NE(reply->field("retry-after"), "");
  EXPECT_TRUE(third.closed_by_peer());
  EXPECT_EQ(server.stats().connections_refused.get(), 1u);
  second.reset();
  ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 1; }));
  EXPECT_EQ(http_exchange(server.port(), get("/hello"))->status, 200u);
}

TestServerOptions tight_memory(std::chrono::milliseconds wait) {
  TestServerOptions options;
  options.pool = {.budget_bytes = 16 * 64 * 1024, .resident_bytes = 0};
  options.limits.memory_wait = wait;
  return options;
}

TEST(Limits, ABodyWaitsForMemoryAndThenGetsIt) {
  TestServer server(tight_memory(20s));
  HttpClient holder(server.port());
  ASSERT_TRUE(holder.send(post("/later", noise(700'000))));
  ASSERT_TRUE(server.wait_pending(1));
  HttpClient waiter(server.port());
  const std::string body = noise(600'000, 2);
  ASSERT_TRUE(waiter.send(post_head("/echo", body.size())));
  ASSERT_TRUE(server.eventually([&] { return server.stats().memory_waits.get() == 1; }));
  server.answer_pending("done");
  EXPECT_EQ(holder.read()->body, "done");
  ASSERT_TRUE(waiter.send(body));
  const auto reply = waiter.read();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->body == body);
}

TEST(Limits, ABodyThatWaitsTooLongForMemoryGets503) {
  TestServer server(tight_memory(50ms));
  HttpClient holder(server.port());
  ASSERT_TRUE(holder.send(post("/later", noise(700'000))));
  ASSERT_TRUE(server.wait_pending(1));
  HttpClient waiter(server.port());
  ASSERT_TRUE(waiter.send(post_head("/echo", 600'000, "Expect: 100-continue\r\n")));
  const auto reply = waiter.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503u) << "and no 100 Continue before it";
  EXPECT_EQ(reply->field("retry-after"), "1");
  EXPECT_TRUE(waiter.closed_by_peer());
  server.answer_pending("done");
  EXPECT_EQ(holder.read()->body, "done");
}

TEST(Limits, BodiesWaitInOrderAndWhatHasNoneDoesNotWaitForThem) {
  TestServer server(tight_memory(20s));
  HttpClient holder(server.port());
  ASSERT_TRUE(holder.send(post("/later", noise(700'000))));
  ASSERT_TRUE(server.wait_pending(1));
  HttpClient large(server.port());
  ASSERT_TRUE(large.send(post_head("/echo", 600'000)));
  ASSERT_TRUE(server.eventually([&] { return server.stats().memory_waits.get() == 1; }));
  HttpClient small(server.port());
  ASSERT_TRUE(small.send(post_head("/echo", 100'000)));
  ASSERT_TRUE(server.eventually([&] { return server.stats().memory_waits.get() == 2; })) << "it would fit";
  HttpClient bare(server.port());
  ASSERT_TRUE(bare.send(get("/hello")));
  EXPECT_EQ(bare.read()->body, "hello");
  server.answer_pending("done");
  ASSERT_TRUE(large.send(noise(600'000)));
  EXPECT_EQ(large.read()->status, 200u);
  ASSERT_TRUE(small.send(noise(100'000)));
  EXPECT_EQ(small.read()->status, 200u);
}

TEST(Drain, ClosesIdleConnectionsAndFinishesBusyOnes) {
  TestServer server;
  HttpClient idle(server.port());
  HttpClient busy(server.port());
  HttpClient uploading(server.port());
  ASSERT_TRUE(idle.send(get("/hello")));
  ASSERT_TRUE(idle.read());
  ASSERT_TRUE(busy.send(get("/later")));
  ASSERT_TRUE(uploading.send(post_head("/echo", 10) + "half "));
  ASSERT_TRUE(server.wait_pending(1));
  ASSERT_TRUE(server.eventually([&] { return server.handler().admitted.size() == 3; }));
  server.start_drain();
  EXPECT_TRUE(idle.closed_by_peer());
  ASSERT_TRUE(uploading.send("whole"));
  const auto echoed = uploading.read();
  EXPECT_EQ(echoed->body, "half whole");
  EXPECT_EQ(echoed->field("connection"), "close");
  server.answer_pending("finished");
  const auto reply = busy.read();
  EXPECT_EQ(reply->body, "finished");
  EXPECT_EQ(reply->field("connection"), "close");
  EXPECT_TRUE(server.wait_drained());
  EXPECT_EQ(server.stats().connections_open.get(), 0u);
}

TEST(Drain, OfAnEmptyServerIsImmediate) {
  TestServer server;
  server.start_drain();
  EXPECT_TRUE(server.wait_drained());
}

TEST(Drain, AbortEndsWhatTheGraceTimeDidNot) {
  TestServer server;
  HttpClient stuck(server.port());
  HttpClient half(server.port());
  ASSERT_TRUE(stuck.send(get("/later")));
  ASSERT_TRUE(half.send("GET /hel"));
  ASSERT_TRUE(server.wait_pending(1));
  ASSERT_TRUE(server.eventually([&] { return server.pool().stats().leases >= 1; }));
  server.start_drain();
  server.on_loop([&] { server.server().abort(); });
  EXPECT_TRUE(server.wait_drained());
  EXPECT_EQ(stuck.read_to_end(), "");
}

}  // namespace
}  // namespace histod::test
