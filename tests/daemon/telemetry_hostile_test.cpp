// SPDX-License-Identifier: Apache-2.0
// Whatever a stream holds, its normaliser gives events that are within the bounds, and goes on.
#include <fstream>
#include <iterator>
#include <sstream>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/telemetry/normalizer.hpp"

namespace histod::daemon::telemetry {
namespace {

using testing::HasSubstr;

class Hostile : public testing::TestWithParam<std::string_view> {
 protected:
  std::vector<Event> feed(std::string_view line) {
    std::vector<Event> events = normalizer_->feed(line);
    for (const Event& event : events) EXPECT_EQ(event_trouble(event), "") << line.substr(0, 200);
    return events;
  }
  std::unique_ptr<Normalizer> normalizer_ = make_normalizer(GetParam(), {});
};
INSTANTIATE_TEST_SUITE_P(All, Hostile, testing::ValuesIn(normalizer_tools()),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(Hostile, lines_cut_at_any_byte) {
  std::ifstream stream(fmt::format("{}/{}.in", HISTOD_TELEMETRY_FIXTURES, GetParam()));
  std::size_t events = 0;
  for (std::string line; std::getline(stream, line);) {
    for (std::size_t bytes = 0; bytes < line.size(); bytes += 1 + line.size() / 40) {
      events += feed(std::string_view(line).substr(0, bytes)).size();
    }
  }
  EXPECT_GT(events, 0u);
  normalizer_->end();
}

TEST_P(Hostile, members_of_other_kinds) {
  for (const std::string_view value : {"null", "1", "-1e308", "[]", "[[{}]]", "{}", "true", "\"\\u0000\\u202e\"",
                                       "{\"kind\":{\"a\":[]}}", "18446744073709551615"}) {
    for (const std::string_view name :
         {"type",     "@message",       "hook",     "diagnostic", "changes", "outputs", "object", "kind",
          "metadata", "status",         "spec",     "event",      "stats",   "seq",     "run",    "app",
          "data",     "involvedObject", "severity", "MESSAGE",    "UNIT",    "items"}) {
      feed(fmt::format("{{\"{}\":{}}}", name, value));
      feed(fmt::format("{{\"type\":\"MODIFIED\",\"object\":{{\"kind\":\"Workflow\",\"{}\":{}}}}}", name, value));
      feed(fmt::format("{{\"type\":\"apply_start\",\"event\":\"playbook_finished\",\"{}\":{}}}", name, value));
    }
  }
}

TEST_P(Hostile, deep_wide_and_long) {
  std::string deep = "{\"object\":";
  for (int i = 0; i < 60; ++i) deep += "[";
  feed(deep);
  std::string wide = "{\"type\":\"x\",\"reason\":\"x\",\"event\":\"x\",\"MESSAGE\":\"x\",\"msg\":\"x\",\"kind\":\"x\"";
  for (int i = 0; i < 5'000; ++i) wide += fmt::format(",\"member{}\":\"{}\"", i, std::string(50, 'v'));
  feed(wide + "}");
  feed("{\"type\":\"" + std::string(200'000, 'T') + "\",\"@message\":\"" + std::string(300'000, 'm') + "\"}");
  feed(std::string(100'000, 'w'));
  feed(std::string("\0\x01\x1b[2J\xff\xfe", 8));
  const std::vector<Event> events = feed(std::string(k_line_bytes_max + 1, '{'));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].message(), HasSubstr("at most 2097152 are read"));
}

TEST_P(Hostile, a_document_that_never_ends) {
  feed("{");
  std::size_t told = 0;
  for (int i = 0; i < 5'000; ++i) told += feed("\"a\": \"" + std::string(1'000, 'x') + "\",").size();
  EXPECT_EQ(told, 1u) << "it is told once";
  EXPECT_TRUE(feed("}").empty());
  EXPECT_EQ(feed("{\"type\":\"x\",\"reason\":\"x\",\"event\":\"x\",\"MESSAGE\":\"x\",\"msg\":\"x\"}").size(), 1u)
      << "and then goes on";
}

TEST_P(Hostile, a_document_that_is_cut_off) {
  feed("{");
  feed("  \"type\": \"x\",");
  const std::vector<Event> events = normalizer_->end();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].message(), HasSubstr("ends in the middle"));
  EXPECT_TRUE(normalizer_->end().empty());
}

TEST_P(Hostile, more_names_than_are_remembered) {
  std::size_t events = 0;
  for (int i = 0; i < 5'000; ++i) {
    events +=
        normalizer_
            ->feed(fmt::format(
                R"({{"type":"ADDED","object":{{"kind":"Workflow","metadata":{{"name":"{}"}},"status":{{"state":"RUNNING"}}}}}})",
                i))
            .size();
  }
  EXPECT_EQ(events, 5'000u);
}

TEST_P(Hostile, a_line_that_says_too_much) {
  std::string actions;
  for (int i = 0; i < 5'000; ++i) {
    actions +=
        fmt::format("{}{{\"kind\":\"Node\",\"name\":\"{}\",\"metadata\":{{\"name\":\"{}\"}},\"state\":\"RUNNING\"}}",
                    i == 0 ? "" : ",", i, i);
  }
  EXPECT_LE(feed("{\"kind\":\"Workflow\",\"status\":{\"tasks\":[{\"actions\":[" + actions + "]}]}}").size(), 1'001u);
  EXPECT_LE(feed("{\"kind\":\"List\",\"items\":[" + actions + "]}").size(), 1'001u);
}

TEST_P(Hostile, nothing_at_all) {
  EXPECT_TRUE(feed("").empty());
  EXPECT_TRUE(feed("   \r\n").empty());
  EXPECT_TRUE(normalizer_->end().empty());
  EXPECT_TRUE(normalize_body(*normalizer_, "").empty());
}

}  // namespace
}  // namespace histod::daemon::telemetry
