// SPDX-License-Identifier: Apache-2.0
// Elections of nodes that are cut off, expire, crash and freeze at random, held against what must never happen.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/control/fleet_rig.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;

namespace {

/// One run: a fleet whose leader writes its epoch into a log, without a pause and without looking.
class Trial {
 public:
  explicit Trial(std::uint64_t seed)
      : rig_(seed),
        random_(seed),
        watcher_(rig_.server().opener({.identity = "histod:0123456789abcdef"})([](const auto&) {})) {
    rig_.faults.delay_max_ms = milliseconds(400);
    rig_.faults.drop_permille = 15;
    rig_.faults.expire_permille = 300;
    (*watcher_)->create("/log", "", CreateMode::persistent, [](auto) {});
  }

  void trouble(std::chrono::minutes time) {
    const auto end = rig_.loop().now() + time;
    while (rig_.loop().now() < end && !testing::Test::HasFailure()) {
      // The predicate is asked after every single task.
      rig_.loop().drive([this] { return !look(); }, milliseconds(random_() % 4'000));
      const std::size_t node = random_() % fleet_.size();
      if (random_() % 12 == 0) crash_or_start(node);
      if (random_() % 12 == 0) withdraw_or_contend(node);
      write();
    }
  }
  void peace() {
    rig_.faults.drop_permille = 0;
    for (std::size_t node : down_) fleet_.start(node);
    down_.clear();
    EXPECT_TRUE(rig_.loop().drive([this] { return all_laid_out(); }));
    for (const std::size_t node : withdrawn_) fleet_[node].contend();
    EXPECT_TRUE(fleet_.settle());
  }
  /// Epochs of the log, in the order in which they were written.
  std::vector<std::int64_t> log() {
    std::vector<std::int64_t> epochs;
    (*watcher_)->children("/log", [&](const Result<std::vector<std::string>>& names) {
      for (const std::string& name : *names) {
        (*watcher_)->get("/log/" + name, [&](const Result<Node>& node) { epochs.push_back(std::stoll(node->data)); });
      }
    });
    rig_.loop().pass(milliseconds(10));
    return epochs;
  }
  std::uint64_t losses() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < fleet_.size(); ++i) sum += fleet_[i].session.counts().losses;
    return sum;
  }
  std::uint64_t written = 0, refused = 0;
  FaultyRig& rig() { return rig_; }

 private:
  /// False when something is wrong.
  bool look() {
    const auto leading = fleet_.leaders();
    EXPECT_LE(leading.size(), 1u) << "two leaders: " << testing::PrintToString(leading);
    for (const std::size_t node : leading) {
      const std::int32_t epoch = fleet_[node].election.leadership()->epoch;
      const FleetNode*& holder = holders_[epoch];
      if (holder == nullptr) holder = &fleet_[node];
      EXPECT_EQ(holder, &fleet_[node]) << "epoch " << epoch << " was led by two";
      last_[node] = *fleet_[node].election.leadership();
    }
    return leading.size() <= 1;
  }
  /// By everybody who ever was leader and still runs, with what he knew then: so does a process that wakes up.
  void write() {
    for (const auto& [node, leadership] : last_) {
      if (down_.contains(node)) continue;
      fleet_[node].session.store().multi(
          {leadership.fence(), Create{"/log/n_", std::to_string(leadership.epoch), CreateMode::persistent_sequential}},
          [this](const auto& done) { ++(done ? written : refused); });
    }
  }
  bool all_laid_out() {
    for (std::size_t i = 0; i < fleet_.size(); ++i) {
      if (!fleet_[i].laid_out) return false;
    }
    return true;
  }
  /// Perhaps in the middle of its candidature. Not all of them, so that somebody can lead.
  void withdraw_or_contend(std::size_t node) {
    if (node == 0 || down_.contains(node) || !fleet_[node].laid_out) return;
    if (withdrawn_.erase(node) > 0) return fleet_[node].contend();
    withdrawn_.insert(node);
    fleet_[node].election.withdraw();
  }
  void crash_or_start(std::size_t node) {
    if (down_.erase(node) > 0) return fleet_.start(node);
    down_.insert(node);
    withdrawn_.erase(node);
    fleet_.stop(node);
  }

  FaultyRig rig_;
  std::mt19937_64 random_;
  Result<std::unique_ptr<Store>> watcher_;
  std::map<std::int32_t, const FleetNode*> holders_;
  std::map<std::size_t, Leadership> last_;
  std::set<std::size_t> down_, withdrawn_;
  Fleet fleet_{rig_, 5};
};

}  // namespace

TEST(FleetFaults, NeverTwoLeadersNeverAnOldEpochAfterANewOneAndPeaceSettlesAll) {
  std::uint64_t written = 0, refused = 0, late = 0, lost = 0;
  for (std::uint64_t seed = 1; seed <= 60 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Trial run(seed);
    run.trouble(std::chrono::minutes(8));
    run.peace();
    const auto epochs = run.log();
    EXPECT_TRUE(std::ranges::is_sorted(epochs)) << testing::PrintToString(epochs);
    written += run.written;
    refused += run.refused;
    late += run.rig().faults.late_writes;
    lost += run.losses();
  }
  // That the trouble was one.
  EXPECT_GT(written, 1'000u);
  EXPECT_GT(refused, 1'000u);
  EXPECT_GT(late, 100u);
  EXPECT_GT(lost, 100u);
}

}  // namespace histod::control::tests
