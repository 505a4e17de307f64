// SPDX-License-Identifier: Apache-2.0
// What each tool's recording in tests/daemon/telemetry/ becomes, by lists that were checked by hand. terraform.in and
// ansible.in are real runs (Terraform 1.11, ansible-core 2.14) with secrets planted in them; the others were written
// after the tools' own descriptions.
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/telemetry/normalizer.hpp"

namespace histod::daemon::telemetry {
namespace {

std::string fixture(const std::string& name) {
  std::ifstream stream(std::string(HISTOD_TELEMETRY_FIXTURES) + "/" + name, std::ios::binary);
  EXPECT_TRUE(stream) << name;
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<Event> normalize(std::string_view tool, const std::string& text, const std::string& rollout = "r") {
  const auto normalizer = make_normalizer(tool, {.rolloutid = rollout});
  std::vector<Event> events;
  const auto take = [&](std::vector<Event> some) { std::ranges::move(some, std::back_inserter(events)); };
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) take(normalizer->feed(line));
  take(normalizer->end());
  return events;
}

std::string member(const Event& event, std::string_view name) {
  const boost::json::value* found = event.data.as_object().if_contains(name);
  if (!found) return "-";
  std::string text = found->is_string() ? std::string(found->get_string()) : boost::json::serialize(*found);
  std::ranges::replace(text, '\n', '/');
  return text;
}

std::string summary(const Event& event) {
  std::string line =
      fmt::format("{} {} {} {} {} {} {} | {}", event.type.substr(std::string("io.histod.rollout.").size()),
                  severity_name(event.severity), member(event, "status"), member(event, "layer"),
                  event.node.empty() ? "-" : event.node, member(event, "duration_ms"), member(event, "resource"),
                  member(event, "message"));
  if (event.data.as_object().contains("error")) line += " ! " + member(event, "error");
  return line;
}

std::string all_text(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += boost::json::serialize(write_event(event)) + "\n";
  return text;
}

class Tools : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(All, Tools, testing::ValuesIn(normalizer_tools()),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(Tools, say_what_the_list_says) {
  const std::string tool(GetParam());
  std::string actual;
  for (const Event& event : normalize(tool, fixture(tool + ".in"))) actual += summary(event) + "\n";
  EXPECT_EQ(actual, fixture(tool + ".golden"));
}

TEST_P(Tools, keep_no_planted_secret) {
  const std::string tool(GetParam());
  const std::string input = fixture(tool + ".in");
  ASSERT_THAT(input, testing::HasSubstr("Pl4nted"));
  EXPECT_THAT(all_text(normalize(tool, input)), testing::Not(testing::ContainsRegex("[Pp]l4nte")));
}

TEST_P(Tools, tell_the_same_of_the_same_recording) {
  const std::string tool(GetParam());
  const std::string input = fixture(tool + ".in");
  const std::vector<Event> events = normalize(tool, input);
  EXPECT_EQ(all_text(events), all_text(normalize(tool, input)));
  std::set<std::string> ids;
  for (const Event& event : events) {
    EXPECT_EQ(event_trouble(event), "");
    EXPECT_EQ(event.source, "/rollout/" + tool);
    EXPECT_EQ(event.rolloutid, "r");
    ids.insert(event.id);
  }
  EXPECT_EQ(ids.size(), events.size());
  EXPECT_NE(normalize(tool, input, "another")[0].id, events[0].id);
}

TEST_P(Tools, read_a_body_as_lines_or_as_an_array) {
  const std::string tool(GetParam());
  std::string array = "[";
  std::string lines;
  std::istringstream input(fixture(tool + ".in"));
  for (std::string line; std::getline(input, line);) {
    if (!line.starts_with('{') || !line.ends_with('}')) continue;
    array += (array.size() > 1 ? "," : "") + line;
    lines += line + "\r\n";
  }
  const auto of_lines = make_normalizer(tool, {});
  const auto of_array = make_normalizer(tool, {});
  const std::vector<Event> events = normalize_body(*of_lines, lines);
  EXPECT_EQ(events.size(), normalize_body(*of_array, array + "]").size());
}

TEST(Terraform, joins_a_diagnostic_to_what_failed) {
  const std::vector<Event> events = normalize("terraform", fixture("terraform.in"));
  const auto failed = std::ranges::find(events, "io.histod.rollout.terraform.apply_errored", &Event::type);
  const auto told = std::ranges::find_if(events, [](const Event& event) {
    return event.type == "io.histod.rollout.terraform.diagnostic" && event.severity == Severity::error;
  });
  ASSERT_NE(failed, events.end());
  ASSERT_NE(told, events.end());
  EXPECT_EQ(told->subject, "terraform_data.broken");
  EXPECT_EQ(member(*told, "failed_event"), failed->id);
  EXPECT_EQ(member(*told, "duration_ms"), member(*failed, "duration_ms"));
}

TEST(Terraform, passes_over_what_a_later_version_says) {
  const std::vector<Event> events = normalize(
      "terraform",
      R"({"@level":"warn","@message":"x: doing","@timestamp":"2026-11-21T10:00:00.1Z","type":"action_start","hook":{"resource":{"addr":"x"}},"new":{"password":"Pl4nted","list":[1]}})"
      "\n"
      R"({"type":"version","ui":"1.9","terraform":"9.9.9","@message":"Terraform 9.9.9"})"
      "\n"
      R"({"type":17,"hook":"none","@message":null})");
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(summary(events[0]), "terraform.action_start warning - hardware - - x | x: doing");
  EXPECT_EQ(events[0].time, "2026-11-21T10:00:00.1Z");
  EXPECT_EQ(member(events[0], "raw").find("Pl4nted"), std::string::npos);
  EXPECT_EQ(events[2].type, "io.histod.rollout.terraform.unknown");
}

TEST(Terraform, keeps_an_address_that_sounds_secret) {
  const std::vector<Event> events = normalize(
      "terraform",
      R"({"@level":"info","@message":"random_password.db: Creating... password=Pl4nted","type":"apply_start","hook":{"resource":{"addr":"random_password.db"},"action":"create"}})");
  EXPECT_EQ(member(events[0], "message"), "random_password.db: Creating... password=[redacted]");
  EXPECT_EQ(events[0].subject, "random_password.db");
}

TEST(Ansible, has_ids_that_do_not_depend_on_how_lines_come) {
  const std::string line =
      R"({"histod_ansible":1,"run":"u-1","seq":7,"event":"task_ok","host":"a","task":"t","time":"2026-11-21T10:00:00Z"})";
  const Event first = normalize("ansible", line, "")[0];
  const Event later = normalize("ansible", "\n\n" + line, "")[1 - 1];
  EXPECT_EQ(first.id, later.id);
  EXPECT_EQ(first.rolloutid, "u-1");
  EXPECT_EQ(first.node, "a");
}

TEST(Normalizer, knows_its_tools_only) { EXPECT_EQ(make_normalizer("bash", {}), nullptr); }

}  // namespace
}  // namespace histod::daemon::telemetry
