// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http/client.hpp"
#include "tests/net/client_rig.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/scripted_server.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using End = ScriptedServer::Reply::End;
using Reply = ScriptedServer::Reply;

const std::string k_chunked_answer =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n...\r\n0\r\nX-T: 1\r\n\r\n";

TEST(ClientFaults, AnAnswerThatEndsAtAnyByteIsNone) {
  for (const std::string& answer : {"HTTP/1.1 100 Continue\r\n\r\n" + ok_answer("hello"), k_chunked_answer}) {
    for (const End end : {End::close, End::reset}) {
      ScriptedServer server(
          [&](const auto& request) { return Reply(answer.substr(0, static_cast<std::size_t>(request.number)), end); });
      ClientRig rig;
      for (std::size_t bytes = 0; bytes < answer.size(); ++bytes) {
        const Outcome out = rig.ask(to(server.port(), "GET", "/"));
        ASSERT_EQ(out.kind(), "closed") << bytes << " bytes: " << out.error.text;
        EXPECT_TRUE(out.error.sent);
      }
      EXPECT_EQ(rig.stats.retries.get(), 0u) << "no connection was reused";
      EXPECT_EQ(rig.stats.errors[static_cast<std::size_t>(net::http::PeerError::Kind::closed)].get(), answer.size());
      EXPECT_EQ(rig.stats.answers.get(), 0u);
    }
  }
}

TEST(ClientFaults, AWholeAnswerIsGoodWhateverFollows) {
  for (const std::string& answer : {ok_answer("hello..."), k_chunked_answer}) {
    for (const std::string& more : {std::string("x"), ok_answer("another"), noise(100'000)}) {
      ScriptedServer server([&](const auto&) { return Reply(answer + more, End::keep); });
      ClientRig rig;
      EXPECT_EQ(rig.ask(to(server.port(), "GET", "/")).body, "hello...");
      EXPECT_EQ(rig.ask(to(server.port(), "POST", "/")).body, "hello...") << "never the one behind";
      EXPECT_EQ(server.connections(), 2);
    }
  }
}

struct Hostile {
  const char* answer;
  const char* says;
};

TEST(ClientFaults, RefusesAnswersThatCouldBeReadInTwoWays) {
  const Hostile cases[] = {
      {"garbage that is no HTTP at all\r\n\r\n", "not HTTP"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "not HTTP"},
      {"HTTP/2 200 OK\r\n\r\n", "not HTTP"},
      {"HTTP/1.2 200 OK\r\n\r\n", "version"},
      {"HTTP/1.1\r\n\r\n", "three digits"},
      {"HTTP/1.1 200\r\n\r\n", "three digits"},
      {"HTTP/1.1 20 OK\r\n\r\n", "three digits"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "three digits"},
      {"HTTP/1.1  200 OK\r\n\r\n", "three digits"},
      {"HTTP/1.1 +20 OK\r\n\r\n", "three digits"},
      {"HTTP/1.1 099 OK\r\n\r\n", "100 to 599"},
      {"HTTP/1.1 600 OK\r\n\r\n", "100 to 599"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "another protocol"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "line feed"},
      {"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "carriage return"},
      {"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", "control"},
      {"HTTP/1.1 200 OK\r\nA b\r\n\r\n", "colon"},
      {"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "folded"},
      {"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", "name"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "more than one"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "decimal"},
      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "decimal"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n", "decimal"},
      {"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "decimal"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "range"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "more than one"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "neither"},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "has none"},
      {"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", "has none"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n", "chunks"},
  };
  for (const Hostile& one : cases) {
    ScriptedServer server([&](const auto&) { return Reply(one.answer, End::close); });
    ClientRig rig;
    const Outcome out = rig.ask(to(server.port(), "GET", "/"));
    EXPECT_EQ(out.kind(), "protocol") << one.answer << out.error.text;
    EXPECT_NE(out.error.text.find(one.says), std::string::npos) << one.answer << ": " << out.error.text;
    EXPECT_EQ(out.error.text.find("http://127.0.0.1:"), 0u);
    EXPECT_EQ(rig.stats.idle.get(), 0u);
  }
}

TEST(ClientFaults, BoundsWhatAPeerMaySend) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "X: 0123456789\r\n";
  const struct {
    std::string answer;
    std::size_t limit;
  } cases[] = {
      {head + fields + "\r\n", 100},
      {head + "X: " + std::string(200'000, 'x'), 16 * 1024},
      {chunked + chunks(noise(200'000), 3'000), 10'000},
      {head + "Content-Length: 10001\r\n\r\n" + noise(10'001), 10'000},
      {head + "Content-Length: 9223372036854775807\r\n\r\n", 10'000},
  };
  for (const auto& one : cases) {
    ScriptedServer server([&](const auto&) { return Reply(one.answer, End::keep); });
    ClientRig rig;
    auto request = to(server.port(), "GET", "/");
    request.response_bytes_max = 10'000;
    const Outcome out = rig.ask(std::move(request));
    EXPECT_EQ(out.kind(), "protocol") << out.error.text;
    EXPECT_GT(out.error.value, one.limit);
    EXPECT_EQ(out.error.limit, one.limit);
    EXPECT_NE(out.error.text.find(std::to_string(one.limit)), std::string::npos) << out.error.text;
    EXPECT_LE(rig.pool.stats().leased_bytes_max, 2 * net::BufferPool::k_granule_bytes);
  }
}

TEST(ClientFaults, EndsWhatWouldNeverEnd) {
  const auto endless = [](const std::string& bytes) {
    return [bytes](const auto&) {
      Reply reply(bytes, End::keep);
      reply.forever = true;
      return reply;
    };
  };
  ClientRig rig;
  for (const char* bytes : {"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y", "x"}) {
    ScriptedServer server(endless(bytes));
    EXPECT_EQ(rig.ask(to(server.port(), "GET", "/")).kind(), "protocol") << bytes;
  }
  for (const char* line : {"1;", "0\r\nX:", "1\r\nx\r\n"}) {
    ScriptedServer server([line](const auto& request) {
      Reply reply(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + line, End::keep);
      while (reply.bytes.size() < 1'000'000) reply.bytes += line[0] == '1' && line[1] == '\r' ? line : "xxxxxxxx";
      return request.number == 0 ? reply : Reply("");
    });
    auto request = to(server.port(), "GET", "/");
    request.response_bytes_max = 10'000;
    EXPECT_EQ(rig.ask(std::move(request)).kind(), "protocol") << line;
  }
}

TEST(ClientFaults, TakesNoMemoryThatIsNotThere) {
  const std::string body(1u << 20, 'x');
  TestServer server;
  ClientRig rig({}, 512u << 10);
  const Outcome out = rig.ask(to(server.port(), "POST", "/echo", body));
  EXPECT_EQ(out.kind(), "no_memory");
  EXPECT_GT(out.error.value, body.size());
  EXPECT_EQ(out.error.limit, 512u << 10);
  ScriptedServer chunked(
      [&](const auto&) { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body, 50'000); });
  EXPECT_EQ(rig.ask(to(chunked.port(), "GET", "/")).kind(), "no_memory");
  net::Lease all = rig.pool.lease(512u << 10);
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/hello")).kind(), "no_memory");
  all.reset();
  EXPECT_EQ(rig.ask(to(server.port(), "GET", "/hello")).status, 200u);
}

TEST(ClientFaults, CutsSlowPeers) {
  TestServer silent;
  ScriptedServer stops([](const auto&) { return Reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", End::keep); });
  ScriptedServer drips(
      [](const auto&) {
        Reply reply("HTTP/1.1 200 OK\r\nX: " + std::string(10'000, 'x'), End::keep);
        reply.pause = 5ms;
        return reply;
      },
      1);
  ClientRig rig;
  for (const std::uint16_t port : {silent.port(), stops.port()}) {
    auto request = to(port, "GET", "/later");
    request.deadlines.stall = 50ms;
    const Outcome out = rig.ask(std::move(request));
    EXPECT_EQ(out.kind(), "timed_out_stall") << out.error.text;
    EXPECT_EQ(out.error.limit, 50u);
  }
  auto request = to(drips.port(), "GET", "/");
  request.deadlines = {.connect = 10s, .stall = 10s, .whole = 200ms};
  const Outcome out = rig.ask(std::move(request));
  EXPECT_EQ(out.kind(), "timed_out_whole") << out.error.text;
  EXPECT_NE(out.error.text.find("200 ms"), std::string::npos) << out.error.text;
  EXPECT_EQ(rig.stats.retries.get(), 0u);
}

TEST(ClientFaults, CutsAPeerThatReadsNothing) {
  const std::string body = noise(32u << 20);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // the kernel accepts; nobody reads
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t bytes = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(fd, 5), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  ClientRig rig;
  auto request = to(ntohs(address.sin_port), "PUT", "/", body);
  request.deadlines.stall = 100ms;
  const Outcome out = rig.ask(std::move(request));
  EXPECT_EQ(out.kind(), "timed_out_stall") << out.error.text;
  EXPECT_TRUE(out.error.sent);
  ::close(fd);
}

TEST(ClientFaults, TellsWhyThereIsNoConnection) {
  ClientRig rig;
  std::uint16_t port = 0;
  {
    const ScriptedServer gone([](const auto&) { return ok_answer(""); });
    port = gone.port();
  }
  const Outcome out = rig.ask(to(port, "GET", "/"));
  EXPECT_EQ(out.kind(), "refused") << out.error.text;
  EXPECT_FALSE(out.error.sent);
  EXPECT_EQ(out.error.text.find("http://127.0.0.1:" + std::to_string(port)), 0u);

  // A queue of one that is full: the kernel drops what else knocks.
  const int full = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t bytes = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(full, generic, bytes), 0);
  ASSERT_EQ(::listen(full, 0), 0);
  ASSERT_EQ(::getsockname(full, generic, &bytes), 0);
  int knocking[3];
  for (int& fd : knocking) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)::connect(fd, generic, bytes);
  }
  auto request = to(ntohs(address.sin_port), "GET", "/");
  request.deadlines.connect = 100ms;
  const Outcome late = rig.ask(std::move(request));
  EXPECT_EQ(late.kind(), "timed_out_connect") << late.error.text;
  EXPECT_FALSE(late.error.sent);
  for (const int fd : knocking) ::close(fd);
  ::close(full);
}

TEST(ClientFaults, ReadsTheRefusalOfABodyThatIsNotWhole) {
  TestServerOptions options;
  TestServer server(options);
  server.handler().body_bytes_max = 1'000;
  const std::string body = noise(30u << 20);
  ClientRig rig;
  for (const char* path : {"/echo", "/nobody", "/denied"}) {
    const Outcome out = rig.ask(to(server.port(), "PUT", path, body));
    EXPECT_EQ(out.status, path == std::string("/denied") ? 401u : 413u) << path << ": " << out.error.text;
  }
  EXPECT_LT(rig.stats.sent_bytes.get(), 3 * body.size()) << "the rest was not sent";
  EXPECT_EQ(rig.stats.idle.get(), 0u);
}

/// Answers the first request, and ends its connection with the second. What comes on others is answered.
Reply drop_second(const ScriptedServer::Request& request, End end) {
  return request.number == 1 ? Reply("", end) : Reply(ok_answer("good"), End::keep);
}

TEST(ClientFaults, RetriesOnceOnAFreshConnectionWhatMayBeRetried) {
  for (const End end : {End::close, End::reset}) {
    for (const char* method : {"GET", "PUT", "DELETE", "HEAD", "POST", "PATCH", "OPTIONS"}) {
      for (const bool told : {false, true}) {
        ScriptedServer server([&](const auto& request) { return drop_second(request, end); });
        ClientRig rig;
        EXPECT_EQ(rig.ask(to(server.port(), "GET", "/")).status, 200u);
        auto request = to(server.port(), method, "/", "body");
        request.idempotent = told;
        const Outcome out = rig.ask(std::move(request));
        const bool retried = told || std::string_view("GET PUT DELETE HEAD").find(method) != std::string_view::npos;
        EXPECT_EQ(out.kind(), retried ? "answer" : "closed") << method << ": " << out.error.text;
        EXPECT_EQ(rig.stats.retries.get(), retried ? 1u : 0u);
        EXPECT_EQ(server.requests(), retried ? 3 : 2);
        EXPECT_EQ(server.connections(), retried ? 2 : 1);
      }
    }
  }
}

TEST(ClientFaults, NeverRetriesTwiceNorAfterAByteOfTheAnswer) {
  ScriptedServer always([](const auto& request) { return request.number == 0 ? Reply(ok_answer("")) : Reply(""); });
  ClientRig rig;
  EXPECT_EQ(rig.ask(to(always.port(), "GET", "/")).status, 200u);
  EXPECT_EQ(rig.ask(to(always.port(), "GET", "/")).kind(), "closed");
  EXPECT_EQ(always.requests(), 3);
  EXPECT_EQ(rig.ask(to(always.port(), "GET", "/")).kind(), "closed") << "a fresh connection from the start";
  EXPECT_EQ(always.requests(), 4);
  ScriptedServer one_byte(
      [](const auto& request) { return request.number == 0 ? Reply(ok_answer("")) : Reply("H", End::close); });
  EXPECT_EQ(rig.ask(to(one_byte.port(), "GET", "/")).status, 200u);
  EXPECT_EQ(rig.ask(to(one_byte.port(), "GET", "/")).kind(), "closed");
  EXPECT_EQ(one_byte.requests(), 2);
}

TEST(ClientFaults, CanBeCancelledAfterAnyTurnOfTheLoop) {
  TestServer server;
  const std::string body = noise(3'000'000);
  ScriptedServer slow([&](const auto&) { return "HTTP/1.1 100 Continue\r\n\r\n" + ok_answer(body); }, 100'000);
  for (const std::uint16_t port : {server.port(), slow.port()}) {
    bool answered = false;
    for (int turns = 0; !answered; ++turns) {
      for (const bool by_call : {true, false}) {
        ClientRig rig;
        std::optional<Outcome> out;
        auto request = to(port, "POST", "/echo", body);
        if (turns % 2 == 1) request.endpoint.host = "localhost";
        auto call = rig.begin(std::move(request), out);
        for (int i = 0; i < turns && !out; ++i) rig.turn();
        answered = out.has_value();
        if (by_call) {
          call.cancel();
          call.cancel();
        } else {
          rig.client.reset();
        }
        rig.wait(out);
        EXPECT_EQ(out->kind(), answered ? "answer" : "cancelled") << turns;
        call.cancel();
      }
      ASSERT_LT(turns, 2'000);
    }
  }
}

TEST(ClientFaults, CancelsWhatWaits) {
  TestServer server;
  ClientRig rig;
  std::optional<Outcome> one, two, idle;
  auto call = rig.begin(to(server.port(), "GET", "/later"), one);
  rig.begin(to(server.port(), "GET", "/later"), two);
  rig.begin(to(server.port(), "GET", "/hello"), idle);
  EXPECT_EQ(rig.wait(idle).status, 200u);
  while (rig.stats.sent_bytes.get() == 0) rig.turn();
  ASSERT_TRUE(server.wait_pending(2));
  call.cancel();
  EXPECT_EQ(rig.wait(one).kind(), "cancelled");
  EXPECT_TRUE(one->error.sent);
  EXPECT_EQ(one->leased_bytes, 0u) << "a request that waits for its answer holds no memory of the pool";
  EXPECT_FALSE(two);
  rig.client.reset();
  EXPECT_EQ(rig.wait(two).kind(), "cancelled");
  EXPECT_EQ(rig.stats.idle.get(), 0u);
}

}  // namespace
}  // namespace histod::test
