// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/fleet_events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon::telemetry {
namespace {

using control::SessionState;
using testing::ElementsAre;
using testing::IsEmpty;

FleetSnapshot fleet_of(const std::vector<std::string>& members, const std::string& leader = "",
                       SessionState state = SessionState::connected) {
  FleetSnapshot out;
  out.self = "a";
  out.servers = {"zk:2181"};
  out.state = state;
  out.leader = leader;
  out.leads = leader == "a";
  for (const std::string& name : members) out.members.push_back({.name = name});
  return out;
}

/// The types without what they all begin with, and what each is about.
std::vector<std::string> said(const std::vector<Event>& events) {
  std::vector<std::string> out;
  for (const Event& event : events)
    out.push_back(event.type.substr(sizeof "io.histod." - 1) + (event.subject.empty() ? "" : " " + event.subject));
  return out;
}

TEST(FleetEvents, ASessionsStatesInTheOriginalsWords) {
  FleetEvents fleet;
  const auto to = [&](SessionState before, SessionState now) {
    const auto events = fleet.changed(fleet_of({"a", "b"}, "b", before), fleet_of({"a", "b"}, "b", now));
    EXPECT_EQ(events.size(), 1u);
    return std::string(severity_name(events[0].severity)) + " " + std::string(events[0].message());
  };
  EXPECT_EQ(to(SessionState::connecting, SessionState::connected), "ok ZooKeeper Connection: OK");
  EXPECT_EQ(to(SessionState::connected, SessionState::suspended), "warning ZooKeeper Connection: WARNING: SUSPENDED");
  EXPECT_EQ(to(SessionState::suspended, SessionState::lost), "error ZooKeeper Connection: LOST");
  EXPECT_EQ(to(SessionState::lost, SessionState::connecting), "info ZooKeeper Connection: CONNECTING");
}

TEST(FleetEvents, TheLeaderTellsOfMembers) {
  FleetEvents leader, other;
  EXPECT_THAT(said(leader.changed(fleet_of({"a"}, "a"), fleet_of({"a", "b"}, "a"))),
              ElementsAre("cluster.node_joined b"));
  EXPECT_THAT(said(leader.changed(fleet_of({"a", "b"}, "a"), fleet_of({"a"}, "a"))),
              ElementsAre("cluster.node_left b"));
  EXPECT_THAT(said(other.changed(fleet_of({"a", "b"}, "b"), fleet_of({"a", "b", "c"}, "b"))), IsEmpty());
  EXPECT_THAT(said(other.changed(fleet_of({"a", "b", "c"}, "b"), fleet_of({"a", "b"}, "b"))), IsEmpty());
}

TEST(FleetEvents, WhatHappensWithoutALeaderIsToldByTheNext) {
  FleetEvents next, other;
  EXPECT_THAT(said(next.changed(fleet_of({"a", "b", "c"}, "b"), fleet_of({"a", "c"}))), IsEmpty());
  EXPECT_THAT(said(next.changed(fleet_of({"a", "c"}), fleet_of({"a", "c"}, "a"))),
              ElementsAre("cluster.node_left b", "cluster.leader a"));
  EXPECT_THAT(said(next.changed(fleet_of({"a", "c"}, "a"), fleet_of({"a", "c"}, "a"))), IsEmpty());
  EXPECT_THAT(said(other.changed(fleet_of({"a", "b", "c"}, "b"), fleet_of({"a", "c"}))), IsEmpty());
  EXPECT_THAT(said(other.changed(fleet_of({"a", "c"}), fleet_of({"a", "c"}, "c"))), IsEmpty()) << "c tells it";
  EXPECT_THAT(said(other.changed(fleet_of({"a", "c"}, "c"), fleet_of({"a", "c"}, "a"))),
              ElementsAre("cluster.leader a"));
}

TEST(FleetEvents, AlertsAndTheirEnds) {
  FleetEvents fleet;
  FleetSnapshot good = fleet_of({"a"}, "a"), bad = good;
  bad.alert_told = "the fleet has 1 member, but needs 3";
  const auto events = fleet.changed(good, bad);
  ASSERT_THAT(said(events), ElementsAre("cluster.alert"));
  EXPECT_EQ(events[0].message(), bad.alert_told);
  EXPECT_EQ(events[0].severity, Severity::error);
  EXPECT_THAT(said(fleet.changed(bad, good)), ElementsAre("cluster.alert_over"));
}

TEST(FleetEvents, IntrudersOnceEach) {
  FleetEvents fleet;
  FleetSnapshot one = fleet_of({"a"}, "a"), two = one;
  one.intruders = {"/histod/x: is none"};
  two.intruders = {"/histod/x: is none", "/histod/y: is open"};
  const auto events = fleet.changed(one, two);
  ASSERT_THAT(said(events), ElementsAre("secops.znode"));
  EXPECT_THAT(std::string(events[0].message()), testing::HasSubstr("/histod/y: is open"));
}

TEST(FleetEvents, WhoIsAloneOrHasLeftTellsNothing) {
  FleetEvents fleet;
  FleetSnapshot alone = fleet_of({"a"}, "a"), gone = fleet_of({"a"}, "", SessionState::lost);
  alone.servers.clear();
  gone.has_left = true;
  EXPECT_THAT(fleet.changed(FleetSnapshot(), alone), IsEmpty());
  EXPECT_THAT(fleet.changed(fleet_of({"a"}, "a"), gone), IsEmpty());
}

}  // namespace
}  // namespace histod::daemon::telemetry
