// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "control/session.hpp"
#include "tests/control/session_log.hpp"
#include "tests/control/zookeeper_servers.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr milliseconds k_timeout{1200};

struct ZkSession : testing::Test {
  bool reach(const std::string& state) {
    return rig.loop().drive([&] { return !heard.empty() && heard.back() == state; }, seconds(60));
  }
  void begin() {
    ASSERT_FALSE(servers.address().empty()) << servers.why();
    session.start();
    ASSERT_TRUE(reach("CONNECTED"));
  }
  explicit ZkSession(std::size_t count) : servers(count) {}

  ZooKeeperServers servers;
  ZooKeeperRig rig{servers.address()};
  Session session{rig.loop(), rig.opener("histod:0123456789abcdef", k_timeout)};
  std::vector<std::string> heard;
  SessionLog log{session, heard};
};

struct ZkSessionOfOne : ZkSession {
  ZkSessionOfOne() : ZkSession(1) {}
};
struct ZkSessionOfThree : ZkSession {
  ZkSessionOfThree() : ZkSession(3) {}
};

TEST_F(ZkSessionOfOne, AFrozenServerSuspendsAndLosesAndThenThereIsANewSession) {
  begin();
  const auto id = session.id();
  ASSERT_TRUE(servers.tell("freeze", 0));
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(servers.tell("thaw", 0));
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_THAT(heard, ElementsAre("CONNECTED", "SUSPENDED", "LOST", "CONNECTED"));
  EXPECT_NE(session.id(), id);
}

TEST_F(ZkSessionOfOne, AServerThatIsKilledAndStartedAgainIsFound) {
  begin();
  ASSERT_TRUE(servers.tell("kill", 0));
  ASSERT_TRUE(reach("SUSPENDED"));
  bool answered = false;
  session.store().create("/a", "", CreateMode::persistent, [&](auto made) {
    answered = true;
    EXPECT_TRUE(made || is_ambiguous(made.error()));
  });
  ASSERT_TRUE(reach("LOST"));
  EXPECT_TRUE(rig.loop().drive([&] { return answered; }));
  ASSERT_TRUE(servers.tell("start", 0));
  ASSERT_TRUE(reach("CONNECTED"));
}

// A process that was stopped: its loop does not run, while the client library's threads may, and keep the session
// alive.
TEST_F(ZkSessionOfOne, AStoppedLoopKnowsByTheClock) {
  begin();
  const auto until = std::chrono::steady_clock::now() + k_timeout;
  while (std::chrono::steady_clock::now() < until) {
  }
  EXPECT_EQ(session.state(), SessionState::lost);
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(reach("CONNECTED"));
}

TEST_F(ZkSessionOfThree, OutlivesAnyServerAndGivesItsEphemeralsAwayWithNone) {
  begin();
  const auto id = session.id();
  bool made = false;
  session.store().create("/e", "", CreateMode::ephemeral, [&](auto result) { made = result.has_value(); });
  ASSERT_TRUE(rig.loop().drive([&] { return made; }));
  for (std::size_t server = 0; server < 3; ++server) {
    ASSERT_TRUE(servers.tell("kill", server));
    rig.loop().pass(milliseconds(300));  // whoever was with this one moves
    ASSERT_TRUE(rig.loop().drive([&] { return session.state() == SessionState::connected; }));
    ASSERT_TRUE(servers.tell("start", server)) << servers.why();
  }
  if (session.id() == id) {
    // On one machine the vote for a new leader is over long before the timeout.
    bool there = false;
    session.store().exists("/e", [&](auto stat) { there = stat && stat->ephemeral_owner == id; });
    EXPECT_TRUE(rig.loop().drive([&] { return there; }));
  } else {
    EXPECT_GE(session.counts().losses, 1u);
  }
}

TEST_F(ZkSessionOfThree, WithoutAQuorumItIsLostAndWithOneItIsBack) {
  begin();
  ASSERT_TRUE(servers.tell("kill", 0));
  ASSERT_TRUE(servers.tell("kill", 1));
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(servers.tell("start", 0) || true);
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_EQ(session.counts().sessions, 2u);
}

}  // namespace histod::control::tests
