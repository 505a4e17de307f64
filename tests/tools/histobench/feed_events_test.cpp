// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/feed_events.hpp"

#include <mutex>
#include <set>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scripted_server.hpp"

namespace histod::bench {
namespace {

using test::ScriptedServer;
using testing::Each;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A server that accepts whatever is posted, and keeps it.
class Accepting {
 public:
  std::vector<boost::json::value> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::string head() {
    const std::lock_guard lock(mutex_);
    return head_;
  }
  std::uint16_t port() const { return server_.port(); }

 private:
  std::string take(const ScriptedServer::Request& request) {
    const std::lock_guard lock(mutex_);
    head_ = request.head;
    const auto batch = boost::json::parse(request.body).as_array();
    events_.insert(events_.end(), batch.begin(), batch.end());
    const std::string body = "{\"accepted\":" + std::to_string(batch.size()) + ",\"duplicates\":0}";
    return "HTTP/1.1 202 Accepted\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::mutex mutex_;
  std::vector<boost::json::value> events_;
  std::string head_;
  ScriptedServer server_{[this](const ScriptedServer::Request& request) { return take(request); }};
};

/// Posts until there are that many, and waits for the answers.
void post(Poller& poller, EventSource& source, double per_second, std::uint64_t events) {
  source.start(per_second);
  while (source.posted() < events && source.wrong().empty()) {
    source.go_on();
    poller.serve(source.due());
  }
  source.stop();
  while (source.unanswered() > 0) poller.serve(Poller::Clock::now() + std::chrono::seconds(1));
}

TEST(EventSourceTest, PostsBatchesOfCloudEvents) {
  Accepting server;
  Poller poller;
  EventSource source(poller, {server.port(), "Bearer t", "bench.test", 100});
  EXPECT_EQ(source.due(), Poller::Clock::time_point::max());
  post(poller, source, 1000, 20);
  EXPECT_EQ(source.wrong(), "");
  const auto events = server.events();
  ASSERT_THAT(events, SizeIs(source.posted()));
  std::set<std::string> ids;
  std::int64_t due_ns = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("specversion"), "1.0");
    EXPECT_EQ(events[i].at("type"), "bench.test");
    EXPECT_EQ(events[i].at("data").at("number").to_number<std::uint64_t>(), i);
    EXPECT_EQ(events[i].at("data").at("filler").as_string().size(), 100u);
    ids.insert(std::string(events[i].at("id").as_string()));
    EXPECT_GE(events[i].at("data").at("due_ns").to_number<std::int64_t>(),
              std::exchange(due_ns, events[i].at("data").at("due_ns").to_number<std::int64_t>()));
  }
  EXPECT_THAT(ids, SizeIs(events.size()));
  EXPECT_THAT(server.head(), HasSubstr("Content-Type: application/cloudevents-batch+json\r\n"));
  EXPECT_THAT(server.head(), HasSubstr("Authorization: Bearer t\r\n"));
}

TEST(EventSourceTest, NumbersGoOnFromRateToRate) {
  Accepting server;
  Poller poller;
  EventSource source(poller, {server.port(), "Bearer t", "bench.test"});
  post(poller, source, 90, 2);
  const std::uint64_t before = source.posted();
  post(poller, source, 2000, before + 40);
  const auto events = server.events();
  ASSERT_THAT(events, SizeIs(source.posted()));
  EXPECT_EQ(events.back().at("data").at("number").to_number<std::uint64_t>(), source.posted() - 1);
}

TEST(EventSourceTest, SaysWhatWasNotAccepted) {
  const auto wrong_of = [](const std::string& status, const std::string& body) {
    const ScriptedServer server([&](const auto&) {
      return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    });
    Poller poller;
    EventSource source(poller, {server.port(), "Bearer t", "bench.test"});
    post(poller, source, 1000, 1);
    return source.wrong();
  };
  EXPECT_THAT(wrong_of("429 Too Many Requests", "too many"), HasSubstr("answers 429: too many"));
  EXPECT_THAT(wrong_of("202 Accepted", R"({"accepted":9,"duplicates":1})"), HasSubstr("\"accepted\":9"));
}

std::string told(std::initializer_list<int> numbers) {
  const auto now_ns = std::chrono::nanoseconds(Poller::Clock::now().time_since_epoch()).count();
  std::string out;
  for (const int number : numbers)
    out += (out.empty() ? "[" : ",") + std::string("{\"sequence\":\"7\",\"data\":{\"number\":") +
           std::to_string(number) + ",\"due_ns\":" + std::to_string(now_ns) + "}}";
  return out + "]";
}

TEST(DeliveriesTest, EachReaderIsToldAllInOrder) {
  Deliveries deliveries(2);
  EXPECT_TRUE(deliveries.complete(0));
  const std::string first = told({0, 1, 2}), rest = told({3});
  deliveries.told(0, first);
  deliveries.told(0, rest);
  EXPECT_FALSE(deliveries.complete(4));
  deliveries.told(1, told({0, 1}));
  deliveries.told(1, told({2, 3}));
  EXPECT_TRUE(deliveries.complete(4));
  EXPECT_EQ(deliveries.delivered(), 8u);
  EXPECT_EQ(deliveries.wrong(), "");
  const auto delays_ms = deliveries.take_delays_ms();
  EXPECT_THAT(delays_ms, SizeIs(8));
  EXPECT_THAT(delays_ms, Each(Ge(0)));
  EXPECT_THAT(deliveries.take_delays_ms(), IsEmpty());
}

TEST(DeliveriesTest, WhatIsMissedRepeatedOrReorderedIsWrong) {
  for (const auto& [texts, said] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{told({0}), told({2})}, "reader 1 was told event 2, not 1"},
           {{told({0}), told({0})}, "reader 1 was told event 0, not 1"},
           {{told({1, 0})}, "reader 1 was told event 1, not 0"},
           {{"{\"missed\":3}"}, "no events of ours: {\"missed\":3}"},
           {{"[{\"data\":{}}]"}, "no events of ours"},
           {{"["}, "no events of ours: ["}}) {
    Deliveries deliveries(2);
    for (const std::string& text : texts) deliveries.told(1, text);
    EXPECT_THAT(deliveries.wrong(), HasSubstr(said));
    const std::string before = deliveries.wrong();
    deliveries.told(0, "more");
    EXPECT_EQ(deliveries.wrong(), before) << "the first is kept";
  }
}

TEST(DeliveriesTest, ManyTextsAreToldApart) {
  Deliveries deliveries(1);
  for (int i = 0; i < 50; ++i) deliveries.told(0, told({i}));
  EXPECT_TRUE(deliveries.complete(50));
  EXPECT_EQ(deliveries.wrong(), "");
}

}  // namespace
}  // namespace histod::bench
