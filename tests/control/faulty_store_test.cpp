// SPDX-License-Identifier: Apache-2.0
#include "control/faulty_store.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/control/catalog_suite.hpp"
#include "tests/control/fleet_suite.hpp"
#include "tests/control/store_suite.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using testing::ElementsAre;

INSTANTIATE_TEST_SUITE_P(Faulty, StoreSuite,
                         testing::Values(RigKind{"late1", [] { return std::make_unique<FaultyRig>(1); }},
                                         RigKind{"late2", [] { return std::make_unique<FaultyRig>(2); }}),
                         kind_name);
INSTANTIATE_TEST_SUITE_P(Faulty, FleetSuite,
                         testing::Values(RigKind{"late1", [] { return std::make_unique<FaultyRig>(1); }},
                                         RigKind{"late2", [] { return std::make_unique<FaultyRig>(2); }}),
                         kind_name);
INSTANTIATE_TEST_SUITE_P(Faulty, CatalogSuite,
                         testing::Values(RigKind{"late1", [] { return std::make_unique<FaultyRig>(1); }},
                                         RigKind{"late2", [] { return std::make_unique<FaultyRig>(2); }}),
                         kind_name);

constexpr milliseconds k_timeout{1000};

/// A session that writes and counts without a pause, whatever happens to it, and what it was told.
class Writer {
 public:
  Writer(FaultyRig& rig, std::string path) : rig_(rig), path_(std::move(path)) {
    store_ = std::move(*rig_.opener("", k_timeout)([this](const StoreEvent& event) { hear(event); }));
  }
  void stop() { store_.reset(); }
  std::string heard;  ///< a letter for each event
  int done = 0, ambiguous = 0, asked = 0;

 private:
  void hear(const StoreEvent& event) {
    heard += "cdxa"[static_cast<int>(event.kind)];
    if (event.kind == StoreEvent::Kind::connected) {
      for (int i = 0; i < 3; ++i) write();
    }
  }
  void write() {
    if (asked >= 300) return;
    ++asked;
    store_->create(path_ + "/" + std::to_string(asked), "", CreateMode::persistent, [this](Result<std::string> made) {
      if (made) {
        ++done;
        write();
      } else {
        EXPECT_TRUE(is_ambiguous(made.error())) << made.error().message();
        ++ambiguous;
      }
    });
  }

  FaultyRig& rig_;
  std::string path_;
  std::unique_ptr<Store> store_;
};

TEST(FaultyStore, WhatItAcknowledgedIsThereAndWhatItDidNotMayBe) {
  Faults sum;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FaultyRig rig(seed);
    rig.faults.drop_permille = 50;
    OpenStore beside = rig.server().opener({});
    auto observer = beside([](const auto&) {});
    (*observer)->create("/r", "", CreateMode::persistent, [](auto) {});
    Writer writer(rig, "/r");
    rig.loop().drive([&] { return writer.done + writer.ambiguous == 300; }, std::chrono::minutes(10));
    EXPECT_EQ(writer.done + writer.ambiguous, 300);
    std::size_t present = 0;
    (*observer)->children("/r", [&](auto names) { present = names->size(); });
    rig.loop().pass(std::chrono::seconds(10));
    EXPECT_GE(present, static_cast<std::size_t>(writer.done));
    EXPECT_EQ(present, writer.done + rig.faults.lost_answers + rig.faults.late_writes);
    EXPECT_TRUE(writer.heard.starts_with("cdc")) << writer.heard;
    sum.lost_answers += rig.faults.lost_answers;
    sum.late_writes += rig.faults.late_writes;
    sum.lost_requests += rig.faults.lost_requests;
  }
  EXPECT_GT(sum.lost_answers, 20u);
  EXPECT_GT(sum.late_writes, 20u);
  EXPECT_GT(sum.lost_requests, 20u);
}

/// A break of the connection of `owner`, at once or nearly.
void cut(FaultyRig& rig, Client& owner) {
  rig.faults.drop_permille = 1000;
  owner.store().exists("/", [](auto) {});
  rig.faults.drop_permille = 0;
}

TEST(FaultyStore, AnExpiredSessionIsEndedByTheServerNoEarlierThanItsTimeout) {
  FaultyRig rig(3);
  rig.faults.expire_permille = 1000;
  std::vector<std::string> seen;
  Client owner(rig, "", k_timeout), watcher(rig);
  ASSERT_TRUE(owner.create("/e", "", CreateMode::ephemeral));
  ASSERT_TRUE(watcher.exists("/e", noted(seen)));
  const auto began = rig.loop().now();
  cut(rig, owner);
  ASSERT_TRUE(rig.loop().drive([&] { return !seen.empty(); }));
  EXPECT_THAT(seen, ElementsAre("removed /e"));
  EXPECT_GE(rig.loop().now() - began, k_timeout);
  EXPECT_EQ(rig.faults.expired, 1u);
  const auto after = owner.exists("/e");
  ASSERT_FALSE(after);
  EXPECT_TRUE(is_ambiguous(after.error()));
}

TEST(FaultyStore, AStoreDestroyedWhileCutOffKeepsItsEphemeralsForItsTimeout) {
  FaultyRig rig(4);
  Client owner(rig, "", k_timeout), watcher(rig);
  ASSERT_TRUE(owner.create("/e", "", CreateMode::ephemeral));
  cut(rig, owner);
  ASSERT_TRUE(rig.loop().drive([&] { return rig.faults.dropped == 1; }));
  owner.close();
  const auto began = rig.loop().now();
  EXPECT_TRUE(watcher.exists("/e"));
  std::vector<std::string> seen;
  ASSERT_TRUE(watcher.exists("/e", noted(seen)));
  ASSERT_TRUE(rig.loop().drive([&] { return !seen.empty(); }));
  EXPECT_GE(rig.loop().now() - began, k_timeout / 2);
}

TEST(FaultyStore, WatchesThatFireDuringABreakComeAfterIt) {
  FaultyRig rig(5);
  std::string order;
  auto store =
      rig.opener("", k_timeout)([&](const StoreEvent& event) { order += "cdxa"[static_cast<int>(event.kind)]; });
  Client other(rig);
  ASSERT_TRUE(other.create("/a"));
  ASSERT_TRUE(rig.loop().drive([&] { return order == "c"; }));
  bool left = false;
  (*store)->get("/a", [&](auto) { left = true; }, [&](const WatchEvent&) { order += "w"; });
  ASSERT_TRUE(rig.loop().drive([&] { return left; }));
  rig.faults.drop_permille = 1000;
  (*store)->exists("/", [](auto) {});
  rig.faults.drop_permille = 0;
  ASSERT_TRUE(rig.loop().drive([&] { return order == "cd"; }));
  other.store().set("/a", "new", k_any_version, [](auto) {});
  EXPECT_TRUE(rig.loop().drive([&] { return order.size() == 4; })) << order;
  EXPECT_EQ(order, "cdcw");
}

TEST(FaultyStore, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    FaultyRig rig(seed);
    rig.faults.drop_permille = 30;
    rig.faults.expire_permille = 100;
    auto beside = rig.server().opener({})([](const auto&) {});
    (*beside)->create("/r", "", CreateMode::persistent, [](auto) {});
    Writer writer(rig, "/r");
    rig.loop().pass(std::chrono::seconds(100));
    return writer.heard + " " + std::to_string(writer.done) + " " + std::to_string(rig.faults.late_writes);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace histod::control::tests
