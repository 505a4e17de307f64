// SPDX-License-Identifier: Apache-2.0
// How a dataset is told whose images are on several nodes.
#include "daemon/api/dataset_json.hpp"

#include <algorithm>
#include <random>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon::api {
namespace {

namespace json = boost::json;
using jobs::JobState;
using test::FleetRig;
using test::ScriptedServer;
using test::Told;

jobs::DatasetStatus status_of(std::mt19937& random, std::uint64_t revision, std::uint64_t applied) {
  const auto some = [&] { return std::uint64_t{random() % 1'000}; };
  jobs::DatasetStatus out;
  out.record.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  out.record.name = "walls";
  out.record.options = {{"rule", "exact"}};
  out.record.lut.emplace();
  out.record.lut->revision = revision;
  out.record.lut->digest = "sha-256=00";
  out.record.applied_revision = applied;
  out.stale = random() % 4 == 0;
  for (auto& count : out.images.in_state) count = some();
  out.images.made = some();
  out.images.counted = out.images.made + some();
  out.images.waiting = random() % 2 == 0 ? 0 : some();
  out.images.total = out.images.counted + out.images.waiting;
  out.images.made_bytes = some();
  out.images.counted_bytes = out.images.made_bytes + some();
  out.images.waiting_bytes = some();
  out.images.bytes = out.images.counted_bytes + out.images.waiting_bytes;
  return out;
}

std::pair<std::uint64_t, std::uint64_t> heard(const jobs::DatasetStatus& one) {
  return {one.record.lut->revision, one.record.applied_revision};
}

TEST(DatasetJson, IsTheSumOfAllNodesParts) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<jobs::DatasetStatus> parts;
    std::vector<NodePart> told;
    std::uint64_t total = 0, counted = 0, made = 0, waiting = 0, bytes = 0, counted_bytes = 0, made_bytes = 0,
                  waiting_bytes = 0, done = 0;
    bool stale = false;
    for (std::size_t i = 0; i < 1 + random() % 4; ++i) {
      const std::uint64_t revision = 2 + random() % 2;
      parts.push_back(status_of(random, revision, revision - random() % 2));
      const jobs::DatasetStatus& one = parts.back();
      total += one.images.total, counted += one.images.counted, waiting += one.images.waiting;
      bytes += one.images.bytes, counted_bytes += one.images.counted_bytes, waiting_bytes += one.images.waiting_bytes;
      done += one.images.in_state[static_cast<std::size_t>(JobState::done)];
      stale = stale || (one.stale && heard(one) == heard(parts.front()));
      // As another node would send it.
      told.push_back({"N" + std::to_string(i), json::parse(json::serialize(dataset_part(one))).as_object()});
      ASSERT_TRUE(is_dataset_part(told.back().part));
    }
    // Of tables, and whether they are applied, the node that has heard most knows.
    const auto last = heard(*std::ranges::max_element(parts, {}, heard));
    for (const jobs::DatasetStatus& one : parts)
      if (heard(one) == last) made += one.images.made, made_bytes += one.images.made_bytes;
    const std::size_t answering = told.size();
    told.push_back({"silent", {}});
    const json::object out = joined(std::move(told));
    const auto number = [&](const char* group, const char* name) {
      return out.at(group).at(name).to_number<std::uint64_t>();
    };
    EXPECT_EQ(number("images", "total"), total);
    EXPECT_EQ(number("images", "counted"), counted);
    EXPECT_EQ(number("images", "done"), done);
    EXPECT_EQ(number("images", "bytes"), bytes);
    EXPECT_EQ(out.at("lut").at("stale").as_bool(), stale);
    const bool applies = last.first == last.second, counting = waiting > 0;
    EXPECT_EQ(out.at("progress").at("phase").as_string(), counting                    ? "counting"
                                                          : applies && made < counted ? "applying"
                                                                                      : "idle");
    const bool of_making = !counting && applies;
    EXPECT_EQ(number("progress", "items_done"), of_making ? made : total - waiting);
    EXPECT_EQ(number("progress", "items_total"), of_making ? counted : total);
    EXPECT_EQ(number("progress", "bytes_done"), of_making ? made_bytes : bytes - waiting_bytes);
    EXPECT_EQ(number("progress", "bytes_total"), of_making ? counted_bytes : bytes);
    ASSERT_EQ(out.at("nodes").as_array().size(), answering + 1);
    for (std::size_t i = 0; i < answering; ++i) {
      const json::value& node = out.at("nodes").as_array()[i];
      EXPECT_EQ(node.at("name").as_string(), "N" + std::to_string(i));
      EXPECT_TRUE(node.at("reachable").as_bool());
      EXPECT_EQ(node.at("images").at("total").to_number<std::uint64_t>(), parts[i].images.total);
    }
    EXPECT_FALSE(out.at("nodes").as_array().back().at("reachable").as_bool());
    EXPECT_FALSE(out.contains("part"));
  }
}

TEST(DatasetJson, PartsMayBeAnything) {
  std::mt19937 random(7);
  const json::object good = json::parse(json::serialize(dataset_part(status_of(random, 1, 1)))).as_object();
  EXPECT_TRUE(is_dataset_part(good));
  EXPECT_FALSE(is_dataset_part({}));
  for (const char* name : {"id", "images", "lut", "part"}) {
    for (const char* text : {"7", "\"x\"", "[]", "true"}) {
      json::object bad = good;
      bad[name] = json::parse(text);
      EXPECT_EQ(is_dataset_part(bad), bad.at(name).is_string() && std::string_view(name) == "id") << name << text;
    }
    json::object without = good;
    without.erase(name);
    EXPECT_FALSE(is_dataset_part(without)) << name;
  }
  for (const char* text : {"-1", "1e300", "\"7\"", "null", "{}", "18446744073709551615"}) {
    json::object odd = good;
    for (auto* group : {&odd.at("images"), &odd.at("part")})
      for (auto& member : group->as_object()) member.value() = json::parse(text);
    EXPECT_EQ(joined({{"N1", good}, {"N2", odd}}).at("nodes").as_array().size(), 2u) << text;
    EXPECT_EQ(joined({{"N2", odd}, {"N1", good}}).at("nodes").as_array().size(), 2u) << text;
  }
}

class DatasetsOfAFleet : public testing::Test {
 protected:
  std::string make() { return test::make_dataset(fleet_[0]); }
  /// The part that another node would have of that dataset, with this many images.
  std::string part(const std::string& id, int total) {
    json::object out = ask_as_peer(id).json();
    out.at("images").as_object()["total"] = total;
    return json::serialize(out);
  }
  Told ask_as_peer(const std::string& id) {
    return fleet_[0].ask({.path = "/v1/datasets/" + id,
                          .token = std::string(test::k_peer_token),
                          .fields = {{"Histod-Forwarded", "1"}}});
  }
  FleetRig fleet_{1};
};

TEST_F(DatasetsOfAFleet, OneNodesPartIsAllWhereThereIsNoOther) {
  const std::string id = make();
  const auto told = fleet_[0].get("/v1/datasets/" + id).json();
  EXPECT_EQ(told.at("nodes"), json::parse(R"([{"name":"N1","reachable":true,"images":{"total":0,"queued":0,
      "running":0,"counted":0,"done":0,"failed":0,"bytes":0}}])"));
  EXPECT_TRUE(ask_as_peer(id).json().contains("part"));
}

TEST_F(DatasetsOfAFleet, TotalsAreOfAllNodes) {
  const std::string id = make(), unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  const std::string theirs = part(id, 40);
  std::string later = theirs;
  later.replace(later.find(id), id.size(), unknown);
  ScriptedServer other([&](const ScriptedServer::Request& request) {
    if (request.head.find("/v1/datasets/" + id) != std::string::npos)
      return ScriptedServer::Reply(test::ok_answer(theirs));
    if (request.head.find("/v1/datasets/" + unknown) != std::string::npos)
      return ScriptedServer::Reply(test::ok_answer(later));
    if (request.head.find("/v1/datasets ") != std::string::npos)
      return ScriptedServer::Reply(test::ok_answer("{\"datasets\":[" + later + "," + theirs + "]}"));
    return ScriptedServer::Reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  });
  ScriptedServer silent([](const auto&) { return ScriptedServer::Reply("", ScriptedServer::Reply::End::keep); });
  fleet_.publish({{"N2", test::url_of(other)}, {"N3", test::url_of(silent)}});
  const auto told = fleet_[0].get("/v1/datasets/" + id).json();
  EXPECT_EQ(told.at("images").at("total").to_number<int>(), 40);
  EXPECT_EQ(told.at("nodes").as_array().size(), 3u);
  EXPECT_EQ(told.at("nodes").at(1).at("images").at("total").to_number<int>(), 40);
  EXPECT_EQ(told.at("nodes").at(2), json::parse(R"({"name":"N3","reachable":false,"images":{}})"));
  fleet_.publish({{"N2", test::url_of(other)}});
  const auto list = fleet_[0].get("/v1/datasets").json().at("datasets").as_array();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[id > unknown ? 0 : 1].at("nodes").as_array().size(), 2u);
  const Told elsewhere = fleet_[0].get("/v1/datasets/" + unknown);
  EXPECT_EQ(elsewhere.status, 200u) << "this node does not know of it yet";
  EXPECT_EQ(elsewhere.json().at("nodes").at(0).at("name").as_string(), "N2");
  EXPECT_EQ(fleet_[0].get("/v1/datasets/01BX5ZZKBKACTAV9WEVGEMMVRZ").status, 404u);
}

}  // namespace
}  // namespace histod::daemon::api
