// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/sources.hpp"

#include <limits>
#include <thread>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon::telemetry {
namespace {

struct SourcesRig {
  Bus bus{
      {.identity = "01ARZ3NDEKTSV4RRFFQ69G5FAV", .node = "a"}, [] { return 1; }, nullptr, [](const std::string&) {}};
  Sources sources{bus};
  Log log{LogLevel::debug, LogFormat::logfmt, [](std::string_view) {}, [] { return 0; }};
  SourcesRig() { log.set_tap(&sources); }

  std::vector<boost::json::object> events() const {
    std::vector<boost::json::object> out;
    for (const EventPtr& event : bus.read(0, 100'000, 1u << 30).events)
      out.push_back(boost::json::parse(event->json).as_object());
    return out;
  }
};

TEST(Sources, LogLinesBecomeEventsButForDebug) {
  SourcesRig rig;
  rig.log.debug("not told");
  rig.log.warn("a \"word\"", {{"text", "x\n"}, {"number", -3}, {"large", 5u}, {"ratio", 0.5}, {"good", true}});
  rig.log.error("bad", {{"nan", std::numeric_limits<double>::quiet_NaN()}, {"bytes", "\xff"}});
  const auto events = rig.events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].at("type"), "io.histod.log.warn");
  EXPECT_EQ(events[0].at("severity"), "warning");
  EXPECT_EQ(events[0].at("source"), "/nodes/a");
  EXPECT_EQ(events[0].at("data"), boost::json::parse(R"({"message":"a \"word\"","fields":
      {"text":"x\n","number":-3,"large":5,"ratio":0.5,"good":true}})"));
  EXPECT_EQ(events[1].at("data"), boost::json::parse(R"({"message":"bad","fields":{"nan":null,"bytes":"?"}})"));
  rig.log.set_tap(nullptr);
  rig.log.info("nobody hears it");
  EXPECT_EQ(rig.events().size(), 2u);
}

TEST(Sources, ATapThatLogsDoesNotHearItself) {
  struct Loud final : LogTap {
    explicit Loud(Log& l) : log(l) {}
    void line(LogLevel, std::string_view, LogFields) override {
      ++heard;
      log.error("again");
    }
    Log& log;
    int heard = 0;
  };
  int written = 0;
  Log log(LogLevel::info, LogFormat::logfmt, [&](std::string_view) { ++written; }, [] { return 0; });
  Loud loud(log);
  log.set_tap(&loud);
  log.info("x");
  EXPECT_EQ(loud.heard, 1);
  EXPECT_EQ(written, 2);
}

TEST(Sources, FloodsOfLogLinesAreBounded) {
  SourcesRig rig;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&rig] {
      for (int i = 0; i < 5'000; ++i) rig.log.warn("the same", {{"number", i}});
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(rig.events().size(), 1'000u) << "16 a second";
  EXPECT_GE(rig.events().size(), 16u);
}

TEST(Sources, SecurityEventsSayWhatAndFromWhere) {
  SourcesRig rig;
  rig.sources.security("token_refused", Severity::warning, "192.0.2.1", "a token was refused",
                       {{"peer", "192.0.2.1"}, {"path", std::string(5'000, 'x') + "\xff"}});
  for (int i = 0; i < 1'000; ++i) rig.sources.security("token_refused", Severity::warning, "192.0.2.1", "again");
  rig.sources.security("token_refused", Severity::warning, "192.0.2.2", "another");
  const auto events = rig.events();
  ASSERT_GE(events.size(), 2u);
  EXPECT_LE(events.size(), 50u);
  EXPECT_EQ(events[0].at("type"), "io.histod.secops.token_refused");
  EXPECT_EQ(events[0].at("subject"), "192.0.2.1");
  EXPECT_EQ(events[0].at("data").at("message"), "a token was refused");
  EXPECT_LE(events[0].at("data").at("path").as_string().size(), 512u);
  EXPECT_EQ(events.back().at("subject"), "192.0.2.2") << "another address is not held back";
}

TEST(Sources, StreamsByTheirName) {
  SourcesRig rig;
  rig.sources.stream("loss", Severity::warning, "cam-1", "3 packets lost", {{"lost", 3}});
  const auto events = rig.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].at("type"), "io.histod.stream.loss");
  EXPECT_EQ(events[0].at("subject"), "cam-1");
  EXPECT_EQ(events[0].at("severity"), "warning");
  EXPECT_EQ(events[0].at("data").at("lost"), 3);
  EXPECT_EQ(events[0].at("data").at("stream"), "cam-1");
}

TEST(Sources, JobsAndTheirEnds) {
  SourcesRig rig;
  jobs::JobRecord record;
  record.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  rig.sources.job(record, "accepted");
  record.started_ms = 100;
  record.finished_ms = 350;
  record.error.emplace().detail = "it is broken \xff";
  rig.sources.job(record, "failed");
  const auto events = rig.events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].at("type"), "io.histod.job.accepted");
  EXPECT_EQ(std::string(events[0].at("subject").as_string()), record.id);
  EXPECT_EQ(events[1].at("severity"), "error");
  EXPECT_EQ(events[1].at("data").at("duration_ms"), 250);
  EXPECT_EQ(events[1].at("data").at("error"), "it is broken ?");
}

}  // namespace
}  // namespace histod::daemon::telemetry
