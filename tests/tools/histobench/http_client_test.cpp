// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/http_client.hpp"

#include <array>
#include <cstdio>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/scripted_server.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {
namespace {

using test::ok_answer;
using test::ScriptedServer;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(ReplyHead, IsReadWhenItIsWholeAndNotBefore) {
  const std::string head = "HTTP/1.1 201 Created\r\nServer: x\r\ncontent-LENGTH:  42\r\n\r\n";
  for (std::size_t i = 0; i < head.size(); ++i) EXPECT_EQ(parse_reply_head(head.substr(0, i)), std::nullopt) << i;
  const auto read = parse_reply_head(head + "body");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes, head.size());
  EXPECT_EQ(read->status, 201u);
  EXPECT_EQ(read->body_bytes, 42u);
  EXPECT_TRUE(read->keeps_alive);
}

TEST(ReplyHead, KnowsWhenTheConnectionEnds) {
  EXPECT_FALSE(parse_reply_head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n")->keeps_alive);
  EXPECT_FALSE(parse_reply_head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")->keeps_alive);
}

TEST(ReplyHead, KnowsWhenTheBodyComesInChunks) {
  const auto head = parse_reply_head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->body_bytes, std::nullopt);
}

TEST(ReplyHead, OfNoContentHasNone) {
  EXPECT_EQ(parse_reply_head("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")->body_bytes, 0u);
}

TEST(RequestHead, IsWhatAServerExpects) {
  EXPECT_EQ(request_head("POST", "/v1/equalize?rule=vips", "Bearer t", 12),
            "POST /v1/equalize?rule=vips HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer t\r\nContent-Length: "
            "12\r\n\r\n");
  EXPECT_EQ(request_head("GET", "/", "", 0), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
      << "no token, no field";
  EXPECT_THAT(request_head("POST", "/", "Bearer t", 2, "application/json"),
              testing::HasSubstr("\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"));
}

TEST(ReplyHead, RefusesWhatCannotBeFramed) {
  for (const char* head : {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "SSH-2.0-x\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP/1.\r\n\r\n",
                           "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"})
    EXPECT_THROW(parse_reply_head(head), Failure) << head;
  EXPECT_THROW(parse_reply_head(std::string(20'000, 'x')), Failure) << "it would read for ever";
}

TEST(HttpClient, SendsWhatItIsGivenOnOneConnection) {
  ScriptedServer server([](const ScriptedServer::Request& request) { return ok_answer(request.head + request.body); });
  HttpClient client(server.port(), "Bearer t");
  for (int i = 0; i < 3; ++i) {
    const Reply reply = client.post("/v1/echo?x=1", bytes_of("the body"));
    EXPECT_EQ(reply.status, 200u);
    EXPECT_THAT(std::string(reply.text()), HasSubstr("POST /v1/echo?x=1 HTTP/1.1\r\n"));
    EXPECT_THAT(std::string(reply.text()), HasSubstr("Authorization: Bearer t\r\n"));
    EXPECT_THAT(std::string(reply.text()), HasSubstr("\r\n\r\nthe body"));
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, CarriesBodiesLargerThanAnySocketBuffer) {
  ScriptedServer server([](const ScriptedServer::Request& request) { return ok_answer(request.body + "!"); });
  HttpClient client(server.port());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{70'000}, std::size_t{20'000'000}}) {
    std::string sent(size, 'a');
    for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<char>('a' + i % 23);
    const auto got = client.post_ok("/", bytes_of(sent));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(got.data()), got.size()), sent + "!") << size;
  }
}

TEST(HttpClient, TakesAnswersInPieces) {
  for (const std::size_t piece : {1u, 7u, 64u, 1000u}) {
    ScriptedServer server([](const ScriptedServer::Request& request) { return ok_answer(request.body); }, piece);
    HttpClient client(server.port());
    for (const std::size_t size : {0u, 1u, 300u, 5000u}) {
      const std::string sent(size, 'p');
      EXPECT_EQ(client.post("/", bytes_of(sent)).text(), sent) << piece << ' ' << size;
    }
    EXPECT_EQ(server.connections(), 1);
  }
}

TEST(HttpClient, JoinsAnswersThatComeInChunks) {
  const auto in_chunks = [](const ScriptedServer::Request& request) {
    std::string answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0, bytes = 1; at < request.body.size(); at += bytes, bytes = bytes * 3 + 1) {
      const std::string chunk = request.body.substr(at, bytes);
      std::array<char, 20> size{};
      std::snprintf(size.data(), size.size(), "%zX", chunk.size());
      answer += std::string(size.data()) + "\r\n" + chunk + "\r\n";
    }
    return answer + "0\r\nServer-Timing: total;dur=1\r\n\r\n";
  };
  for (const std::size_t piece : {1u, 7u, 4000u, 1u << 30}) {
    ScriptedServer server(in_chunks, piece);
    HttpClient client(server.port());
    for (const std::size_t size : {0u, 1u, 300u, 50'000u}) {
      std::string sent(size, 0);
      for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<char>('a' + i % 23);
      EXPECT_EQ(client.post("/", bytes_of(sent)).text(), sent) << piece << ' ' << size;
    }
    EXPECT_EQ(server.connections(), 1);
  }
}

TEST(HttpClient, RefusesChunksThatAreNone) {
  std::string answer;
  ScriptedServer server([&](const ScriptedServer::Request&) { return answer; });
  for (const char* body :
       {"x\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nmore", "fffffffffff\r\nabc", "3\r\nab"}) {
    answer = std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n") + body;
    HttpClient client(server.port());
    EXPECT_THROW(client.get("/"), Failure) << body;
  }
}

TEST(HttpClient, ASmallAnswerAfterALargeOneIsNotMixedWithIt) {
  ScriptedServer server([](const ScriptedServer::Request& request) { return ok_answer(request.body); });
  HttpClient client(server.port());
  const std::string large(3'000'000, 'l'), small = "small";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.post("/", bytes_of(large)).body.size(), large.size());
    EXPECT_EQ(client.post("/", bytes_of(small)).text(), small);
    EXPECT_EQ(client.get("/").text(), "");
  }
}

/// A server that does not read a body before it refuses it, and then closes: its word counts, not the broken pipe.
TEST(HttpClient, HearsARefusalThatComesBeforeItsBodyIsRead) {
  const Listening listening;
  std::thread server([&] {
    const int fd = ::accept(listening.fd, nullptr, nullptr);
    std::array<char, 1024> head{};
    EXPECT_GT(::recv(fd, head.data(), head.size(), 0), 0);
    const std::string refusal = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig!";
    EXPECT_EQ(::send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL), static_cast<ssize_t>(refusal.size()));
    ::shutdown(fd, SHUT_WR);
    std::vector<char> rest(1 << 20);
    while (::recv(fd, rest.data(), rest.size(), 0) > 0) {
    }
    ::close(fd);
  });
  {
    HttpClient client(listening.port);
    std::string body;
    body.assign(30'000'000, 'b');
    const Reply reply = client.post("/", bytes_of(body));
    EXPECT_EQ(reply.status, 413u);
    EXPECT_EQ(reply.text(), "big!");
  }
  server.join();
}

TEST(HttpClient, ConnectsAgainWhenTheServerHasClosed) {
  ScriptedServer server([](const ScriptedServer::Request&) {
    return std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
  });
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/").text(), "hi");
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpClient, SaysWhatWentWrong) {
  std::string answer;
  ScriptedServer server([&](const ScriptedServer::Request&) { return answer; });
  HttpClient client(server.port());
  const auto ask = [&] { client.post_ok("/x", bytes_of("body")); };
  answer = "HTTP/1.1 415 Unsupported\r\nContent-Length: 9\r\n\r\nno images";
  EXPECT_EQ(failure_of(ask), "POST /x answers 415: no images");
  answer = "";
  EXPECT_THAT(failure_of(ask), HasSubstr("closed the connection inside an answer"));
  answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nthree";
  EXPECT_THAT(failure_of(ask), HasSubstr("more than its Content-Length"));
  answer = ok_answer("fine");
  EXPECT_EQ(failure_of(ask), "no failure") << "after a failure the next request has a connection of its own";
}

TEST(HttpClient, ConnectsWhenItIsUsed) {
  const Listening free_port;
  EXPECT_NO_THROW(HttpClient client(free_port.port));
  std::uint16_t closed = 0;
  {
    closed = Listening().port;
  }
  HttpClient client(closed);
  EXPECT_THAT(failure_of([&] { client.get("/"); }), HasSubstr("cannot connect"));
}

}  // namespace
}  // namespace histod::bench
