// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/load.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scripted_server.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/measure.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {
namespace {

using test::ok_answer;
using test::ScriptedServer;
using testing::Each;
using testing::Gt;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class LoadTest : public testing::Test {
 protected:
  Load load_on(const ScriptedServer& server, unsigned connections = 4) const {
    return {.port = server.port(),
            .target = "/v1/echo",
            .authorization = "Bearer t",
            .body = std::as_bytes(std::span(body)),
            .expected = std::as_bytes(std::span(body)),
            .connections = connections};
  }
  std::string body = std::string(65'551, 'b');
};

ScriptedServer::Answer echo() {
  return [](const ScriptedServer::Request& request) { return ok_answer(request.body); };
}

/// Nothing of the test's holds the server up; it does so itself, for a while that is measured and not assumed.
class Stall {
 public:
  void pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    const auto started = std::chrono::steady_clock::now();
    never_.wait_for(lock, time, [] { return false; });
    took_ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
  }
  double took_ms() {
    const std::lock_guard lock(mutex_);
    return took_ms_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable never_;
  double took_ms_ = 0;
};

TEST_F(LoadTest, ClosedLoopKeepsEveryConnectionBusy) {
  std::mutex mutex;
  std::set<int> seen;
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    const std::lock_guard lock(mutex);
    seen.insert(request.connection);
    return ok_answer(request.body);
  });
  const LoadResult result = closed_loop(load_on(server, 7), 0.2);
  EXPECT_EQ(result.wrong, "");
  EXPECT_EQ(server.connections(), 7);
  EXPECT_THAT(seen, SizeIs(7));
  EXPECT_THAT(result.latencies_ms, SizeIs(server.requests())) << "every request has its answer, and its latency";
  EXPECT_THAT(result.latencies_ms, Each(Gt(0)));
  EXPECT_GT(result.per_second, 0);
  EXPECT_LE(result.per_second * 0.2, static_cast<double>(server.requests()) + 1);
}

TEST_F(LoadTest, OpenLoopSendsAsManyAsItWasAskedTo) {
  ScriptedServer server(echo());
  const LoadResult result = open_loop(load_on(server), 500, 0.3);
  EXPECT_EQ(result.wrong, "");
  EXPECT_EQ(server.requests(), 150);
  EXPECT_THAT(result.latencies_ms, SizeIs(150));
}

/// The mistake that a closed loop makes: while the server stalls nothing is sent, and so nothing is found slow. Here
/// one request of 200 is held up; those that were due meanwhile wait as well, and are all charged for it.
TEST_F(LoadTest, AStallIsChargedToAllThatWereDueMeanwhile) {
  Stall stall;
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    if (request.number == 50) stall.pause(std::chrono::milliseconds(200));
    return ok_answer(request.body);
  });
  const LoadResult open = open_loop(load_on(server, 1), 400, 0.5);
  ASSERT_THAT(open.latencies_ms, SizeIs(200));
  const double stalled_ms = stall.took_ms();
  const auto late = std::ranges::count_if(open.latencies_ms, [&](double ms) { return ms > stalled_ms / 2; });
  // One is due every 2.5 ms: some 40 of them when less than half of the stall is over.
  EXPECT_GE(late, static_cast<long>(stalled_ms / 2 / 2.5) - 2);
  EXPECT_GE(quantile(open.latencies_ms, 0.999), 0.8 * stalled_ms);
  EXPECT_GE(quantile(open.latencies_ms, 0.9), stalled_ms / 4) << "a tenth of all requests felt it";
}

TEST_F(LoadTest, ARequestWaitsInLineFromWhenItWasDue) {
  Stall stall;
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    stall.pause(std::chrono::milliseconds(10));
    return ok_answer(request.body);
  });
  // Four times what one connection can do: the line grows, and the last ones wait longest.
  const LoadResult result = open_loop(load_on(server, 1), 400, 0.1);
  ASSERT_THAT(result.latencies_ms, SizeIs(40));
  // The last was due 98 ms after the first, and had 39 before it that took 10 ms each.
  EXPECT_GE(result.latencies_ms.back() - result.latencies_ms.front(), 39 * 10 - 98 - 5);
  EXPECT_LT(result.per_second, 400) << "answers after the time that was asked for are not counted";
}

TEST_F(LoadTest, AnswersInPiecesAndLargeOnesAreWhole) {
  for (const std::size_t size : {0u, 1u, 3'000'000u}) {
    body.assign(size, 'l');
    ScriptedServer server(echo(), 100'000);
    const LoadResult result = closed_loop(load_on(server, 3), 0.05);
    EXPECT_EQ(result.wrong, "") << size;
    EXPECT_THAT(result.latencies_ms, Not(IsEmpty()));
  }
}

TEST_F(LoadTest, WrongAnswersAreSeen) {
  std::string answer;
  ScriptedServer server([&](const ScriptedServer::Request&) { return answer; });
  const auto wrong = [&] { return closed_loop(load_on(server, 1), 0.02).wrong; };
  answer = ok_answer(body);
  EXPECT_EQ(wrong(), "");
  answer = ok_answer(body + "x");
  EXPECT_EQ(wrong(), "an answer has 65552 bytes, not 65551");
  answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(wrong(), "an answer has status 503");
  answer = ok_answer(body);
  answer.back() = 'x';
  EXPECT_EQ(wrong(), "the bytes of an answer differ");
}

TEST_F(LoadTest, OneWrongAnswerInTheMiddleIsEnough) {
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    return request.number == 20 ? std::string("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n") : ok_answer(request.body);
  });
  EXPECT_EQ(open_loop(load_on(server), 1000, 0.05).wrong, "an answer has status 500");
}

TEST_F(LoadTest, NobodyListening) {
  std::uint16_t closed = 0;
  {
    closed = Listening().port;
  }
  Load load{.port = closed, .target = "/", .authorization = "", .body = {}, .expected = {}};
  EXPECT_THROW(closed_loop(load, 0.1), Failure);
  EXPECT_THROW(open_loop(load, 10, 0.1), Failure);
}

/// A server that works on one request at a time: connections that wait are charged for the wait, and all get a turn.
TEST_F(LoadTest, ConnectionsTakeTurnsAtASlowServer) {
  std::mutex one_at_a_time;
  Stall stall;
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    const std::lock_guard lock(one_at_a_time);
    stall.pause(std::chrono::milliseconds(2));
    return ok_answer(request.body);
  });
  body = "small";
  const LoadResult result = closed_loop(load_on(server, 8), 0.2);
  EXPECT_EQ(result.wrong, "");
  EXPECT_LT(result.per_second, 600) << "no more than one in two milliseconds";
  // Little's law: eight in line at a server that takes two milliseconds wait for sixteen.
  const double sum = std::accumulate(result.latencies_ms.begin(), result.latencies_ms.end(), 0.0);
  EXPECT_GE(sum / static_cast<double>(result.latencies_ms.size()), 12);
}

TEST_F(LoadTest, LatencyIsAtLeastTheServersOwn) {
  Stall stall;
  ScriptedServer server([&](const ScriptedServer::Request& request) {
    stall.pause(std::chrono::milliseconds(3));
    return ok_answer(request.body);
  });
  body = "small";
  const LoadResult result = open_loop(load_on(server, 4), 40, 0.5);
  ASSERT_THAT(result.latencies_ms, SizeIs(20));
  EXPECT_THAT(result.latencies_ms, Each(testing::Ge(3)));
}

TEST_F(LoadTest, AServerThatClosesOrTalksTooMuchIsAFailure) {
  std::string answer;
  ScriptedServer server([&](const ScriptedServer::Request&) { return answer; });
  EXPECT_THROW(closed_loop(load_on(server), 0.1), Failure);
  answer = ok_answer(body) + "and more";
  EXPECT_THROW(closed_loop(load_on(server, 1), 0.1), Failure);
  answer = "no HTTP at all\r\n\r\n";
  EXPECT_THROW(open_loop(load_on(server, 1), 10, 0.1), Failure);
}

}  // namespace
}  // namespace histod::bench
