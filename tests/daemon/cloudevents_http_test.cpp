// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/cloudevents_http.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon::telemetry {
namespace {

using testing::HasSubstr;
using Kind = EventsRefusal::Kind;

constexpr const char *k_one = "application/cloudevents+json", *k_batch = "application/cloudevents-batch+json";
const std::string k_event = R"({"specversion":"1.0","id":"1","source":"/s","type":"t"})";

std::vector<EventField> binary(std::vector<EventField> more = {}) {
  std::vector<EventField> out{{"ce-specversion", "1.0"}, {"CE-ID", "1"}, {"Ce-Source", "/s"}, {"ce-type", "t"}};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

std::vector<Event> taken(std::string_view type, std::vector<EventField> fields, std::string_view body) {
  auto events = read_http_events(type, fields, body);
  EXPECT_TRUE(events) << events.error().detail;
  return events ? std::move(*events) : std::vector<Event>();
}

EventsRefusal refused(std::string_view type, std::vector<EventField> fields, std::string_view body) {
  auto events = read_http_events(type, fields, body);
  EXPECT_FALSE(events) << body.substr(0, 80);
  return events ? EventsRefusal{Kind::form, "nothing was refused"} : events.error();
}

TEST(CloudEventsHttp, TheThreeModesSayTheSame) {
  const auto structured = taken("Application/CloudEvents+JSON; charset=utf-8", {{"ce-id", "not looked at"}}, k_event);
  const auto batch = taken(k_batch, {}, "[" + k_event + "," + k_event + "]");
  const auto plain = taken("", binary(), "");
  ASSERT_EQ(structured.size(), 1u);
  ASSERT_EQ(batch.size(), 2u);
  ASSERT_EQ(plain.size(), 1u);
  for (const Event& event : {structured[0], batch[0], batch[1], plain[0]}) {
    EXPECT_EQ(event.id, "1");
    EXPECT_EQ(event.source, "/s");
    EXPECT_EQ(event.type, "t");
    EXPECT_TRUE(event.data.is_null());
  }
  EXPECT_TRUE(taken(k_batch, {}, "[]").empty());
}

TEST(CloudEventsHttp, BinaryDataAreByTheirMediaType) {
  EXPECT_EQ(taken("application/json", binary(), R"({"a":[1]})")[0].data.at("a").at(0), 1);
  EXPECT_EQ(taken("application/vnd.x+json;v=1", binary(), "7")[0].data, 7);
  const Event text = taken("text/plain", binary(), "gr\xc3\xbc\xc3\x9f")[0];
  EXPECT_EQ(text.data, "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(text.extensions.at("datacontenttype"), "text/plain");
  const std::string_view bytes("\x00\xff\x10\x80", 4);
  EXPECT_EQ(taken("application/octet-stream", binary(), bytes)[0].data_base64, "AP8QgA==");
  EXPECT_EQ(taken("application/octet-stream", binary(), bytes.substr(0, 3))[0].data_base64, "AP8Q");
  EXPECT_EQ(taken("application/octet-stream", binary(), bytes.substr(0, 2))[0].data_base64, "AP8=");
  EXPECT_EQ(taken("text/plain", binary(), "\xff")[0].data_base64, "/w==") << "that is no text";
  EXPECT_EQ(refused("application/json", binary(), "{").kind, Kind::form);
}

TEST(CloudEventsHttp, BinaryAttributesAndExtensions) {
  const Event event = taken("",
                            binary({{"ce-severity", "warning"},
                                    {"ce-replay", "true"},
                                    {"ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"},
                                    {"ce-team", "\"a \\\"b\\\" %41\""},
                                    {"ce-time", "2026-01-02T03:04:05Z"}}),
                            "")[0];
  EXPECT_EQ(event.severity, Severity::warning);
  EXPECT_TRUE(event.replay);
  EXPECT_EQ(event.subject, "Euro \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(event.extensions.at("team"), "a \"b\" A");
}

TEST(CloudEventsHttp, DecodesOnceAndOnlyToUtf8) {
  EXPECT_EQ(decode_event_field("%2541").value(), "%41") << "one round";
  EXPECT_EQ(decode_event_field("a+b").value(), "a+b");
  EXPECT_EQ(decode_event_field("\"").value(), "\"") << "no pair of quotes";
  EXPECT_EQ(decode_event_field("").value(), "");
  for (const char* bad :
       {"%", "%4", "%zz", "a%", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%FF", "\xff", "%E2%82", "\"a\"b\"", "\"a\\\""})
    EXPECT_FALSE(decode_event_field(bad)) << bad;
  EXPECT_THAT(refused("", binary({{"ce-subject", "%0a"}}), "").detail, HasSubstr("subject has a control character"));
  EXPECT_THAT(refused("", binary({{"ce-subject", "%ff"}}), "").detail,
              HasSubstr("event 0: ce-subject: it is not UTF-8"));
}

TEST(CloudEventsHttp, HostileBinaryRequests) {
  EXPECT_EQ(refused("", {}, k_event).kind, Kind::media_type);
  EXPECT_EQ(refused("application/json", {{"ce-", "x"}}, k_event).kind, Kind::media_type);
  EXPECT_THAT(refused("", {{"ce-id", "1"}}, "").detail, HasSubstr("specversion is missing"));
  EXPECT_THAT(refused("", binary({{"ce-id", "2"}}), "").detail, HasSubstr("ce-id is there twice"));
  for (const char* name : {"ce-data", "ce-data_base64", "ce-datacontenttype"})
    EXPECT_EQ(refused("", binary({{name, "x"}}), "").kind, Kind::event) << name;
  EXPECT_EQ(refused("text/pla\xffin", binary(), "x").kind, Kind::event);
  EXPECT_EQ(refused("", binary({{"ce-bad_name", "x"}}), "").kind, Kind::event);
  EXPECT_EQ(refused("", binary({{"ce-severity", "fatal"}}), "").kind, Kind::event);
  EXPECT_EQ(refused("", binary({{"ce-replay", "maybe"}, {"ce-time", "now"}}), "").kind, Kind::event);
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("ce-x" + std::to_string(i));
  auto many = binary();
  for (const std::string& name : names) many.emplace_back(name, "1");
  EXPECT_THAT(refused("", many, "").detail, HasSubstr("more than 16 extension"));
  EXPECT_EQ(refused("text/plain", binary(), std::string(70'000, 'x')).kind, Kind::event) << "an event has its bound";
}

TEST(CloudEventsHttp, HostileDocuments) {
  for (const char* body : {"", "{", "[", "null", "1", "\"x\"", "{}", "[[]]", "\xff", "{\"specversion\":\"1.0\"}x"}) {
    refused(k_one, {}, body);
    refused(k_batch, {}, body);
  }
  EXPECT_EQ(refused(k_batch, {}, k_event).kind, Kind::form) << "no array";
  EXPECT_EQ(refused(k_one, {}, "[" + k_event + "]").kind, Kind::event);
  EXPECT_EQ(refused("application/cloudevents+xml", binary(), k_event).kind, Kind::media_type);
  EXPECT_EQ(refused("application/cloudevents-batch", {}, "[]").kind, Kind::media_type);
  EXPECT_THAT(refused(k_batch, {}, "[" + k_event + ",{}]").detail, HasSubstr("event 1: specversion is missing"));
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(refused(k_one, {}, deep).kind, Kind::form);
  EXPECT_EQ(refused(k_batch, {}, deep).kind, Kind::form);
  EXPECT_EQ(refused(k_one, {}, "{\"id\":\"\xed\xa0\x80\"}").kind, Kind::form) << "a surrogate in UTF-8";
}

TEST(CloudEventsHttp, BoundsOfABatch) {
  const auto batch = [](std::size_t events) {
    std::string out = "[";
    for (std::size_t i = 0; i < events; ++i) out += (i == 0 ? "" : ",") + k_event;
    return out + "]";
  };
  EXPECT_EQ(taken(k_batch, {}, batch(k_batch_events_max)).size(), k_batch_events_max);
  const auto more = refused(k_batch, {}, batch(k_batch_events_max + 1));
  EXPECT_EQ(more.kind, Kind::too_many);
  EXPECT_EQ(more.value, k_batch_events_max + 1);
  EXPECT_EQ(more.limit, k_batch_events_max);
  const auto large = refused(k_batch, {}, std::string(k_events_body_bytes_max + 1, ' '));
  EXPECT_EQ(large.kind, Kind::too_many);
  EXPECT_EQ(large.limit, k_events_body_bytes_max);
}

}  // namespace
}  // namespace histod::daemon::telemetry
