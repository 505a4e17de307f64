// SPDX-License-Identifier: Apache-2.0
// Workers that are cut off, expire and crash at random share out jobs, held against a simple ledger.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "control/catalog.hpp"
#include "tests/control/fleet_rig.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
namespace json = boost::json;

namespace {

const Paths k_paths("/histod");
const std::string k_identity = "histod:0123456789abcdef";

/// What was acknowledged, and what a watcher beside the bad network saw done.
struct Ledger {
  std::set<std::string> published;              ///< jobs: acknowledged
  std::map<std::string, std::string> finished;  ///< shard -> mark of the attempt that was told "done"
  std::map<std::string, std::string> done;      ///< shard -> mark that stands in its record
  std::uint64_t refused = 0;
};

/// Publishes jobs, and works on whatever is open, wherever it finds it.
class Node {
 public:
  Node(FaultyRig& rig, Ledger& ledger, const std::string& name, std::mt19937_64& random)
      : rig_(rig),
        ledger_(ledger),
        random_(random),
        name_(name),
        session_(rig.loop(), rig.opener(k_identity, milliseconds(4000))),
        catalog_(session_, RecordFormat(), name) {
    session_.start();
    work();
  }
  void publish(const std::string& job) {
    catalog_.publish(k_paths.jobs() + "/" + job, {{"owner", name_}}, std::vector<json::object>(3),
                     lifetime_.guard([this, job](Result<void> made) {
                       if (made) ledger_.published.insert(k_paths.jobs() + "/" + job);
                     }));
  }

 private:
  void work() {
    session_.store().children(k_paths.jobs(), lifetime_.guard([this](const Result<std::vector<std::string>>& jobs) {
      if (!jobs || jobs->empty()) return pause();
      catalog_.shards(k_paths.jobs() + "/" + (*jobs)[random_() % jobs->size()],
                      lifetime_.guard([this](const Result<std::vector<Shard>>& shards) {
                        if (!shards) return pause();
                        for (const Shard& shard : *shards) {
                          if (!shard.done() && !shard.claimed) return claim(shard);
                        }
                        pause();
                      }));
    }));
  }
  void claim(const Shard& shard) {
    catalog_.claim(shard, lifetime_.guard([this](const Result<Claim>& claim) {
      if (!claim) return pause();
      // Work takes time; now and then longer than a session, as when a process is stopped.
      const milliseconds takes(random_() % (random_() % 4 == 0 ? 15'000 : 500));
      rig_.loop().after(takes, lifetime_.guard([this, claim = *claim] { finish(claim); }));
    }));
  }
  void finish(const Claim& claim) {
    const std::string mark = name_ + "-" + std::to_string(random_());
    catalog_.finish(claim, {{"mark", mark}}, lifetime_.guard([this, shard = claim.shard, mark](Result<void> finished) {
      if (finished) {
        EXPECT_TRUE(ledger_.finished.emplace(shard, mark).second) << shard << " was finished twice";
      } else {
        ++ledger_.refused;
      }
      pause();
    }));
  }
  void pause() {
    rig_.loop().after(milliseconds(1 + random_() % 300), lifetime_.guard([this] { work(); }));
  }

  FaultyRig& rig_;
  Ledger& ledger_;
  std::mt19937_64& random_;
  const std::string name_;
  Session session_;
  Catalog catalog_;
  Lifetime lifetime_;
};

class Trial {
 public:
  explicit Trial(std::uint64_t seed)
      : rig_(seed), random_(seed), watcher_(rig_.server().opener({.identity = k_identity})([](const auto&) {})) {
    for (const std::string& path : {k_paths.root(), k_paths.jobs()}) {
      (*watcher_)->create(path, RecordFormat().write({}), CreateMode::persistent, [](auto) {});
    }
    rig_.faults.delay_max_ms = milliseconds(300);
    rig_.faults.drop_permille = 25;
    rig_.faults.expire_permille = 300;
    for (int i = 0; i < 4; ++i) nodes_.push_back(make());
  }
  void trouble() {
    for (int round = 0; round < 25; ++round) {
      nodes_[random_() % nodes_.size()]->publish("job" + std::to_string(round));
      rig_.loop().pass(milliseconds(random_() % 6'000));
      if (random_() % 4 == 0) nodes_[random_() % nodes_.size()] = make();  // a crash, and a new process
    }
  }
  void peace() {
    rig_.faults.drop_permille = 0;
    rig_.loop().pass(std::chrono::minutes(5));
  }
  void check() {
    look();
    for (const std::string& job : ledger.published)
      EXPECT_TRUE(jobs_.contains(job)) << job << " was acknowledged and is lost";
    EXPECT_EQ(ledger.done.size(), 3 * jobs_.size()) << "not everything is done, after peace";
    for (const auto& [shard, mark] : ledger.finished)
      EXPECT_EQ(ledger.done[shard], mark) << shard << " has another result";
  }
  Ledger ledger;
  FaultyRig& rig() { return rig_; }

 private:
  std::unique_ptr<Node> make() { return std::make_unique<Node>(rig_, ledger, "w" + std::to_string(++made_), random_); }

  /// Reads everything, beside the bad network.
  void look() {
    Catalog catalog(session_, RecordFormat(), "watcher");
    session_.start();
    rig_.loop().pass(milliseconds(10));
    session_.store().children(k_paths.jobs(), [&](const Result<std::vector<std::string>>& names) {
      for (const std::string& name : *names) jobs_.insert(k_paths.jobs() + "/" + name);
    });
    rig_.loop().pass(milliseconds(10));
    for (const std::string& job : jobs_) {
      catalog.shards(job, [&](const Result<std::vector<Shard>>& shards) {
        for (const Shard& shard : *shards) {
          if (shard.done()) ledger.done[shard.path] = text_of(shard.fields.at("result").as_object(), "mark");
        }
      });
    }
    rig_.loop().pass(milliseconds(10));
  }

  FaultyRig rig_;
  std::mt19937_64 random_;
  Result<std::unique_ptr<Store>> watcher_;
  Session session_{rig_.loop(), rig_.server().opener({.identity = k_identity})};
  std::vector<std::unique_ptr<Node>> nodes_;
  std::set<std::string> jobs_;
  int made_ = 0;
};

}  // namespace

TEST(CatalogFaults, NothingAcknowledgedIsLostAndNothingIsFinishedTwice) {
  std::uint64_t published = 0, finished = 0, refused = 0, late = 0, unanswered = 0;
  for (std::uint64_t seed = 1; seed <= 25 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Trial trial(seed);
    trial.trouble();
    trial.peace();
    trial.check();
    published += trial.ledger.published.size();
    finished += trial.ledger.finished.size();
    unanswered += trial.ledger.done.size() - trial.ledger.finished.size();
    refused += trial.ledger.refused;
    late += trial.rig().faults.late_writes;
  }
  // That the trouble was one.
  EXPECT_GT(published, 400u);
  EXPECT_GT(finished, 1'200u);
  EXPECT_GT(refused, 20u);
  EXPECT_GT(unanswered, 5u);  // done, though who did it never heard so
  EXPECT_GT(late, 50u);
}

}  // namespace histod::control::tests
