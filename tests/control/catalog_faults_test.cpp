// SPDX-License-Identifier: Apache-2.0
// Nodes that are cut off, expire and crash at random change the same entries, held against a simple ledger.
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
#include "control/mirror.hpp"
#include "tests/control/fleet_rig.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
namespace json = boost::json;

namespace {

const Paths k_paths("/histod");
const std::string k_identity = "histod:0123456789abcdef";

/// What was acknowledged.
struct Ledger {
  std::set<std::string> published;  ///< ids
  std::set<std::string> marks;      ///< of updates that were told "done"
  std::uint64_t refused = 0, unknown = 0;
};

/// Publishes entries, and writes a mark of its own behind those of whatever entry its mirror shows.
class Node {
 public:
  Node(FaultyRig& rig, Ledger& ledger, const std::string& name, std::mt19937_64& random)
      : rig_(rig),
        ledger_(ledger),
        random_(random),
        name_(name),
        session_(rig.loop(), rig.opener(k_identity, milliseconds(4000))),
        catalog_(session_, RecordFormat()),
        mirror_(session_, k_paths.datasets()) {
    session_.start();
    mirror_.start([] {});
    work();
  }
  void publish(const std::string& id) {
    catalog_.publish(k_paths.dataset(id), {{"marks", json::array()}}, lifetime_.guard([this, id](Result<void> made) {
      if (made) ledger_.published.insert(id);
    }));
  }
  const Mirror& mirror() const { return mirror_; }

 private:
  void work() {
    if (mirror_.items().empty()) return pause();
    auto chosen = mirror_.items().begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % mirror_.items().size()));
    auto fields = RecordFormat().read(chosen->second.data);
    const std::string mark = name_ + "-" + std::to_string(random_());
    fields->at("marks").as_array().emplace_back(mark);
    catalog_.update({k_paths.dataset(chosen->first), std::move(*fields), chosen->second.version}, {},
                    lifetime_.guard([this, mark](const std::expected<std::int32_t, MultiError>& done) {
                      if (done)
                        ledger_.marks.insert(mark);
                      else
                        ++(done.error().error == Errc::bad_version ? ledger_.refused : ledger_.unknown);
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
  Mirror mirror_;
  Lifetime lifetime_;
};

class Trial {
 public:
  explicit Trial(std::uint64_t seed)
      : rig_(seed), random_(seed), watcher_(rig_.server().opener({.identity = k_identity})([](const auto&) {})) {
    for (const std::string& path : {k_paths.root(), k_paths.datasets()})
      (*watcher_)->create(path, RecordFormat().write({}), CreateMode::persistent, [](auto) {});
    rig_.faults.delay_max_ms = milliseconds(300);
    rig_.faults.drop_permille = 25;
    rig_.faults.expire_permille = 300;
    for (int i = 0; i < 4; ++i) nodes_.push_back(make());
  }
  void trouble() {
    for (int round = 0; round < 25; ++round) {
      nodes_[random_() % nodes_.size()]->publish("d" + std::to_string(round % 7));
      rig_.loop().pass(milliseconds(random_() % 6'000));
      if (random_() % 4 == 0) nodes_[random_() % nodes_.size()] = make();  // a crash, and a new process
    }
  }
  void peace() {
    rig_.faults.drop_permille = 0;
    rig_.loop().pass(std::chrono::minutes(1));
  }
  void check() {
    std::multiset<std::string> marks;
    for (const auto& [id, data] : look()) {
      const auto fields = RecordFormat().read(data);
      for (const json::value& mark : fields->at("marks").as_array()) marks.insert(std::string(mark.as_string()));
    }
    for (const std::string& mark : ledger.marks) EXPECT_EQ(marks.count(mark), 1u) << mark << " was acknowledged";
    for (const std::string& mark : marks) EXPECT_EQ(marks.count(mark), 1u) << mark << " was written twice";
    written = marks.size();
  }
  Ledger ledger;
  std::uint64_t written = 0;
  FaultyRig& rig() { return rig_; }

 private:
  std::unique_ptr<Node> make() { return std::make_unique<Node>(rig_, ledger, "w" + std::to_string(++made_), random_); }

  /// Reads everything, beside the bad network.
  std::map<std::string, std::string> look() {
    std::map<std::string, std::string> found;
    (*watcher_)->children(k_paths.datasets(), [&](const Result<std::vector<std::string>>& names) {
      for (const std::string& name : *names)
        (*watcher_)->get(k_paths.dataset(name),
                         [&found, name](const Result<control::Node>& node) { found[name] = node->data; });
    });
    rig_.loop().pass(milliseconds(10));
    for (const std::string& id : ledger.published) EXPECT_TRUE(found.contains(id)) << id << " is lost";
    // In peace nobody writes for as long as a look takes; before and after it the mirrors show the same.
    for (const auto& node : nodes_)
      for (const auto& [id, item] : node->mirror().items()) EXPECT_TRUE(found.contains(id)) << id;
    return found;
  }

  FaultyRig rig_;
  std::mt19937_64 random_;
  Result<std::unique_ptr<Store>> watcher_;
  std::vector<std::unique_ptr<Node>> nodes_;
  int made_ = 0;
};

}  // namespace

TEST(CatalogFaults, NothingAcknowledgedIsLostAndNothingIsWrittenTwice) {
  std::uint64_t acknowledged = 0, refused = 0, unknown = 0, late = 0, unanswered = 0;
  for (std::uint64_t seed = 1; seed <= 25 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Trial trial(seed);
    trial.trouble();
    trial.peace();
    trial.check();
    acknowledged += trial.ledger.marks.size();
    unanswered += trial.written - trial.ledger.marks.size();
    refused += trial.ledger.refused;
    unknown += trial.ledger.unknown;
    late += trial.rig().faults.late_writes;
  }
  // That the trouble was one.
  EXPECT_GT(acknowledged, 1'000u);
  EXPECT_GT(refused, 100u);
  EXPECT_GT(unknown, 20u);
  EXPECT_GT(unanswered, 5u);  // done, though who did it never heard so
  EXPECT_GT(late, 50u);
}

}  // namespace histod::control::tests
