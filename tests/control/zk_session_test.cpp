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

  ZooKeeperServers servers{1};
  ZooKeeperRig rig{servers.address()};
  Session session{rig.loop(), rig.opener("histod:0123456789abcdef", k_timeout)};
  std::vector<std::string> heard;
  SessionLog log{session, heard};
};

TEST_F(ZkSession, AFrozenServerSuspendsAndLosesAndThenThereIsANewSession) {
  begin();
  const auto id = session.id();
  ASSERT_TRUE(servers.tell("freeze", 0));
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(servers.tell("thaw", 0));
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_THAT(heard, ElementsAre("CONNECTED", "SUSPENDED", "LOST", "CONNECTED"));
  EXPECT_NE(session.id(), id);
}

TEST_F(ZkSession, AServerThatIsKilledAndStartedAgainIsFound) {
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
TEST_F(ZkSession, AStoppedLoopKnowsByTheClock) {
  begin();
  const auto until = std::chrono::steady_clock::now() + k_timeout;
  while (std::chrono::steady_clock::now() < until) {
  }
  EXPECT_EQ(session.state(), SessionState::lost);
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(reach("CONNECTED"));
}

}  // namespace histod::control::tests
