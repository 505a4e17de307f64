// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/poller.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scripted_server.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {
namespace {

using test::ok_answer;
using test::ScriptedServer;
using testing::ElementsAre;

class AskLineTest : public testing::Test {
 protected:
  static std::string request(const std::string& body) { return request_head("POST", "/", "", body.size()) + body; }
  AskLine::Answered keep() {
    return
        [this](unsigned status, std::string_view body) { answers.emplace_back(std::to_string(status).append(body)); };
  }
  void serve_all(const AskLine& line) {
    while (line.waiting() > 0) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
  }
  Poller poller;
  std::vector<std::string> answers;
};

ScriptedServer::Answer body_back() {
  return [](const ScriptedServer::Request& request) { return ok_answer(request.body); };
}

TEST_F(AskLineTest, AsksInTurnOnOneConnection) {
  const ScriptedServer server(body_back(), 7);
  AskLine line(poller, server.port());
  for (const char* body : {"a", "bb", ""}) line.ask(request(body), keep());
  EXPECT_EQ(line.waiting(), 3u);
  EXPECT_THAT(answers, testing::IsEmpty()) << "they come while the poller serves";
  serve_all(line);
  EXPECT_THAT(answers, ElementsAre("200a", "200bb", "200"));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(AskLineTest, ALargeRequestGoesInPieces) {
  const ScriptedServer server(body_back());
  AskLine line(poller, server.port());
  const std::string large(20u << 20, 'x');
  line.ask(request(large), keep());
  serve_all(line);
  EXPECT_EQ(answers.at(0).size(), large.size() + 3);
}

TEST_F(AskLineTest, AnAnswerMayAskTheNext) {
  const ScriptedServer server(body_back());
  AskLine line(poller, server.port());
  line.ask(request("first"), [&](unsigned, std::string_view) { line.ask(request("second"), keep()); });
  serve_all(line);
  EXPECT_THAT(answers, ElementsAre("200second"));
}

TEST_F(AskLineTest, ConnectsAgainWhenTheServerClosedMeanwhile) {
  const ScriptedServer server([](const ScriptedServer::Request& request) {
    return ScriptedServer::Reply(ok_answer(request.body), ScriptedServer::Reply::End::close);
  });
  AskLine line(poller, server.port());
  line.ask(request("1"), keep());
  serve_all(line);
  // The end of the connection is told by the poller, as everything is.
  poller.serve(Poller::Clock::now() + std::chrono::seconds(20));
  line.ask(request("2"), keep());
  serve_all(line);
  EXPECT_THAT(answers, ElementsAre("2001", "2002"));
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(AskLineTest, WhatCannotBeAnsweredIsAFailure) {
  std::uint16_t nobody = 0;
  {
    const Listening closed;
    nobody = closed.port;
  }
  const ScriptedServer silent([](const auto&) { return std::string(); });
  const ScriptedServer chunks(
      [](const auto&) { return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); });
  const ScriptedServer twice([](const auto&) { return ok_answer("x") + ok_answer("y"); });
  for (const std::uint16_t port : {nobody, silent.port(), chunks.port(), twice.port()}) {
    AskLine line(poller, port);
    const auto ask = [&] {
      line.ask(request("q"), keep());
      for (int i = 0; i < 100; ++i) poller.serve(Poller::Clock::now() + std::chrono::milliseconds(200));
    };
    EXPECT_THROW(ask(), Failure) << port;
  }
}

TEST(PollerTest, WaitsNoLongerThanItIsTold) {
  Poller poller;
  const auto until = Poller::Clock::now() + std::chrono::milliseconds(5);
  poller.serve(until);
  EXPECT_GE(Poller::Clock::now(), until);
  poller.serve(Poller::Clock::time_point{});
}

}  // namespace
}  // namespace histod::bench
