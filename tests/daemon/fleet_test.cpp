// SPDX-License-Identifier: Apache-2.0
// A daemon's part in its fleet, on a simulated clock: what the board shows and what the log says.
#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/executor.hpp"
#include "daemon/fleet_node.hpp"
#include "tests/control/store_rig.hpp"

namespace histod::daemon {
namespace {

using namespace std::chrono_literals;
using control::SessionState;
using control::tests::FaultyRig;
using control::tests::MemoryRig;
using control::tests::StoreRig;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr auto k_timeout = 6s;
const std::string k_identity = "histod:0123456789abcdef";

FleetSettings settings(const std::string& name, std::uint64_t min_nodes = 1) {
  return {{"zk1:2181", "zk2:2181"}, "/histod", {name, "id-" + name, "http://" + name + ":8080", "1.0", 8}, min_nodes};
}

/// One node with its board and its log.
struct Node {
  Node(StoreRig& rig, FleetSettings what, control::OpenStore open)
      : log(
            LogLevel::info, LogFormat::logfmt, [this](std::string_view line) { lines.emplace_back(line); },
            [] { return 0; }),
        node(std::make_unique<FleetNode>(rig.loop(), std::move(open), std::move(what), log, board, [&rig] {
          return std::chrono::duration_cast<std::chrono::milliseconds>(rig.loop().now().time_since_epoch()).count();
        })) {
    node->start();
  }
  Node(StoreRig& rig, FleetSettings what) : Node(rig, std::move(what), rig.opener(k_identity, k_timeout)) {}

  FleetSnapshot shown() const { return *board.read(); }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& member : board.read()->members) out.push_back(member.name);
    return out;
  }
  /// How many lines hold this.
  std::ptrdiff_t said(const std::string& what) const {
    return std::ranges::count_if(lines, [&](const auto& line) { return line.contains(what); });
  }
  bool settled(std::size_t members) const {
    const FleetSnapshot now = shown();
    return now.registered && now.members.size() == members && !now.leader.empty();
  }

  std::vector<std::string> lines;
  Log log;
  FleetBoard board;
  std::unique_ptr<FleetNode> node;
};

TEST(FleetNode, OneAloneLeadsItself) {
  MemoryRig rig;
  FleetSettings alone = settings("a");
  alone.servers.clear();
  Node node(rig, alone);
  EXPECT_EQ(node.shown().state, SessionState::connecting);
  EXPECT_EQ(node.shown().role(), "outside");
  EXPECT_EQ(node.shown().alert(), "the fleet has 0 members, but needs 1");
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1) && node.shown().leads; }));
  const FleetSnapshot now = node.shown();
  EXPECT_EQ(now.state, SessionState::connected);
  EXPECT_TRUE(now.embedded());
  EXPECT_EQ(now.self, "a");
  EXPECT_EQ(now.leader, "a");
  EXPECT_EQ(now.role(), "leader");
  EXPECT_EQ(now.epoch, 1);
  EXPECT_EQ(now.elections, 1u);
  EXPECT_EQ(now.sessions.sessions, 1u);
  EXPECT_EQ(now.sessions.losses, 0u);
  EXPECT_EQ(now.alert(), "");
  EXPECT_EQ(now.trouble, "");
  EXPECT_EQ(now.members, std::vector{alone.self});
  EXPECT_THAT(node.lines, IsEmpty()) << "nobody asked a node that is alone about its fleet";
}

TEST(FleetNode, TheLeaderTellsOfZnodesThatAreNotTheFleets) {
  MemoryRig rig;
  Node a(rig, settings("a")), b(rig, settings("b"));
  ASSERT_TRUE(rig.loop().drive([&] { return a.settled(2) && b.settled(2); }));
  Node& leader = a.shown().leads ? a : b;
  Node& other = a.shown().leads ? b : a;
  rig.loop().pass(60s);
  EXPECT_EQ(leader.said("security"), 0);
  control::tests::Client vandal(rig, k_identity);
  ASSERT_TRUE(vandal.create("/histod/nodes/ghost", "no record"));
  ASSERT_TRUE(rig.loop().drive([&] { return leader.shown().intrusions == 1; }));
  rig.loop().pass(60s);
  EXPECT_EQ(leader.said("msg=\"security: a znode is not as nodes make it, and is passed over\" "
                        "path=/histod/nodes/ghost why=\"its data are no record\""),
            1);
  EXPECT_THAT(leader.shown().intruders, ElementsAre("/histod/nodes/ghost: its data are no record"));
  EXPECT_EQ(leader.shown().alert(), "1 of the fleet's znodes is not as nodes make them");
  EXPECT_EQ(leader.shown().shortage(), "");
  EXPECT_THAT(leader.names(), ElementsAre("a", "b"));
  EXPECT_THAT(other.shown().intruders, IsEmpty());
  EXPECT_EQ(other.said("security"), 0) << "once for the fleet";
  ASSERT_TRUE(vandal.remove("/histod/nodes/ghost"));
  ASSERT_TRUE(rig.loop().drive([&] { return leader.shown().intruders.empty(); }));
  EXPECT_EQ(leader.shown().alert(), "");
  EXPECT_EQ(leader.shown().intrusions, 1u);
}

TEST(FleetNode, SeveralAgreeAndEachChangeIsSaidOnce) {
  MemoryRig rig;
  std::map<std::string, std::unique_ptr<Node>> nodes;
  const auto all_settled = [&] {
    return std::ranges::all_of(nodes, [&](const auto& each) { return each.second->settled(nodes.size()); });
  };
  for (const char* name : {"a", "b", "c"}) {
    nodes[name] = std::make_unique<Node>(rig, settings(name, 3));
    ASSERT_TRUE(rig.loop().drive(all_settled));
    rig.loop().pass(2s);
  }
  rig.loop().pass(10s);  // in which nothing changes, and nothing is said
  EXPECT_EQ(nodes["b"]->shown().leader, "a");
  EXPECT_EQ(nodes["b"]->shown().role(), "member");
  EXPECT_EQ(nodes["a"]->shown().session_timeout, k_timeout);
  EXPECT_NE(nodes["a"]->shown().session_id, nodes["b"]->shown().session_id);
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(nodes["a"]->said("msg=\"member joined\" node=" + std::string(name)), 1);
  EXPECT_EQ(nodes["a"]->said("msg=\"the fleet has 1 member, but needs 3\""), 1);
  EXPECT_EQ(nodes["a"]->said("msg=\"the fleet has 2 members, but needs 3\""), 1);
  EXPECT_EQ(nodes["a"]->said("msg=\"the fleet has the members that it needs\" members=3"), 1);
  EXPECT_EQ(nodes["a"]->said("msg=zookeeper state=CONNECTED"), 1);
  EXPECT_EQ(nodes["c"]->said("msg=leader node=a epoch=1 self=false"), 1);
  EXPECT_EQ(nodes["a"]->said("msg=leader node=a epoch=1 self=true"), 1);
  EXPECT_THAT(nodes["a"]->lines, SizeIs(3 + 2 + 1 + 1 + 1));

  nodes.erase("a");
  ASSERT_TRUE(rig.loop().drive([&] { return all_settled() && nodes["b"]->shown().leads; }));
  rig.loop().pass(10s);
  EXPECT_EQ(nodes["c"]->shown().leader, "b");
  EXPECT_EQ(nodes["c"]->shown().epoch, 2);
  EXPECT_EQ(nodes["b"]->shown().elections, 1u);
  EXPECT_EQ(nodes["c"]->shown().elections, 0u);
  EXPECT_EQ(nodes["c"]->shown().alert(), "the fleet has 2 members, but needs 3");
  EXPECT_EQ(nodes["c"]->said("msg=\"member left\" node=a"), 1);
  EXPECT_EQ(nodes["c"]->said("msg=leader node=b epoch=2"), 1);
}

TEST(FleetNode, WhoWasStoppedFindsItsSessionLostAndComesBack) {
  MemoryRig rig;
  Node node(rig, settings("a"));
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1) && node.shown().leads; }));
  const auto since = node.shown().since_ms;
  rig.loop().freeze(20s);
  ASSERT_TRUE(rig.loop().drive([&] { return node.shown().state == SessionState::lost; }, 2s));
  EXPECT_FALSE(node.shown().leads);
  EXPECT_EQ(node.shown().role(), "outside");
  EXPECT_EQ(node.shown().leader, "") << "that it led is over, though nobody else does";
  EXPECT_GE(node.shown().since_ms, since + 20'000);
  EXPECT_THAT(node.names(), ElementsAre("a")) << "as they were last seen";
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1) && node.shown().leads; }));
  EXPECT_EQ(node.shown().epoch, 2);
  EXPECT_EQ(node.shown().elections, 2u);
  EXPECT_EQ(node.shown().sessions.losses, 1u);
  EXPECT_EQ(node.shown().sessions.sessions, 2u);
  EXPECT_EQ(node.said("level=warn msg=zookeeper state=LOST"), 1);
  EXPECT_EQ(node.said("msg=\"this node leads no more\" epoch=1"), 1);
  EXPECT_EQ(node.said("msg=zookeeper state=CONNECTED"), 2);
}

TEST(FleetNode, ABadNetworkIsSurvived) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FaultyRig rig(seed);
    rig.faults.drop_permille = 30;
    rig.faults.expire_permille = 300;
    std::vector<std::unique_ptr<Node>> nodes;
    for (const char* name : {"a", "b", "c"}) nodes.push_back(std::make_unique<Node>(rig, settings(name)));
    for (int minute = 0; minute < 240; ++minute) {
      rig.loop().pass(15s);
      EXPECT_LE(std::ranges::count_if(nodes, [](const auto& node) { return node->shown().leads; }), 1)
          << "seed " << seed;
    }
    rig.faults.drop_permille = 0;
    EXPECT_TRUE(rig.loop().drive(
        [&] {
          return std::ranges::all_of(nodes, [&](const auto& node) {
            return node->settled(3) && node->shown().leader == nodes.front()->shown().leader;
          });
        },
        2min))
        << "seed " << seed;
    EXPECT_GT(nodes.front()->shown().sessions.losses, 10u) << "seed " << seed;
    // Before the nodes' ends: they leave, and no callback of theirs comes after.
    nodes.clear();
    rig.loop().pass(1min);
  }
}

TEST(FleetNode, ForeignZnodesAreSaidAndTriedAgain) {
  MemoryRig rig;
  control::tests::Client owner(rig, "other:0123456789abcdef");
  ASSERT_TRUE(owner.create("/histod"));
  Node node(rig, settings("a"));
  rig.loop().pass(20s);
  EXPECT_EQ(node.shown().state, SessionState::connected);
  EXPECT_EQ(node.shown().role(), "outside");
  EXPECT_EQ(node.shown().trouble, "the znodes under /histod are for another credential");
  EXPECT_EQ(node.said("level=error msg=\"not in the fleet; local work goes on\" why=\"the znodes under /histod"), 1);
  ASSERT_TRUE(owner.remove("/histod"));
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1); }));
  EXPECT_EQ(node.shown().trouble, "");
}

TEST(FleetNode, ANameThatIsTakenIsSaidAndTriedAgain) {
  MemoryRig rig;
  FleetSettings impostor = settings("a");
  impostor.self.identity = "another spool";
  auto first = std::make_unique<Node>(rig, settings("a"));
  ASSERT_TRUE(rig.loop().drive([&] { return first->settled(1); }));
  Node second(rig, impostor);
  rig.loop().pass(20s);
  EXPECT_EQ(second.shown().trouble, "another node of the fleet is called a");
  EXPECT_EQ(second.shown().role(), "outside");
  EXPECT_EQ(second.said("not in the fleet"), 1);
  first.reset();
  ASSERT_TRUE(rig.loop().drive([&] { return second.settled(1) && second.shown().leads; }));
  EXPECT_EQ(second.shown().trouble, "");
  EXPECT_THAT(second.shown().members, ElementsAre(impostor.self));
}

TEST(FleetNode, ServersThatCannotBeFoundAreSaidAndTriedAgain) {
  MemoryRig rig;
  bool there = false;
  const auto open = rig.opener(k_identity, k_timeout);
  Node node(rig, settings("a"), [&](control::OnStoreEvent event) -> control::Result<std::unique_ptr<control::Store>> {
    if (!there) return std::unexpected(control::make_error_code(control::Errc::unavailable));
    return open(std::move(event));
  });
  rig.loop().pass(20s);
  EXPECT_EQ(node.shown().state, SessionState::connecting);
  EXPECT_THAT(node.shown().trouble, HasSubstr("ZooKeeper cannot be reached: "));
  EXPECT_THAT(node.lines, ElementsAre(HasSubstr("ZooKeeper cannot be reached")));
  there = true;
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1); }));
  EXPECT_EQ(node.shown().trouble, "");
}

TEST(FleetNode, ARefusedCredentialIsSaidAndTriedAgain) {
  MemoryRig rig;
  int refusals = 3;
  const auto open = rig.opener(k_identity, k_timeout);
  Node node(rig, settings("a"), [&](control::OnStoreEvent event) -> control::Result<std::unique_ptr<control::Store>> {
    if (refusals-- <= 0) return open(std::move(event));
    rig.loop().post([event = std::move(event)]() mutable { event({control::StoreEvent::Kind::auth_failed, 0, {}}); });
    return open([](const auto&) {});
  });
  ASSERT_TRUE(rig.loop().drive([&] { return node.shown().state == SessionState::lost; }));
  EXPECT_EQ(node.shown().trouble, "ZooKeeper refuses the credential");
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1); }));
  EXPECT_EQ(node.shown().trouble, "");
  EXPECT_EQ(node.said("ZooKeeper refuses the credential"), 1);
}

TEST(FleetNode, ServersThatWereSetUpAnewAreLaidOutAgain) {
  MemoryRig rig;
  control::MemoryServer anew(rig.loop());
  bool moved = false;
  const auto old_open = rig.opener(k_identity, k_timeout);
  const auto new_open = anew.opener({k_timeout, k_identity});
  static_cast<void>(new_open([](const auto&) {}));  // real servers never give a session's id twice
  Node node(rig, settings("a"), [&](control::OnStoreEvent event) {
    return moved ? new_open(std::move(event)) : old_open(std::move(event));
  });
  ASSERT_TRUE(rig.loop().drive([&] { return node.settled(1) && node.shown().leads; }));
  moved = true;
  rig.loop().freeze(20s);
  ASSERT_TRUE(rig.loop().drive([&] { return node.shown().sessions.sessions == 2; }));
  EXPECT_TRUE(rig.loop().drive([&] { return node.settled(1) && node.shown().leads && node.shown().trouble.empty(); }));
  EXPECT_EQ(node.shown().epoch, 1) << "they know nothing of the first";
}

TEST(FleetNode, WhoLeavesIsGoneAtOnceAndSaysSo) {
  MemoryRig rig;
  Node stays(rig, settings("a")), goes(rig, settings("b"));
  ASSERT_TRUE(rig.loop().drive([&] { return stays.settled(2) && goes.settled(2); }));
  goes.node.reset();
  EXPECT_EQ(goes.shown().state, SessionState::lost);
  EXPECT_EQ(goes.shown().role(), "outside");
  EXPECT_EQ(goes.shown().trouble, "this node has left the fleet");
  EXPECT_EQ(goes.said("msg=\"leaving the fleet\" node=b"), 1);
  EXPECT_TRUE(rig.loop().drive([&] { return stays.settled(1); }, 100ms));
}

TEST(ThreadExecutor, RunsTasksInOrderAndTimersWhenTheyAreDue) {
  ThreadExecutor executor("test");
  std::vector<int> order;
  std::promise<void> timer_done;
  executor.after(1ms, [&] {
    order.push_back(3);
    timer_done.set_value();
  });
  executor.after(24h, [&] { order.push_back(99); });
  executor.post([&] {
    order.push_back(1);
    executor.post([&] { order.push_back(2); });
  });
  timer_done.get_future().wait();
  executor.stop();
  std::ranges::sort(order);  // whether the timer came before the tasks is the machine's affair
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(ThreadExecutor, DoesNotWaitLongerThanItIsTold) {
  ThreadExecutor executor("test");
  std::promise<void> go;
  executor.post([&] { go.get_future().wait(); });
  EXPECT_FALSE(executor.stop_within(1ms));
  bool ran = false;
  executor.post([&] { ran = true; });
  go.set_value();
  EXPECT_TRUE(executor.stop_within(1min));
  EXPECT_TRUE(executor.stop_within(1min));  // again: nothing
  EXPECT_FALSE(ran) << "it came after the stop";
}

TEST(ThreadExecutor, DropsWhatComesAfterTheStopAndWhatThatOwns) {
  ThreadExecutor executor("test");
  bool ran = false;
  struct PostsAtItsEnd {
    ThreadExecutor& executor;
    bool& ran;
    ~PostsAtItsEnd() {
      executor.post([&r = ran] { r = true; });
    }
  };
  executor.after(24h, [owned = std::make_unique<PostsAtItsEnd>(executor, ran)] {});
  executor.stop();
  executor.post([&] { ran = true; });
  executor.stop();
  EXPECT_FALSE(ran);
  EXPECT_NE(executor.random(), executor.random());
}

}  // namespace
}  // namespace histod::daemon
