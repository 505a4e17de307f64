// SPDX-License-Identifier: Apache-2.0
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "tests/daemon/api_rig.hpp"

namespace histod::test {
namespace {

const Fields k_structured{{"Content-Type", "application/cloudevents+json"}};
const Fields k_batched{{"Content-Type", "application/cloudevents-batch+json"}};

std::string event_text(const std::string& id, const std::string& more = "") {
  return R"({"specversion":"1.0","id":")" + id + R"(","source":"/s","type":"io.histod.rollout.k8s.x")" + more + "}";
}

std::vector<std::string> listed(ApiRig& rig, const std::string& query = {}) {
  std::vector<std::string> out;
  const boost::json::object list = rig.get("/v1/events", query).json();
  for (const auto& event : list.at("events").as_array()) out.emplace_back(event.at("id").as_string());
  return out;
}
using Ids = std::vector<std::string>;

TEST(EventsApi, PostsInThreeModesAreListedOnce) {
  ApiRig rig;
  auto told = rig.post("/v1/events", "", event_text("a"), k_structured);
  EXPECT_EQ(told.status, 202u);
  EXPECT_EQ(told.body, "{\"accepted\":1,\"duplicates\":0}\n");
  told = rig.post("/v1/events", "", "[" + event_text("a") + "," + event_text("b") + "]", k_batched);
  EXPECT_EQ(told.body, "{\"accepted\":1,\"duplicates\":1}\n");
  told = rig.post("/v1/events", "", "{\"message\":\"hi\"}",
                  {{"Content-Type", "application/json"},
                   {"ce-specversion", "1.0"},
                   {"ce-id", "c"},
                   {"ce-source", "/s"},
                   {"ce-type", "com.example"},
                   {"ce-severity", "error"}});
  EXPECT_EQ(told.body, "{\"accepted\":1,\"duplicates\":0}\n");
  const auto list = rig.get("/v1/events").json();
  EXPECT_EQ(listed(rig), (Ids{"a", "b", "c"}));
  EXPECT_EQ(std::string(list.at("identity").as_string()), k_rig_identity);
  EXPECT_EQ(list.at("next"), list.at("last"));
  EXPECT_EQ(list.at("missed"), 0);
  const auto& last = list.at("events").at(2);
  EXPECT_EQ(last.at("data").at("message"), "hi");
  EXPECT_EQ(std::string(last.at("sequence").as_string()), boost::json::serialize(list.at("last")));
  EXPECT_EQ(std::string(last.at("node").as_string()), rig.options.node_name);
}

TEST(EventsApi, ListsBehindACursorAndByFilters) {
  ApiRig rig;
  rig.post("/v1/events", "",
           "[" + event_text("a", R"(,"severity":"warning")") + "," + event_text("b", R"(,"node":"n7")") + "," +
               event_text("c") + "]",
           k_batched);
  EXPECT_EQ(listed(rig, "limit=2"), (Ids{"b", "c"})) << "the latest";
  EXPECT_EQ(listed(rig, "after=0&limit=2"), (Ids{"a", "b"})) << "the next";
  const auto next = boost::json::serialize(rig.get("/v1/events", "after=0&limit=2").json().at("next"));
  EXPECT_EQ(listed(rig, "after=" + next), (Ids{"c"}));
  EXPECT_EQ(listed(rig, "severity=ok"), (Ids{"a"}));
  EXPECT_EQ(listed(rig, "node=n7"), (Ids{"b"}));
  EXPECT_EQ(listed(rig, "type=com.,io.histod.rollout").size(), 3u);
  EXPECT_EQ(listed(rig, "type=com."), Ids{});
  for (const char* bad : {"after=x", "after=-1", "limit=0", "limit=1001", "severity=loud", "type=", "more=1", "after"})
    EXPECT_EQ(rig.get("/v1/events", bad).status, 400u) << bad;
}

TEST(EventsApi, OneBadEventRefusesAll) {
  ApiRig rig;
  auto told = rig.post("/v1/events", "", "[" + event_text("a") + ",{\"specversion\":\"1.0\"}]", k_batched);
  EXPECT_EQ(told.status, 422u);
  EXPECT_EQ(told.code(), "bad-event");
  EXPECT_EQ(told.json().at("detail"), "event 1: id is missing or empty");
  EXPECT_EQ(listed(rig), Ids{});
  EXPECT_EQ(rig.post("/v1/events", "", "{", k_structured).code(), "bad-request");
  EXPECT_EQ(rig.post("/v1/events", "", event_text("a")).code(), "unsupported-media");
  EXPECT_EQ(rig.post("/v1/events", "tool=mine", event_text("a"), k_structured).code(), "bad-option");
  EXPECT_EQ(rig.post("/v1/events", "", std::string(2u << 20, ' '), k_structured).status, 413u);
  EXPECT_EQ(rig.services.event_stats.refused, 4u);
}

TEST(EventsApi, WhoMayPostAndWhoMayRead) {
  ApiRig rig;
  const auto post = [&](std::string_view token) {
    return rig.ask({.method = "POST",
                    .path = "/v1/events",
                    .token = std::string(token),
                    .fields = k_structured,
                    .body = event_text("a")});
  };
  for (const auto token : {k_events_token, k_submit_token, k_admin_token, k_peer_token})
    EXPECT_EQ(post(token).status, 202u) << token;
  EXPECT_EQ(post(k_read_token).status, 403u);
  EXPECT_EQ(post("").status, 401u);
  for (const char* path : {"/v1/events", "/v1/jobs", "/v1/node", "/v1/cluster"})
    EXPECT_EQ(rig.ask({.path = path, .token = std::string(k_events_token)}).status, 403u) << path;
  EXPECT_EQ(rig.ask({.method = "POST", .path = "/v1/tickets", .token = std::string(k_events_token)}).status, 403u);
  EXPECT_EQ(rig.ask({.path = "/v1/events", .token = std::string(k_read_token)}).status, 200u);
}

TEST(EventsApi, TooManyEventsOfOneTokenAreRefusedForAWhile) {
  ApiRig rig;
  std::string batch = "[";
  for (int i = 0; i < 256; ++i) batch += (i == 0 ? "" : ",") + event_text(std::to_string(i));
  batch += "]";
  // The allowance grows with the real clock: a machine that takes this long for a batch never gets there.
  Told told;
  for (int i = 0; i < 200 && told.status != 429; ++i) told = rig.post("/v1/events", "", batch, k_batched);
  if (told.status != 429) GTEST_SKIP() << "this machine posts fewer than 1000 events a second";
  EXPECT_EQ(told.status, 429u);
  EXPECT_EQ(told.code(), "too-many-events");
  EXPECT_EQ(told.field("Retry-After"), "1");
  EXPECT_GE(rig.services.event_stats.limited, 1u);
  EXPECT_EQ(rig.ask({.method = "POST",
                     .path = "/v1/events",
                     .token = std::string(k_events_token),
                     .fields = k_batched,
                     .body = batch})
                .status,
            202u)
      << "with another token";
}

TEST(EventsApi, HandshakeOfAWebhook) {
  ApiRig rig;
  auto told = rig.ask({.method = "OPTIONS",
                       .path = "/v1/events",
                       .token = "",
                       .fields = {{"WebHook-Request-Origin", "events.example"}, {"WebHook-Request-Rate", "120"}}});
  EXPECT_EQ(told.status, 204u);
  EXPECT_EQ(told.field("WebHook-Allowed-Origin"), "*");
  EXPECT_EQ(told.field("WebHook-Allowed-Rate"), "60000");
  told = rig.ask({.method = "OPTIONS", .path = "/v1/events", .token = ""});
  EXPECT_EQ(told.field("WebHook-Allowed-Origin"), "");
  EXPECT_EQ(told.field("Allow"), "GET, HEAD, POST, OPTIONS");
}

TEST(EventsApi, TicketsAreMadeForReaders) {
  ApiRig rig;
  const auto told = rig.ask({.method = "POST", .path = "/v1/tickets", .token = std::string(k_read_token)});
  EXPECT_EQ(told.status, 201u);
  EXPECT_EQ(told.field("Cache-Control"), "no-store");
  EXPECT_EQ(told.json().at("expires_in_s"), 30);
  EXPECT_TRUE(rig.services.tickets.redeem(told.json().at("ticket").as_string()));
  EXPECT_EQ(rig.ask({.method = "POST", .path = "/v1/tickets", .token = ""}).status, 401u);
  while (rig.services.tickets.issue()) continue;
  EXPECT_EQ(rig.post("/v1/tickets", "", "").code(), "overloaded");
}

}  // namespace
}  // namespace histod::test
