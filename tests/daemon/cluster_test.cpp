// SPDX-License-Identifier: Apache-2.0
// How the fleet's board is shown: /v1/cluster, /v1/node, /ready and the metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/node_metrics.hpp"
#include "tests/daemon/api_rig.hpp"

namespace histod::daemon::api {
namespace {

using control::SessionState;
using test::ApiRig;
using test::Told;

class ClusterTest : public testing::Test {
 protected:
  void publish() { rig_.services.fleet.publish(std::make_shared<const FleetSnapshot>(fleet_)); }
  std::string metric(const std::string& name) {
    const std::string text = rig_.get("/metrics").body;
    const auto at = text.find('\n' + name + ' ');
    return at == std::string::npos ? "none"
                                   : text.substr(at + name.size() + 2, text.find('\n', at + 1) - at - name.size() - 2);
  }
  /// The second of three nodes, of which the first leads.
  static FleetSnapshot second_of_three() {
    FleetSnapshot fleet;
    fleet.state = SessionState::connected;
    fleet.since_ms = 1'767'323'045'678;
    fleet.servers = {"zk1:2181", "zk2:2181"};
    fleet.session_id = 0x100001234567890;
    fleet.session_timeout = std::chrono::seconds(4);
    fleet.self = "n2";
    fleet.registered = true;
    fleet.leader = "n1";
    fleet.epoch = 7;
    for (const char* name : {"n1", "n2", "n3"})
      fleet.members.push_back({name, std::string("id-") + name, std::string("http://") + name + ":80", "0.1", 4});
    fleet.min_nodes = 3;
    fleet.elections = 2;
    fleet.sessions = {3, 5, 2};
    return fleet;
  }
  ApiRig rig_;
  FleetSnapshot fleet_ = second_of_three();
};

TEST_F(ClusterTest, ShowsTheFleet) {
  publish();
  rig_.options.node_name = "n2";
  const Told told = rig_.get("/v1/cluster");
  ASSERT_EQ(told.status, 200u) << told.body;
  EXPECT_EQ(told.json(), boost::json::parse(R"({"node_name": "n2", "role": "member",
        "zookeeper": {"state": "CONNECTED", "since": "2026-01-02T03:04:05.678Z", "embedded": false,
                      "servers": ["zk1:2181", "zk2:2181"], "session_id": "0x100001234567890", "session_timeout_ms": 4000},
        "leader": {"name": "n1", "epoch": 7},
        "members": [{"name": "n1", "id": "id-n1", "url": "http://n1:80", "version": "0.1", "cpus": 4, "self": false, "leader": true},
                    {"name": "n2", "id": "id-n2", "url": "http://n2:80", "version": "0.1", "cpus": 4, "self": true, "leader": false},
                    {"name": "n3", "id": "id-n3", "url": "http://n3:80", "version": "0.1", "cpus": 4, "self": false, "leader": false}],
        "min_nodes": 3, "alert": false,
        "counts": {"elections_won": 2, "sessions": 3, "suspensions": 5, "session_losses": 2}})"));
}

TEST_F(ClusterTest, ShowsTroubleAndAlert) {
  fleet_.state = SessionState::lost;
  fleet_.registered = false;
  fleet_.leader.clear();
  fleet_.members.pop_back();
  fleet_.trouble = "ZooKeeper refuses the credential";
  publish();
  const auto shown = rig_.get("/v1/cluster").json();
  EXPECT_EQ(shown.at("role").as_string(), "outside");
  EXPECT_EQ(shown.at("zookeeper").at("state").as_string(), "LOST");
  EXPECT_EQ(shown.at("zookeeper").at("trouble").as_string(), "ZooKeeper refuses the credential");
  EXPECT_TRUE(shown.at("leader").at("name").is_null());
  EXPECT_TRUE(shown.at("alert").as_bool());
  EXPECT_EQ(shown.at("alert_detail").as_string(), "the fleet has 2 members, but needs 3");
}

TEST_F(ClusterTest, ShowsZnodesThatAreNotTheFleets) {
  declare_metrics(rig_.services);
  fleet_.intruders = {"/histod/nodes/ghost: its data are no record", "/histod/x: the fleet has no such znode"};
  fleet_.intrusions = 5;
  publish();
  auto shown = rig_.get("/v1/cluster").json();
  EXPECT_EQ(shown.at("intruders"), boost::json::array(fleet_.intruders.begin(), fleet_.intruders.end()));
  EXPECT_TRUE(shown.at("alert").as_bool());
  EXPECT_EQ(shown.at("alert_detail").as_string(), "2 of the fleet's znodes are not as nodes make them");
  EXPECT_EQ(metric("histod_security_events_total{kind=\"znode\"}"), "5");
  fleet_.members.pop_back();
  publish();
  shown = rig_.get("/v1/cluster").json();
  EXPECT_EQ(shown.at("alert_detail").as_string(),
            "the fleet has 2 members, but needs 3; 2 of the fleet's znodes are not as nodes make them");
}

TEST_F(ClusterTest, NeedsTheRoleRead) {
  EXPECT_EQ(rig_.ask({.path = "/v1/cluster", .token = {}}).status, 401u);
  EXPECT_EQ(rig_.ask({.path = "/v1/cluster", .token = std::string(test::k_read_token)}).status, 200u);
  EXPECT_EQ(rig_.ask({.method = "POST", .path = "/v1/cluster"}).status, 405u);
}

TEST_F(ClusterTest, TheNodeSaysItInShort) {
  publish();
  EXPECT_EQ(rig_.get("/v1/node").json().at("fleet"), boost::json::parse(R"({"zookeeper": "CONNECTED", "embedded": false,
      "members": 3, "role": "member", "epoch": 7, "alert": false})"));
}

TEST_F(ClusterTest, OfTheProbesReadyAloneAsksForZooKeeper) {
  EXPECT_EQ(rig_.get("/ready").body, "{\"status\":\"ready\",\"zookeeper\":\"embedded\"}\n");
  rig_.services.ready = true;
  const std::pair<SessionState, std::string> cases[] = {
      {SessionState::connecting, "CONNECTING"}, {SessionState::suspended, "SUSPENDED"}, {SessionState::lost, "LOST"}};
  for (const auto& [state, name] : cases) {
    fleet_.state = state;
    publish();
    const Told told = rig_.ask({.path = "/ready", .token = {}});
    EXPECT_EQ(told.status, 503u);
    EXPECT_EQ(told.field("Retry-After"), "1");
    EXPECT_EQ(told.body, "{\"status\":\"not ready\",\"zookeeper\":\"" + name + "\"}\n");
    EXPECT_EQ(rig_.get("/readyz").status, 200u) << name;
  }
  fleet_.state = SessionState::connected;
  publish();
  EXPECT_EQ(rig_.get("/ready").body, "{\"status\":\"ready\",\"zookeeper\":\"CONNECTED\"}\n");
}

TEST_F(ClusterTest, MetricsComeInTheFormThatIsWanted) {
  declare_metrics(rig_.services);
  publish();
  const Told text = rig_.ask({.path = "/metrics", .token = {}});
  EXPECT_EQ(text.content_type, "text/plain; version=0.0.4; charset=utf-8");
  const Told open = rig_.ask({.path = "/metrics", .token = {}, .fields = {{"Accept", "application/openmetrics-text"}}});
  EXPECT_EQ(open.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_TRUE(open.body.ends_with("# EOF\n"));
  EXPECT_EQ(open.field("Vary"), "Accept");
  EXPECT_EQ(text.field("Vary"), "Accept");
}

TEST_F(ClusterTest, DurationsAreToldApartByKindOfRequest) {
  const auto kind = [](std::string_view method, std::string_view path) {
    return k_request_kind_names[static_cast<std::size_t>(kind_of(*match_route(method, path).route))];
  };
  EXPECT_STREQ(kind("POST", "/v1/equalize"), "image");
  EXPECT_STREQ(kind("POST", "/v1/histogram"), "image");
  EXPECT_STREQ(kind("POST", "/v1/jobs"), "submit");
  EXPECT_STREQ(kind("POST", "/upload"), "submit");
  EXPECT_STREQ(kind("GET", "/v1/jobs"), "read");
  EXPECT_STREQ(kind("GET", "/metrics"), "read");
  EXPECT_STREQ(kind("DELETE", "/v1/datasets/x"), "change");
  EXPECT_STREQ(kind("PUT", "/v1/datasets/x/lut"), "change");
  EXPECT_STREQ(kind("GET", "/v1/peer/keys/x"), "peer");
  EXPECT_STREQ(kind("POST", "/v1/peer/parts/count"), "peer");
}

TEST_F(ClusterTest, MetricsFollowTheBoard) {
  declare_metrics(rig_.services);
  publish();
  EXPECT_EQ(metric("histod_zookeeper_session_state{histod_zookeeper_session_state=\"CONNECTED\"}"), "1");
  EXPECT_EQ(metric("histod_zookeeper_session_state{histod_zookeeper_session_state=\"LOST\"}"), "0");
  EXPECT_EQ(metric("histod_zookeeper_session_losses_total"), "2");
  EXPECT_EQ(metric("histod_zookeeper_suspensions_total"), "5");
  EXPECT_EQ(metric("histod_fleet_members"), "3");
  EXPECT_EQ(metric("histod_fleet_members_min"), "3");
  EXPECT_EQ(metric("histod_fleet_leader"), "0");
  EXPECT_EQ(metric("histod_fleet_epoch"), "7");
  EXPECT_EQ(metric("histod_fleet_elections_total"), "2");
  fleet_.leads = true;
  fleet_.epoch = 8;
  publish();
  EXPECT_EQ(metric("histod_fleet_leader"), "1");
  EXPECT_EQ(metric("histod_fleet_epoch"), "8");
}

}  // namespace
}  // namespace histod::daemon::api
