// SPDX-License-Identifier: Apache-2.0
// A fleet of three on a real ensemble of three, each node behind a network of its own.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/control/fleet_rig.hpp"
#include "tests/control/tcp_proxy.hpp"
#include "tests/control/zookeeper_servers.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds k_timeout{1500};

/// One loop, but for each session opened the next network of three.
class ProxiedRig final : public StoreRig {
 public:
  explicit ProxiedRig(const std::string& servers) : direct_(servers) {
    for (int i = 0; i < 3; ++i) proxies_.push_back(std::make_unique<TcpProxy>(servers));
  }
  TestLoop& loop() override { return direct_.loop(); }
  OpenStore opener(std::string identity, milliseconds timeout_ms) override {
    const std::string& servers = proxies_[next_++ % proxies_.size()]->address();
    return zookeeper_opener(loop(), {servers, timeout_ms, {std::move(identity)}});
  }
  std::string root() override { return direct_.root(); }
  TcpProxy& network(std::size_t node) { return *proxies_[node]; }

 private:
  ZooKeeperRig direct_;
  std::vector<std::unique_ptr<TcpProxy>> proxies_;
  std::size_t next_ = 0;
};

}  // namespace

class ZkFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() { servers_ = std::make_unique<ZooKeeperServers>(3); }
  static void TearDownTestSuite() { servers_.reset(); }
  void SetUp() override {
    ASSERT_FALSE(servers_->address().empty()) << servers_->why();
    ASSERT_TRUE(fleet_.settle(seconds(60)));
  }

  /// Until `done`; meanwhile never two leaders, and no epoch with two.
  void await(const std::string& what, const std::function<bool()>& done) {
    const auto began = Clock::now();
    const bool reached = rig_.loop().drive(
        [&] {
          const auto leading = fleet_.leaders();
          EXPECT_LE(leading.size(), 1u);
          for (const std::size_t node : leading) {
            const auto [holder, first] = epochs_.emplace(fleet_[node].election.leadership()->epoch, node);
            EXPECT_TRUE(first || holder->second == node) << "epoch " << holder->first;
          }
          return done();
        },
        seconds(60));
    EXPECT_TRUE(reached) << what;
    std::printf("%s: %.1f s\n", what.c_str(), std::chrono::duration<double>(Clock::now() - began).count());
  }
  bool others_settled(std::size_t without) {
    const auto leading = fleet_.leaders();
    return leading.size() == 1 && leading.front() != without &&
           fleet_[leading.front()].membership.members().size() == 2;
  }
  /// A leader's write: whether it was done, or why not.
  std::string write(std::size_t node, const Leadership& leadership) {
    std::string outcome;
    fleet_[node].session.store().multi(
        {leadership.fence(), Create{fleet_.paths().datasets() + "/n_", "", CreateMode::persistent_sequential}},
        [&](const auto& done) { outcome = done ? "done" : done.error().error.message(); });
    rig_.loop().drive([&] { return !outcome.empty(); });
    return outcome;
  }
  void cut_the_leader_off(TcpProxy::Cut cut) {
    const std::size_t leader = fleet_.leaders().front();
    const Leadership old = *fleet_[leader].election.leadership();
    rig_.network(leader).cut(cut);
    await("another leads", [&] { return others_settled(leader); });
    EXPECT_EQ(fleet_[leader].session.state(), SessionState::lost);
    rig_.network(leader).cut(TcpProxy::Cut::none);
    await("all are back", [&] { return fleet_.settled(); });
    EXPECT_EQ(write(leader, old), "the znode was written in between");
    EXPECT_GE(fleet_[leader].session.number(), 2u);
  }

  static std::unique_ptr<ZooKeeperServers> servers_;
  ProxiedRig rig_{servers_->address()};
  Fleet fleet_{rig_, 3, k_timeout};
  std::map<std::int32_t, std::size_t> epochs_;
};
std::unique_ptr<ZooKeeperServers> ZkFaults::servers_;

TEST_F(ZkFaults, ALeaderCutOffBothWaysIsReplaced) { cut_the_leader_off(TcpProxy::Cut::both); }

// The servers still hear him, and he nothing of them: he gives up first.
TEST_F(ZkFaults, ALeaderWhoHearsNothingIsReplaced) { cut_the_leader_off(TcpProxy::Cut::answers); }

TEST_F(ZkFaults, ALeaderWhomNobodyHearsIsReplaced) { cut_the_leader_off(TcpProxy::Cut::requests); }

TEST_F(ZkFaults, ServersKilledOneAfterTheOther) {
  for (std::size_t server = 0; server < 3; ++server) {
    ASSERT_TRUE(servers_->tell("kill", server));
    rig_.loop().pass(milliseconds(100));
    await("settled on two servers", [&] { return fleet_.settled(); });
    ASSERT_TRUE(servers_->tell("start", server)) << servers_->why();
  }
  await("settled on three servers", [&] { return fleet_.settled(); });
}

TEST_F(ZkFaults, WithoutAQuorumNobodyLeadsAndWithOneAllAreBack) {
  const auto all_are = [&](SessionState state) {
    for (std::size_t i = 0; i < 3; ++i) {
      if (fleet_[i].session.state() != state) return false;
    }
    return true;
  };
  ASSERT_TRUE(servers_->tell("kill", 0));
  ASSERT_TRUE(servers_->tell("kill", 1));
  await("all are lost", [&] { return all_are(SessionState::lost); });
  EXPECT_TRUE(fleet_.leaders().empty());
  // Alone it does not serve, so that start does not return before the other is there.
  ASSERT_TRUE(servers_->tell("spawn", 0));
  ASSERT_TRUE(servers_->tell("start", 1)) << servers_->why();
  await("all are back", [&] { return fleet_.settled(); });
}

}  // namespace histod::control::tests
