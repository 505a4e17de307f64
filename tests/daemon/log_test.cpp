// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon {
namespace {

constexpr std::int64_t k_now = 1'767'323'045'678;
const std::string k_stamp = "2026-01-02T03:04:05.678Z";

std::string line(LogFormat format, std::string_view message, LogFields fields = {}) {
  return format_log_line(format, k_now, LogLevel::info, message, fields);
}

TEST(LogLine, LogfmtQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(line(LogFormat::logfmt, "started", {{"port", 8080}, {"tls", false}, {"rate", 0.5}, {"peer", "192.0.2.1"}}),
            "ts=" + k_stamp + " level=info msg=started port=8080 tls=false rate=0.5 peer=192.0.2.1\n");
  EXPECT_EQ(line(LogFormat::logfmt, "two words", {{"empty", ""}, {"equals", "a=b"}, {"quote", "a\"b\\c"}}),
            "ts=" + k_stamp + " level=info msg=\"two words\" empty=\"\" equals=\"a=b\" quote=\"a\\\"b\\\\c\"\n");
}

TEST(LogLine, JsonIsJson) {
  const std::string text = line(
      LogFormat::json, "a \"b\"",
      {{"n", std::uint64_t{18446744073709551615u}}, {"i", -5}, {"on", true}, {"f", 1.25}, {"s", std::string("x\ty")}});
  EXPECT_EQ(text.back(), '\n');
  const auto json = boost::json::parse(text.substr(0, text.size() - 1)).as_object();
  EXPECT_EQ(json.at("ts").as_string(), k_stamp);
  EXPECT_EQ(json.at("level").as_string(), "info");
  EXPECT_EQ(json.at("msg").as_string(), "a \"b\"");
  EXPECT_EQ(json.at("n").as_uint64(), 18446744073709551615u);
  EXPECT_EQ(json.at("i").as_int64(), -5);
  EXPECT_EQ(json.at("on").as_bool(), true);
  EXPECT_EQ(json.at("f").as_double(), 1.25);
  EXPECT_EQ(json.at("s").as_string(), "x\ty");
}

TEST(LogLine, HostileValuesForgeNothing) {
  const std::string hostile[] = {"x\nts=2026 level=error msg=forged",
                                 "x\r\n",
                                 "\"}\n{\"level\":\"error\"",
                                 "a b=c level=error",
                                 "\x1b[2J\x1b[31m",
                                 std::string("nul\0nul", 7),
                                 "\xff\xfe\x80",
                                 "\u202egnp.exe",
                                 "\xe2\x80\xa8line separator",
                                 "\u009b31m",
                                 "\\u000a"};
  for (const std::string& value : hostile) {
    for (const LogFormat format : {LogFormat::logfmt, LogFormat::json}) {
      const std::string text = line(format, value, {{"peer", value}});
      EXPECT_EQ(std::ranges::count(text, '\n'), 1);
      EXPECT_EQ(text.find_first_of(std::string("\r\x1b\x7f\0", 4)), text.npos);
      for (const char* raw : {"\xff", "\xe2\x80\xae", "\xe2\x80\xa8", "\xc2\x9b"}) EXPECT_EQ(text.find(raw), text.npos);
      if (format == LogFormat::json) {
        const auto json = boost::json::parse(text).as_object();
        EXPECT_EQ(json.size(), 4u);
        EXPECT_EQ(json.at("level").as_string(), "info");
      } else {
        EXPECT_NE(text.find(" level=info msg=\""), text.npos);
      }
    }
  }
}

TEST(LogLine, NumbersThatJsonHasNotAreTexts) {
  const std::string text = line(LogFormat::json, "m", {{"x", std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(boost::json::parse(text).at("x").as_string(), "inf");
}

TEST(LogTime, IsRfc3339) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(k_now), k_stamp);
  EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_time(951'782'400'000), "2000-02-29T00:00:00.000Z");
}

struct Lines {
  std::vector<std::string> lines;
  Log::Write writer() {
    return [this](std::string_view text) { lines.emplace_back(text); };
  }
};

std::int64_t fixed_time() { return k_now; }

TEST(LogTest, LevelsBelowTheLimitAreLeftOut) {
  Lines out;
  Log log(LogLevel::warn, LogFormat::logfmt, out.writer(), fixed_time);
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  ASSERT_EQ(out.lines.size(), 2u);
  EXPECT_THAT(out.lines[0], testing::HasSubstr("level=warn msg=c"));
  EXPECT_THAT(out.lines[1], testing::HasSubstr("level=error msg=d"));
}

TEST(LogTest, OnceIsOnceForEachKey) {
  Lines out;
  Log log(LogLevel::info, LogFormat::logfmt, out.writer(), fixed_time);
  EXPECT_TRUE(log.once("pages", LogLevel::warn, "small pages"));
  EXPECT_FALSE(log.once("pages", LogLevel::warn, "small pages"));
  EXPECT_TRUE(log.once("ring", LogLevel::warn, "no ring"));
  EXPECT_EQ(out.lines.size(), 2u);
}

TEST(LogTest, LinesOfManyThreadsStayWhole) {
  Lines out;
  Log log(LogLevel::info, LogFormat::json, out.writer(), fixed_time);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 250; ++i) log.info("tick", {{"thread", t}, {"i", i}});
      log.once("the same", LogLevel::info, "once");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(out.lines.size(), 1001u);
  for (const std::string& text : out.lines) EXPECT_NO_THROW(boost::json::parse(text));
}

TEST(LogTest, ByDefaultLinesGoToStderr) {
  testing::internal::CaptureStderr();
  Log log(LogLevel::info, LogFormat::logfmt);
  log.info("hello", {{"n", 1}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("ts=20[0-9T:.-]+Z level=info msg=hello n=1\n"));
}

}  // namespace
}  // namespace histod::daemon
