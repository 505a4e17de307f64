// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/feed_client.hpp"

#include <mutex>
#include <regex>
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

using test::ScriptedServer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string text_frame(const std::string& text) { return std::string("\x81") + static_cast<char>(text.size()) + text; }

const std::string k_hello = text_frame(R"({"hello":{}})");

std::string accepted(const ScriptedServer::Request& request) {
  std::smatch key;
  const std::regex field("Sec-WebSocket-Key: (\\S+)");
  if (!std::regex_search(request.head, key, field)) return "";
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " +
         websocket_accept(key.str(1)) + "\r\n\r\n";
}

class FeedReadersTest : public testing::Test {
 protected:
  FeedReaders::Group group() {
    return {.name = "some", .target = "/v1/events?type=x", .told = [this](std::size_t reader, std::string_view text) {
              told.push_back(std::to_string(reader).append(text));
            }};
  }
  /// What is said of a server that sends that behind its handshake.
  std::string wrong_with(const std::string& frames) {
    const ScriptedServer server([&](const ScriptedServer::Request& request) {
      return ScriptedServer::Reply(accepted(request) + frames, ScriptedServer::Reply::End::close);
    });
    FeedReaders readers(poller, server.port(), "Bearer t");
    try {
      readers.open(group(), 1);
    } catch (const Failure& failure) {
      return failure.what();
    }
    while (readers.wrong().empty()) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
    return readers.wrong();
  }
  Poller poller;
  std::vector<std::string> told;
};

TEST_F(FeedReadersTest, AreOpenWhenTheyHadTheirHello) {
  std::mutex mutex;
  std::vector<std::string> heads;
  const ScriptedServer server(
      [&](const ScriptedServer::Request& request) {
        const std::lock_guard lock(mutex);
        heads.push_back(request.head);
        return accepted(request) + k_hello;
      },
      5);
  FeedReaders readers(poller, server.port(), "Bearer t");
  readers.open(group(), 100);
  EXPECT_EQ(server.connections(), 100);
  EXPECT_EQ(readers.wrong(), "");
  EXPECT_THAT(told, IsEmpty()) << "the hello is for us";
  for (const std::string& head : heads) {
    EXPECT_TRUE(head.starts_with("GET /v1/events?type=x HTTP/1.1\r\n")) << head;
    EXPECT_THAT(head, HasSubstr("\r\nAuthorization: Bearer t\r\n"));
  }
}

TEST_F(FeedReadersTest, TellWhatTheyAreToldAndAnswerPings) {
  const ScriptedServer server([](const ScriptedServer::Request& request) {
    return accepted(request) + k_hello + text_frame("[1]") + std::string("\x89\x01p", 3) + text_frame("[2]");
  });
  FeedReaders readers(poller, server.port(), "Bearer t");
  readers.open(group(), 1);
  while (told.size() < 2) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
  EXPECT_THAT(told, ElementsAre("0[1]", "0[2]"));
  EXPECT_EQ(readers.pings(), 1u);
  EXPECT_EQ(readers.wrong(), "");
}

TEST_F(FeedReadersTest, DeafOnesAreToldNothing) {
  const ScriptedServer server(
      [](const ScriptedServer::Request& request) { return accepted(request) + k_hello + text_frame("[1]"); });
  FeedReaders readers(poller, server.port(), "Bearer t");
  FeedReaders::Group deaf = group(), hearing = group();
  deaf.deaf = true;
  deaf.receive_buffer_bytes = 4096;
  readers.open(std::move(deaf), 1);
  readers.open(std::move(hearing), 1);
  while (told.empty()) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
  EXPECT_THAT(told, ElementsAre("0[1]"));
}

TEST_F(FeedReadersTest, WhatEndsThemIsNamed) {
  EXPECT_THAT(wrong_with(k_hello + std::string("\x88\x06\x03\xf5slow", 8)), HasSubstr("closed with 1013: slow"));
  EXPECT_THAT(wrong_with(k_hello + std::string("\x88\x00", 2)), HasSubstr("some reader 0: it was closed"));
  EXPECT_THAT(wrong_with(k_hello), HasSubstr("the server closed the connection"));
  EXPECT_THAT(wrong_with(k_hello + std::string("\x82\x01x", 3)), HasSubstr("something else than text"));
  EXPECT_THAT(wrong_with(k_hello + std::string("\x81\x81", 2)), HasSubstr("masks"));
  EXPECT_THAT(wrong_with(text_frame("[1]")), HasSubstr("no hello"));
  EXPECT_THAT(wrong_with(""), HasSubstr("the server closed the connection"));
}

TEST_F(FeedReadersTest, AnotherAnswerThanAWebSocketIsAFailure) {
  const ScriptedServer refusing(
      [](const auto&) { return std::string("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"); });
  const ScriptedServer guessing([](const ScriptedServer::Request&) {
    return "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + websocket_accept("another key") + "\r\n\r\n" +
           k_hello;
  });
  FeedReaders refused(poller, refusing.port(), "Bearer t"), fooled(poller, guessing.port(), "Bearer t");
  EXPECT_THROW(refused.open(group(), 3), Failure);
  EXPECT_THAT(refused.wrong(), HasSubstr("403 Forbidden"));
  EXPECT_THROW(fooled.open(group(), 1), Failure);
  EXPECT_THAT(fooled.wrong(), HasSubstr("not the key's"));
}

/// One connection by hand: the hello and a ping, and then what the client sends, frame by frame.
class HandServer {
 public:
  std::uint16_t port() const { return listening_.port; }
  /// When the client has said goodbye.
  std::string received() {
    thread_.join();
    return received_;
  }

 private:
  void serve() {
    const int fd = ::accept(listening_.fd, nullptr, nullptr);
    ScriptedServer::Request request;
    while (!request.head.ends_with("\r\n\r\n")) request.head += some(fd, 1);
    const std::string answer = accepted(request) + k_hello + std::string("\x89\x01p", 3);
    EXPECT_EQ(::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
    received_ = some(fd, 7);
    received_ += some(fd, 8);
    ::close(fd);
  }
  static std::string some(int fd, std::size_t bytes) {
    std::string out(bytes, '\0');
    EXPECT_EQ(::recv(fd, out.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
    return out;
  }
  Listening listening_;
  std::string received_;
  std::jthread thread_{[this] { serve(); }};
};

TEST_F(FeedReadersTest, SendAMaskedPongAndAMaskedGoodbye) {
  HandServer server;
  FeedReaders readers(poller, server.port(), "Bearer t");
  readers.open(group(), 1);
  while (readers.pings() == 0) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
  readers.close();
  EXPECT_EQ(readers.wrong(), "") << "an end that we asked for";
  const std::string sent = server.received();
  ASSERT_EQ(sent.size(), 15u);
  const auto unmasked = [&](std::size_t at, std::size_t i) {
    return static_cast<unsigned char>(sent[at + 6 + i] ^ sent[at + 2 + i]);
  };
  EXPECT_EQ(sent.substr(0, 2), "\x8a\x81");
  EXPECT_EQ(unmasked(0, 0), 'p');
  EXPECT_EQ(sent.substr(7, 2), "\x88\x82");
  EXPECT_EQ(unmasked(7, 0) * 256 + unmasked(7, 1), 1000);
}

}  // namespace
}  // namespace histod::bench
