// SPDX-License-Identifier: Apache-2.0
// What one node answers of what others have.
#include "daemon/api/fan_out.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/node_metrics.hpp"
#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::FleetRig;
using test::identity_of;
using test::ScriptedServer;
using test::Told;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view k_image = "P5\n2 2\n255\nabcd";

std::string submit(ApiRig& node, const std::string& path = "/v1/jobs") {
  const Told told = node.post(path, "", std::string(k_image), {{"X-Name", "a"}});
  EXPECT_EQ(told.status, 202u) << told.body;
  return std::string(told.json().at("id").as_string());
}

void finish_next(ApiRig& node, std::string_view result) {
  node.engine_rig.engine->resume();
  node.engine_rig.finish(node.engine_rig.attempts.next().id, result);
}

std::vector<std::string> ids(const Told& told) {
  std::vector<std::string> out;
  const auto answer = told.json();
  for (const auto& job : answer.at("jobs").as_array()) out.emplace_back(job.at("id").as_string());
  return out;
}

Told ask_as_peer(ApiRig& node, const std::string& path, std::string_view token = test::k_peer_token) {
  return node.ask({.path = path, .token = std::string(token), .fields = {{"Histod-Forwarded", "1"}}});
}

TEST(FanOut, AJobIsReadDeliveredAndRemovedAtAnyNode) {
  FleetRig fleet(3);
  const std::string id = submit(fleet[0]);
  EXPECT_EQ(fleet[2].get("/v1/jobs/" + id).json().at("node").as_string(), "N1");
  const Told early = fleet[1].get("/v1/jobs/" + id + "/result");
  EXPECT_EQ(early.status, 409u);
  EXPECT_EQ(early.code(), "not-finished");
  std::string result(300'000, 'r');
  result.back() = '!';
  finish_next(fleet[0], result);
  const Told here = fleet[0].get("/v1/jobs/" + id + "/result");
  ASSERT_EQ(here.status, 200u) << here.body;
  for (const std::size_t other : {1u, 2u}) {
    EXPECT_EQ(fleet[other].get("/v1/jobs/" + id).body, fleet[0].get("/v1/jobs/" + id).body);
    for (const std::string& path : {"/v1/jobs/" + id + "/result", "/download/" + id + "_final.png"}) {
      const Told there = fleet[other].get(path);
      EXPECT_EQ(there.status, 200u) << there.body;
      EXPECT_TRUE(there.body == result) << path;
      EXPECT_EQ(there.content_type, "image/png");
      for (const char* name : {"Content-Disposition", "Histod-Lut-Digest", "Histod-Version", "Cache-Control"})
        EXPECT_EQ(there.field(name), here.field(name)) << path;
    }
  }
  EXPECT_EQ(fleet[1].ask({.method = "DELETE", .path = "/v1/jobs/" + id}).status, 204u);
  for (const std::size_t node : {0u, 1u, 2u}) EXPECT_EQ(fleet[node].get("/v1/jobs/" + id).status, 404u);
  EXPECT_EQ(fleet[1].ask({.method = "DELETE", .path = "/v1/jobs/" + id}).status, 404u);
}

TEST(FanOut, WhatFailedThereIsToldHere) {
  FleetRig fleet(2);
  const std::string id = submit(fleet[0]);
  fleet[0].engine_rig.engine->resume();
  jobs::Finished outcome;
  outcome.error = make_problem(422, "broken-image", "its end is missing");
  fleet[0].engine_rig.end(fleet[0].engine_rig.attempts.next().id, std::move(outcome));
  const Told told = fleet[1].get("/v1/jobs/" + id + "/result");
  EXPECT_EQ(told.status, 410u);
  EXPECT_EQ(told.content_type, "application/problem+json");
  EXPECT_THAT(told.body, HasSubstr("its end is missing"));
}

TEST(FanOut, OnlyANodeIsAnsweredFromWhatIsHereAlone) {
  FleetRig fleet(2);
  const std::string id = submit(fleet[0]);
  EXPECT_EQ(ask_as_peer(fleet[1], "/v1/jobs/" + id).status, 404u);
  EXPECT_EQ(ask_as_peer(fleet[1], "/v1/jobs/" + id, test::k_admin_token).status, 200u) << "the field means nothing";
  EXPECT_THAT(ids(ask_as_peer(fleet[1], "/v1/jobs")), ElementsAre());
  EXPECT_THAT(ids(ask_as_peer(fleet[1], "/v1/jobs", test::k_read_token)), ElementsAre(id));
  fleet[1].services.peers.reset();
  EXPECT_EQ(fleet[1].get("/v1/jobs/" + id).status, 404u) << "who has no token asks nobody";
}

TEST(FanOut, NodesTellOfThemselvesThroughAnyOfThem) {
  FleetRig fleet(3);
  for (const std::size_t asked : {0u, 2u}) {
    const Told told = fleet[asked].get("/v1/nodes");
    ASSERT_EQ(told.status, 200u) << told.body;
    const auto answer = told.json();
    EXPECT_FALSE(answer.contains("unreachable"));
    std::vector<std::string> names;
    for (const auto& node : answer.at("nodes").as_array()) {
      names.emplace_back(node.at("node_name").as_string());
      EXPECT_EQ(node.at("id").as_string(), identity_of(names.back()));
      EXPECT_EQ(node.at("workers").as_array().size(), 1u);
    }
    EXPECT_THAT(names, ElementsAre("N1", "N2", "N3"));
  }
  fleet.publish({{"N2", "http://127.0.0.1:1"}});
  const auto rest = fleet[0].get("/v1/nodes").json();
  EXPECT_EQ(rest.at("nodes").as_array().size(), 2u);
  EXPECT_EQ(rest.at("unreachable"), boost::json::parse(R"(["N2"])"));
}

TEST(FanOut, ListsAreOfAllNodes) {
  FleetRig fleet(3);
  std::vector<std::string> all;
  for (std::size_t i = 0; i < 7; ++i) {
    fleet[i % 3].engine_rig.now_ms += static_cast<std::int64_t>(1'000 * (i + 1));
    all.push_back(submit(fleet[i % 3]));
  }
  std::ranges::sort(all, std::greater());
  for (const std::size_t node : {0u, 1u, 2u}) {
    const Told told = fleet[node].get("/v1/jobs");
    EXPECT_EQ(ids(told), all);
    EXPECT_FALSE(told.json().contains("unreachable"));
    EXPECT_EQ(ids(fleet[node].get("/v1/jobs", "limit=4&state=queued")),
              std::vector<std::string>(all.begin(), all.begin() + 4));
    EXPECT_THAT(ids(fleet[node].get("/v1/jobs", "state=done")), ElementsAre());
  }
  std::map<std::string, int> by_node;
  const auto listed = fleet[0].get("/v1/jobs").json();
  for (const auto& job : listed.at("jobs").as_array()) ++by_node[std::string(job.at("node").as_string())];
  EXPECT_EQ(by_node, (std::map<std::string, int>{{"N1", 3}, {"N2", 2}, {"N3", 2}}));
}

/// A node that answers each request as the test says.
ScriptedServer::Answer saying(std::map<std::string, std::string> by_path) {
  return [by_path = std::move(by_path)](const ScriptedServer::Request& request) {
    const std::string target = request.head.substr(4, request.head.find(" HTTP") - 4);
    const auto found = by_path.find(target.substr(0, target.find('?')));
    EXPECT_THAT(request.head, HasSubstr("Authorization: Bearer " + std::string(test::k_peer_token)));
    EXPECT_THAT(request.head, HasSubstr("Histod-Forwarded: 1"));
    if (found == by_path.end()) return ScriptedServer::Reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    if (found->second.starts_with("HTTP/1.1 ")) return ScriptedServer::Reply(found->second);
    return ScriptedServer::Reply(test::ok_answer(found->second));
  };
}

std::string image(const std::string& id) { return R"({"id":")" + id + R"("})"; }

TEST(FanOut, PagesOfImagesGoOnWhereTheLastOneEnded) {
  FleetRig fleet(1);
  const std::string path = "/v1/datasets/" + test::make_dataset(fleet[0]) + "/images";
  std::vector<std::string> own;
  for (int i = 0; i < 3; ++i) own.push_back(submit(fleet[0], path));
  const std::string before = "00" + own[0].substr(2), after = "7" + own[0].substr(1);
  ScriptedServer other(saying(
      {{path, R"({"jobs":[)" + image(before) + "," + image(own[1]) + "," + image(after) + R"(],"next":null})"}}));
  fleet.publish({{"N2", url_of(other)}});
  Told told = fleet[0].get(path);
  EXPECT_THAT(ids(told), ElementsAre(before, own[0], own[1], own[2], after)) << "one that two nodes know is one";
  EXPECT_TRUE(told.json().at("next").is_null());
  told = fleet[0].get(path, "limit=3");
  EXPECT_THAT(ids(told), ElementsAre(before, own[0], own[1]));
  EXPECT_EQ(told.json().at("next").as_string(), own[1]);
}

TEST(FanOut, WhoDoesNotAnswerIsNamedAndTheRestIsTold) {
  FleetRig fleet(2);
  const std::string id = submit(fleet[0]), unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  ScriptedServer silent([](const auto&) { return ScriptedServer::Reply("", ScriptedServer::Reply::End::keep); });
  ScriptedServer strange(
      saying({{"/v1/jobs", "[]"}, {"/v1/jobs/" + unknown, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"}}));
  fleet.publish({{"N3", url_of(silent)}, {"N4", url_of(strange)}, {"N5", "no address"}});
  const Told list = fleet[1].get("/v1/jobs");
  EXPECT_EQ(list.status, 200u);
  EXPECT_THAT(ids(list), ElementsAre(id));
  EXPECT_EQ(list.json().at("unreachable"), boost::json::parse(R"(["N5", "N4", "N3"])"));
  EXPECT_EQ(fleet[1].get("/v1/jobs/" + id).status, 200u) << "the first that has it";
  const Told lost = fleet[1].get("/v1/jobs/" + unknown);
  EXPECT_EQ(lost.status, 503u);
  EXPECT_EQ(lost.code(), "unreachable");
  EXPECT_EQ(lost.field("Retry-After"), "1");
  for (const char* name : {"N3", "N4", "N5"}) EXPECT_THAT(lost.body, HasSubstr(name));
  fleet.publish();
  EXPECT_EQ(fleet[1].get("/v1/jobs/" + unknown).status, 404u);
}

TEST(FanOut, ListsOfAnyFormAreJoinedOrLeftOut) {
  FleetRig fleet(1);
  for (const std::string& answer :
       {std::string("{"), std::string("[1]"), std::string(R"({"jobs":7})"), std::string(R"({"jobs":[7]})"),
        std::string(R"({"jobs":[{"id":7}]})"), std::string(R"({"jobs":[{"id":""}]})"), std::string(5'000, '['),
        std::string("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")}) {
    ScriptedServer other(saying({{"/v1/jobs", answer}}));
    fleet.publish({{"N2", url_of(other)}});
    const Told told = fleet[0].get("/v1/jobs");
    EXPECT_EQ(told.body, "{\"jobs\":[],\"unreachable\":[\"N2\"]}\n") << answer.substr(0, 100);
  }
}

TEST(FanOut, RequestsToOtherNodesAreCounted) {
  FleetRig fleet(2);
  declare_metrics(fleet[1].services);
  const std::string id = submit(fleet[0]);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(fleet[1].get("/v1/jobs/" + id).status, 200u);
  const std::string text = fleet[1].get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("histod_peer_requests_total{worker=\"0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("histod_peer_answers_total{worker=\"0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("histod_peer_connections_reused_total{worker=\"0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("histod_peer_requests_in_flight{worker=\"0\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("histod_peer_errors_total{worker=\"0\",kind=\"timed_out_stall\"} 0\n"));
}

TEST(FanOut, AWorkerEndsThoughANodeIsSilent) {
  ScriptedServer silent([](const auto&) { return ScriptedServer::Reply("", ScriptedServer::Reply::End::keep); });
  std::future<Told> answer;
  {
    FleetRig fleet(1);
    fleet.publish({{"N2", url_of(silent)}});
    answer = fleet[0].begin({.path = "/v1/jobs"});
    while (silent.requests() == 0) std::this_thread::yield();
  }
  EXPECT_EQ(answer.get().body, "{\"jobs\":[],\"unreachable\":[\"N2\"]}\n") << "it is answered, not dropped";
}

}  // namespace
}  // namespace histod::daemon::api
