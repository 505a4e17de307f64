// SPDX-License-Identifier: Apache-2.0
#include "net/http/client.hpp"

#include <chrono>
#include <cstring>

#include <gtest/gtest.h>

#include "net/registered.hpp"
#include "tests/net/client_rig.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/scripted_server.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using net::http::PeerRequest;

TEST(Client, AsksAndAnswersOnOneConnection) {
  TestServer server;
  ClientRig rig;
  for (const std::size_t bytes : {0u, 1u, 100u, 65'000u, 65'535u, 65'536u, 65'537u, 1'000'000u, 20'000'000u}) {
    const std::string body = noise(bytes);
    const Outcome out = rig.ask(to(server.port(), "POST", "/echo", body));
    ASSERT_EQ(out.status, 200u) << out.error.text;
    EXPECT_TRUE(out.body == body) << bytes << " bytes";
    EXPECT_TRUE(out.body_in_lease);
    EXPECT_EQ(out.fields.at("X-Path"), "/echo");
  }
  EXPECT_EQ(server.stats().connections_opened.get(), 1u);
  EXPECT_EQ(rig.stats.connections.get(), 1u);
  EXPECT_EQ(rig.stats.reused.get(), 8u);
  EXPECT_EQ(rig.stats.answers.get(), 9u);
  EXPECT_EQ(rig.stats.idle.get(), 1u);
  EXPECT_EQ(rig.stats.copied_bytes.get(), 0u) << "each answer grew in place";
}

TEST(Client, MovesAndCountsOnlyWhatCameFirstWhereAnAnswerCannotGrowInPlace) {
  TestServer server;
  ClientRig rig;
  const std::string body = noise(300'000);
  std::optional<Outcome> first;
  net::Lease behind;
  rig.begin(to(server.port(), "POST", "/echo", body), first);
  while (!first && rig.turn()) {
    // As soon as the header section has its granule, the one behind it is taken.
    if (rig.pool.stats().leases == 1 && !behind) behind = rig.pool.lease(1);
  }
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->body == body);
  EXPECT_EQ(first->fields.at("X-Path"), "/echo") << "the fields moved along";
  EXPECT_GT(rig.stats.copied_bytes.get(), 0u);
  EXPECT_LE(rig.stats.copied_bytes.get(), net::BufferPool::k_granule_bytes);
}

TEST(Client, ReadsIntoRegisteredMemory) {
  TestServer server;
  ClientRig rig;
  auto registration = net::register_pool(rig.io, rig.pool);
  if (!registration) GTEST_SKIP() << "no registered buffers here: " << registration.error().message();
  rig.client.reset();
  rig.client.emplace(rig.io, rig.pool, net::http::ClientOptions{.tls = nullptr, .registration = registration->get()},
                     rig.stats);
  const std::string body = noise(8'000'000);  // the pool's resident part is half as long
  EXPECT_TRUE(rig.ask(to(server.port(), "POST", "/echo", body)).body == body);
  rig.client.reset();
  registration->reset();
}

TEST(Client, HasManyRequestsInFlight) {
  TestServer server;
  ClientRig rig({.tls = nullptr, .idle_per_endpoint = 3});
  std::vector<std::string> bodies;
  std::vector<std::optional<Outcome>> outcomes(20);
  for (std::size_t i = 0; i < outcomes.size(); ++i) bodies.push_back(noise(10'000 * i, static_cast<std::uint32_t>(i)));
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    rig.begin(to(server.port(), "POST", "/echo", bodies[i]), outcomes[i]);
  EXPECT_EQ(rig.stats.in_flight.get(), 20u);
  for (std::size_t i = 0; i < outcomes.size(); ++i) EXPECT_TRUE(rig.wait(outcomes[i]).body == bodies[i]) << i;
  EXPECT_EQ(rig.stats.connections.get(), 20u);
  EXPECT_EQ(rig.stats.idle.get(), 3u) << "no more are kept for one endpoint";
  EXPECT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 3; }));
}

TEST(Client, KeepsNoMoreConnectionsThanItMay) {
  TestServer one, two, three;
  ClientRig rig({.tls = nullptr, .idle_total = 2});
  for (TestServer* server : {&one, &two, &three}) EXPECT_EQ(rig.ask(to(server->port(), "GET", "/hello")).status, 200u);
  EXPECT_EQ(rig.stats.idle.get(), 2u);
  EXPECT_TRUE(one.eventually([&] { return one.stats().connections_open.get() == 0; })) << "it waited longest";
  EXPECT_EQ(rig.ask(to(three.port(), "GET", "/hello")).status, 200u);
  EXPECT_EQ(rig.stats.reused.get(), 1u);
  rig.client->close_idle();
  EXPECT_EQ(rig.stats.idle.get(), 0u);
}

TEST(Client, ClosesConnectionsThatWaitForTooLong) {
  TestServer server;
  ClientRig rig({.tls = nullptr, .idle_timeout = 30ms});
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/hello")).status, 200u);
  EXPECT_EQ(rig.stats.idle.get(), 1u);
  while (rig.stats.idle.get() > 0 && rig.turn()) {
  }
  EXPECT_EQ(rig.stats.idle.get(), 0u);
  EXPECT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 0; }));
}

TEST(Client, DoesNotUseAConnectionThatTheServerHasClosed) {
  TestServerOptions options;
  options.limits.idle_timeout = 20ms;
  TestServer server(options);
  ClientRig rig;
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/hello")).status, 200u);
  ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 0; }));
  EXPECT_EQ(rig.ask(to(server.port(), "POST", "/echo", "not idempotent")).body, "not idempotent");
  EXPECT_EQ(rig.stats.reused.get(), 0u);
  EXPECT_EQ(rig.stats.connections.get(), 2u);
}

TEST(Client, ClosesAfterAnAnswerThatSaysSo) {
  TestServer server;
  ClientRig rig;
  auto request = to(server.port(), "GET", "/hello");
  request.fields.emplace_back("X-Close", "yes");
  EXPECT_EQ(rig.ask(std::move(request)).status, 200u);
  EXPECT_EQ(rig.stats.idle.get(), 0u);
}

TEST(Client, GivesEveryStatusAsItIs) {
  TestServer server;
  ClientRig rig;
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/empty")).status, 204u);
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/nothing-here")).status, 404u);
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/denied")).status, 401u);
  const Outcome head = rig.ask(to(server.port(), "HEAD", "/hello"));
  EXPECT_EQ(head.status, 200u);
  EXPECT_EQ(head.fields.at("Content-Length"), "5");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(rig.stats.connections.get(), 1u);
  ScriptedServer moved([](const auto&) {
    return std::string("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  });
  EXPECT_EQ(rig.ask(to(moved.port(), "GET", "/")).status, 307u) << "nobody is followed";
}

TEST(Client, JoinsChunks) {
  TestServer server;
  GrowingBody& body = server.handler().growing;
  body.text = noise(700'000);
  body.ready_bytes = body.text.size();
  body.known_from_start = false;
  server.on_loop([&] { body.known = true; });
  ClientRig rig;
  const Outcome known = rig.ask(to(server.port(), "GET", "/streamed"));
  EXPECT_TRUE(known.body == body.text);
  for (const std::size_t piece : {1u, 7u, 4'000u}) {
    const std::string text = noise(piece * 300, 9);
    ScriptedServer chunked(
        [&](const auto&) { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(text, piece); },
        piece == 1 ? 1 : 1u << 20);
    EXPECT_TRUE(rig.ask(to(chunked.port(), "GET", "/")).body == text) << piece;
    EXPECT_TRUE(rig.ask(to(chunked.port(), "GET", "/")).body == text) << piece;
    EXPECT_EQ(chunked.connections(), 1);
  }
}

TEST(Client, SkipsInterimAnswers) {
  ScriptedServer server([](const auto&) {
    return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + ok_answer("final");
  });
  ClientRig rig;
  const Outcome out = rig.ask(to(server.port(), "GET", "/"));
  EXPECT_EQ(out.body, "final");
  EXPECT_EQ(out.fields.count("Link"), 0u);
}

TEST(Client, SendsWhatItIsTold) {
  ScriptedServer server([](const auto& request) { return ok_answer(request.head + "|" + request.body); });
  ClientRig rig;
  auto request = to(server.port(), "PUT", "/a?b=c", "12345");
  request.fields = {{"Authorization", "Bearer t"}, {"X-Empty", ""}};
  const std::string host = "Host: 127.0.0.1:" + std::to_string(server.port()) + "\r\n";
  EXPECT_EQ(
      rig.ask(std::move(request)).body,
      "PUT /a?b=c HTTP/1.1\r\n" + host + "Content-Length: 5\r\nAuthorization: Bearer t\r\nX-Empty: \r\n\r\n|12345");
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/")).body, "GET / HTTP/1.1\r\n" + host + "\r\n|");
  EXPECT_EQ(rig.ask(to(server.port(), "POST", "/")).body, "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n|");
}

TEST(Client, SendsNothingThatWouldBeTwoRequests) {
  ScriptedServer server([](const auto&) { return ok_answer("never"); });
  ClientRig rig;
  const auto refused = [&](auto change) {
    auto request = to(server.port(), "GET", "/");
    change(request);
    const Outcome out = rig.ask(std::move(request));
    EXPECT_FALSE(out.error.sent);
    return out.kind();
  };
  for (const char* target : {"", "a", "/a b", "/a\r\nX: y", "/\x7f", "/\xc3\xa4", "http://a/"})
    EXPECT_EQ(refused([&](PeerRequest& request) { request.target = target; }), "protocol") << target;
  for (const char* method : {"", "GE T", "GET\r\n", "GET /x HTTP/1.1"})
    EXPECT_EQ(refused([&](PeerRequest& request) { request.method = method; }), "protocol") << method;
  for (const char* name : {"", "a b", "a:", "Host", "content-length", "Transfer-Encoding", "CONNECTION", "expect"})
    EXPECT_EQ(refused([&](PeerRequest& request) { request.fields = {{name, "1"}}; }), "protocol") << name;
  for (const char* value : {"a\r\nX: y", "a\nb", "\x01"})
    EXPECT_EQ(refused([&](PeerRequest& request) { request.fields = {{"X", value}}; }), "protocol") << value;
  EXPECT_EQ(server.connections(), 0);
}

TEST(Client, KeepsTheLeaseOfABodyUntilItIsSent) {
  TestServer server;
  ClientRig rig;
  const std::string body = noise(500'000);
  PeerRequest request = to(server.port(), "POST", "/echo");
  request.lease = rig.pool.lease(body.size());
  std::memcpy(request.lease.data(), body.data(), body.size());
  request.body = request.lease.bytes().first(body.size());
  const Outcome out = rig.ask(std::move(request));
  EXPECT_TRUE(out.body == body);
  EXPECT_LT(out.leased_bytes, 2 * body.size()) << "it is home before the reply";
}

TEST(Client, ResolvesNamesAndTriesEveryAddress) {
  TestServer server;
  ClientRig rig;
  auto request = to(server.port(), "GET", "/hello");
  request.endpoint.host = "localhost";  // often ::1 first, where nobody listens
  const Outcome out = rig.ask(std::move(request));
  EXPECT_EQ(out.status, 200u) << out.error.text;
  request = to(server.port(), "GET", "/hello");
  request.endpoint.host = "localhost";
  EXPECT_EQ(rig.ask(std::move(request)).status, 200u);
  EXPECT_EQ(rig.stats.reused.get(), 1u);
  request = to(server.port(), "GET", "/hello");
  request.endpoint.host = std::string(70, 'a');
  const Outcome unknown = rig.ask(std::move(request));
  EXPECT_EQ(unknown.kind(), "resolve") << unknown.error.text;
  EXPECT_FALSE(unknown.error.sent);
}

TEST(Client, AReplyMayAskAgainOrEndTheClient) {
  TestServer server;
  ClientRig rig;
  int replies = 0;
  rig.client->request(to(server.port(), "GET", "/hello"), [&](auto first) {
    EXPECT_TRUE(first);
    ++replies;
    rig.client->request(to(server.port(), "GET", "/hello"), [&](auto second) {
      EXPECT_TRUE(second);
      ++replies;
      rig.client.reset();
    });
  });
  while (replies < 2 && rig.turn()) {
  }
  EXPECT_EQ(replies, 2);
  EXPECT_EQ(rig.stats.reused.get(), 1u) << "the connection is free before the reply";
}

}  // namespace
}  // namespace histod::test
