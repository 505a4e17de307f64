// SPDX-License-Identifier: Apache-2.0
// Membership and election over every store.
#include "tests/control/fleet_suite.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "control/catalog.hpp"
#include "control/inspection.hpp"
#include "tests/control/fleet_rig.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using testing::SizeIs;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FleetSuite);

constexpr milliseconds k_timeout{3000};

TEST_P(FleetSuite, AloneItIsMemberAndLeader) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  EXPECT_EQ(fleet[0].membership.members().at("node0"), Fleet::member(0));
  EXPECT_EQ(fleet[0].election.leadership()->epoch, 1);
  EXPECT_EQ(fleet[0].observer.epoch(), 1);
  EXPECT_FALSE(fleet[0].membership.trouble());
}

TEST_P(FleetSuite, OneOfManyLeadsAndAllSeeAll) {
  Fleet fleet(*rig_, 5, k_timeout);
  ASSERT_TRUE(fleet.settle());
  EXPECT_THAT(fleet.leaders(), SizeIs(1));
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      EXPECT_EQ(fleet[i].membership.members().at("node" + std::to_string(j)), Fleet::member(j));
    }
  }
}

TEST_P(FleetSuite, WhenTheLeaderGoesAnotherTakesOverInAHigherEpoch) {
  Fleet fleet(*rig_, 3, k_timeout);
  std::int32_t epoch = 0;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(fleet.settle());
    const std::size_t leader = fleet.leaders().front();
    EXPECT_GT(fleet[leader].election.leadership()->epoch, epoch);
    epoch = fleet[leader].election.leadership()->epoch;
    fleet.stop(leader);
    ASSERT_TRUE(fleet.settle());
    EXPECT_NE(fleet.leaders().front(), leader);
    fleet.start(leader);
  }
}

TEST_P(FleetSuite, OnlyTheNextInLineWakesUpWhenALeaderGoes) {
  Fleet fleet(*rig_, 4, k_timeout);
  ASSERT_TRUE(fleet.settle());
  std::vector<int> before;
  for (std::size_t i = 0; i < 4; ++i) before.push_back(fleet[i].elections);
  const std::size_t leader = fleet.leaders().front();
  fleet.stop(leader);
  ASSERT_TRUE(fleet.settle());
  int woken = 0;
  for (std::size_t i = 0; i < 4; ++i) woken += i != leader && fleet[i].elections != before[i] ? 1 : 0;
  EXPECT_EQ(woken, 1);
}

TEST_P(FleetSuite, WhoWithdrawsLeadsNoMoreButStaysAMember) {
  Fleet fleet(*rig_, 2, k_timeout);
  ASSERT_TRUE(fleet.settle());
  const std::size_t leader = fleet.leaders().front();
  fleet[leader].election.withdraw();
  EXPECT_FALSE(fleet[leader].leads());
  ASSERT_TRUE(fleet.settle());
  EXPECT_EQ(fleet.leaders().front(), 1 - leader);
  EXPECT_TRUE(fleet[leader].membership.registered());
}

TEST_P(FleetSuite, WhoWithdrawsInTheMiddleOfItsCandidatureStandsInNobodysWay) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  FleetNode second(*rig_, fleet.paths(), Fleet::member(1), k_timeout);
  ASSERT_TRUE(rig_->loop().drive([&] { return second.membership.registered(); }));
  second.election.withdraw();
  second.contend();
  second.election.withdraw();  // whose candidate is being made
  FleetNode third(*rig_, fleet.paths(), Fleet::member(2), k_timeout);
  ASSERT_TRUE(rig_->loop().drive([&] { return third.membership.members().size() == 3; }));
  fleet.stop(0);
  EXPECT_TRUE(rig_->loop().drive([&] { return third.leads(); }));
  third.election.withdraw();
  second.contend();
  EXPECT_TRUE(rig_->loop().drive([&] { return second.leads(); }));
}

TEST_P(FleetSuite, AFormerLeadersWritesFailAtTheFence) {
  Fleet fleet(*rig_, 2, k_timeout);
  ASSERT_TRUE(fleet.settle());
  const std::size_t leader = fleet.leaders().front();
  const Leadership old = *fleet[leader].election.leadership();
  const std::string path = fleet.paths().datasets() + "/a";
  const auto write = [&](FleetNode& node, const Leadership& by, const std::string& where) {
    std::string outcome;
    node.session.store().multi({by.fence(), Create{where}}, [&](const auto& done) {
      outcome = done ? "done" : done.error().error.message() + " at " + std::to_string(done.error().index);
    });
    rig_->loop().drive([&] { return !outcome.empty(); });
    return outcome;
  };
  EXPECT_EQ(write(fleet[leader], old, path), "done");
  fleet[leader].election.withdraw();
  ASSERT_TRUE(fleet.settle());
  EXPECT_EQ(write(fleet[leader], old, path + "b"), "the znode was written in between at 0");
  FleetNode& successor = fleet[1 - leader];
  EXPECT_EQ(write(successor, *successor.election.leadership(), path + "c"), "done");
}

TEST_P(FleetSuite, ARemovedCandidateStandsAgainAndARemovedMemberEntersAgain) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  Client vandal(*rig_, "histod:0123456789abcdef");
  const std::string candidate = vandal.children(fleet.paths().leader())->front();
  ASSERT_TRUE(vandal.remove(fleet.paths().leader() + "/" + candidate));
  ASSERT_TRUE(vandal.remove(fleet.paths().node("node0")));
  EXPECT_TRUE(rig_->loop().drive([&] { return fleet.settled() && fleet[0].election.leadership()->epoch == 2; }));
  EXPECT_TRUE(vandal.exists(fleet.paths().node("node0")));
}

Inspection::Intruders look(StoreRig& rig, FleetNode& node, const Paths& paths) {
  Inspection inspection(node.session, paths, RecordFormat());
  std::optional<Inspection::Intruders> found;
  while (!found) {
    bool answered = false;
    inspection.look([&](Result<Inspection::Intruders> intruders) {
      answered = true;
      if (intruders) found = std::move(*intruders);
    });
    rig.loop().drive([&] { return answered; });
  }
  return *found;
}

TEST_P(FleetSuite, WhatNoNodeMakesIsFoundAndPassedOver) {
  Fleet fleet(*rig_, 2, k_timeout);
  ASSERT_TRUE(fleet.settle());
  const Paths& paths = fleet.paths();
  const std::string record = RecordFormat().write({}), credential = "histod:0123456789abcdef";
  Catalog catalog(fleet[0].session, RecordFormat());
  std::vector<std::string> parts;
  Client operator_(*rig_, credential);
  ASSERT_TRUE(operator_.create(paths.dataset("set"), record));
  ASSERT_TRUE(operator_.create(paths.dataset("set") + "/part", record));
  ASSERT_TRUE(operator_.create(paths.identity("id-node0"), record));
  EXPECT_THAT(look(*rig_, fleet[0], paths), testing::IsEmpty());

  ASSERT_TRUE(operator_.create(paths.root() + "/other", record));
  ASSERT_TRUE(operator_.create(paths.node("ghost"), record));
  ASSERT_TRUE(operator_.create(paths.node("babbler"), "hello", CreateMode::ephemeral));
  ASSERT_TRUE(operator_.create(paths.leader() + "/me", record));
  ASSERT_TRUE(operator_.create(paths.identity("id-x"), "{\"format\":0}"));
  ASSERT_TRUE(operator_.create(paths.dataset("set") + "/zero", ""));
  ASSERT_TRUE(operator_.create(paths.dataset("set") + "/part/below", record));
  ASSERT_TRUE(operator_.create(paths.dataset("later"), R"({"format":9,"since":9})"));
  EXPECT_EQ(look(*rig_, fleet[1], paths),
            (Inspection::Intruders{{paths.root() + "/other", "the fleet has no such znode"},
                                   {paths.node("ghost"), "it belongs to no session"},
                                   {paths.node("babbler"), "its data are no record"},
                                   {paths.leader() + "/me", "it belongs to no session"},
                                   {paths.identity("id-x"), "its data are no record"},
                                   {paths.dataset("set") + "/zero", "its data are no record"},
                                   {paths.dataset("set") + "/part", "there are znodes below it"}}));
  for (std::size_t i = 0; i < 2; ++i) EXPECT_THAT(fleet[i].membership.members(), SizeIs(2));
  bool answered = false;
  catalog.parts(paths.dataset("set"), [&](const Result<std::vector<Entry>>& found) {
    answered = true;
    for (const Entry& part : found.value_or(std::vector<Entry>())) parts.push_back(part.path);
  });
  ASSERT_TRUE(rig_->loop().drive([&] { return answered; }));
  EXPECT_THAT(parts, testing::ElementsAre(paths.dataset("set") + "/part"));
}

TEST_P(FleetSuite, ACandidateOfNoSessionIsPassedOver) {
  Fleet fleet(*rig_, 3, k_timeout);
  ASSERT_TRUE(fleet.settle());
  Client vandal(*rig_, "histod:0123456789abcdef");
  for (const char* name : {"me", "0-n_0000000000", "x-n_-5"})
    ASSERT_TRUE(vandal.create(fleet.paths().leader() + "/" + name, RecordFormat().write({})));
  for (const int left : {2, 1}) {
    const std::size_t leader = fleet.leaders().front();
    const std::int32_t epoch = fleet[leader].election.leadership()->epoch;
    fleet.stop(leader);
    ASSERT_TRUE(fleet.settle()) << left;
    EXPECT_EQ(fleet[fleet.leaders().front()].election.leadership()->epoch, epoch + 1);
  }
  ASSERT_TRUE(vandal.remove(fleet.paths().leader() + "/me"));
  rig_->loop().pass(k_timeout);
  EXPECT_EQ(fleet[fleet.leaders().front()].election.leadership()->epoch, 3) << "its going is no election";
}

TEST_P(FleetSuite, AnotherCredentialsZnodesAreFound) {
  const Paths paths(rig_->root());
  Client nobody(*rig_), stranger(*rig_, "stranger:0123456789abcdef");
  const std::string record = RecordFormat().write({});
  // Before the fleet: what is not there yet anybody may make.
  ASSERT_TRUE(nobody.create(paths.root(), record));
  ASSERT_TRUE(nobody.create(paths.datasets(), record));
  FleetNode node(*rig_, paths, Fleet::member(0), k_timeout);
  ASSERT_TRUE(rig_->loop().drive([&] { return node.settled("node0", 1); }));
  ASSERT_TRUE(stranger.create(paths.dataset("theirs"), record));
  EXPECT_EQ(nobody.set(paths.epoch(), record).error(), Errc::no_auth);
  EXPECT_EQ(look(*rig_, node, paths),
            (Inspection::Intruders{{paths.root(), "others may change it"},
                                   {paths.datasets(), "others may change it"},
                                   {paths.dataset("theirs"), "it is for another credential"}}));
}

// Pitfall 5: the former session's end must not take the new one's znode along.
TEST_P(FleetSuite, ANodeThatComesBackBeforeItsOldSessionEndsReplacesItsEphemeral) {
  const Paths paths(rig_->root());
  auto former = std::make_unique<Client>(*rig_, "histod:0123456789abcdef");
  ASSERT_TRUE(former->create(paths.root()));
  ASSERT_TRUE(former->create(paths.nodes()));
  ASSERT_TRUE(former->create(paths.node("node0"), RecordFormat().write({{"identity", "id-node0"}, {"cpus", 3}}),
                             CreateMode::ephemeral));
  FleetNode node(*rig_, paths, Fleet::member(0), k_timeout);
  ASSERT_TRUE(rig_->loop().drive([&] { return node.settled("node0", 1); }));
  former.reset();
  Client observer(*rig_, "histod:0123456789abcdef");
  EXPECT_EQ(observer.exists(paths.node("node0"))->ephemeral_owner, node.session.id());
  EXPECT_EQ(node.membership.members().at("node0").cpus, 8);
}

TEST_P(FleetSuite, ANameIsTakenOnceAndFreeWhenItsHolderGoes) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  Member impostor = Fleet::member(0);
  impostor.identity = "another";
  FleetNode second(*rig_, fleet.paths(), impostor, k_timeout);
  ASSERT_TRUE(rig_->loop().drive(
      [&] { return second.membership.trouble() == Errc::node_exists && second.membership.members().size() == 1; }));
  EXPECT_FALSE(second.membership.registered());
  EXPECT_EQ(second.membership.members().at("node0").identity, "id-node0");
  fleet.stop(0);
  EXPECT_TRUE(rig_->loop().drive([&] { return second.settled("node0", 1); }));
  EXPECT_FALSE(second.membership.trouble());
}

TEST_P(FleetSuite, AMemberOfALaterReleaseIsSeenByItsName) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  Client later(*rig_, "histod:0123456789abcdef");
  ASSERT_TRUE(
      later.create(fleet.paths().node("later"), RecordFormat(9, 9).write({{"cpus", 4}}), CreateMode::ephemeral));
  ASSERT_TRUE(later.create(fleet.paths().node("next"), RecordFormat(2, 1).write({{"cpus", 4}}), CreateMode::ephemeral));
  const auto& members = fleet[0].membership.members();
  ASSERT_TRUE(rig_->loop().drive([&] { return members.size() == 3; }));
  EXPECT_EQ(members.at("later"), Member{.name = "later"});
  EXPECT_EQ(members.at("next").cpus, 4);
}

TEST_P(FleetSuite, AFleetOfAnotherCredentialIsNotOurs) {
  Fleet fleet(*rig_, 1, k_timeout);
  ASSERT_TRUE(fleet.settle());
  Session session(rig_->loop(), rig_->opener("histod:not-the-password", k_timeout));
  session.start();
  ASSERT_TRUE(rig_->loop().drive([&] { return session.state() == SessionState::connected; }));
  std::error_code refused;
  make_layout(session, Paths(fleet.paths().root() + "/nodes/x"), [&](Result<void> made) { refused = made.error(); });
  EXPECT_TRUE(rig_->loop().drive([&] { return !!refused; }));
  EXPECT_EQ(refused, Errc::no_auth);
}

TEST(Names, AreShortAndPlain) {
  for (const char* name : {"a", "node-1.rack_2", "A1"}) EXPECT_TRUE(is_name(name)) << name;
  for (const std::string name : {"", ".a", "a/b", "a b", "\xc3\xa4"}) EXPECT_FALSE(is_name(name)) << name;
  EXPECT_FALSE(is_name(std::string(65, 'a')));
  EXPECT_EQ(Paths("/r").dataset("d"), "/r/datasets/d");
  EXPECT_EQ(Paths("/r").identity("i"), "/r/identities/i");
}

}  // namespace histod::control::tests
