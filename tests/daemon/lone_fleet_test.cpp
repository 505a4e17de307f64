// SPDX-License-Identifier: Apache-2.0
// The fleet on its own thread: a node that is alone, and one that finds no server.
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/fleet.hpp"
#include "daemon/no_peers.hpp"
#include "tests/daemon/engine_rig.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using namespace daemon;
using jobs::DatasetStatus;
using jobs::Outcome;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Fleet::Options alone() {
  Fleet::Options options;
  options.settings.self = {"a", "01KDVK7W0000000000000000AA", "http://a:8080", "1.0", 8};
  options.work.custody.identity = options.settings.self.identity;
  return options;
}

std::unique_ptr<PeerLink> no_peers(control::Executor& executor) { return std::make_unique<NoPeers>(executor); }

std::unique_ptr<WebhookCaller> no_caller(control::Executor&) { return nullptr; }

class LoneFleetTest : public testing::Test {
 protected:
  ~LoneFleetTest() override {
    for (const auto& fleet : fleets_) fleet->stop();
    rig_.engine->drain();
  }
  Fleet& start(Fleet::Options options = alone()) {
    return *fleets_.emplace_back(
        std::make_unique<Fleet>(std::move(options), log_, board_, *rig_.engine, no_peers, no_caller));
  }
  /// What a coordinator answers.
  template <class Work>
  Outcome<DatasetStatus> ask(Fleet& fleet, Work work) {
    std::promise<Outcome<DatasetStatus>> promise;
    fleet.ask([&](Outcome<DatasetStatus> outcome) { promise.set_value(std::move(outcome)); }, work);
    return promise.get_future().get();
  }
  std::string said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }

  std::vector<std::unique_ptr<Fleet>> fleets_;  ///< gone after the engine, which may still answer them
  TemporaryFolder folder_;
  EngineRig rig_{folder_.path() / "spool"};
  std::mutex mutex_;
  std::string said_;
  Log log_{LogLevel::debug, LogFormat::logfmt,
           [this](std::string_view line) {
             const std::lock_guard lock(mutex_);
             said_ += line;
           },
           [] { return 0; }};
  FleetBoard board_;
};

TEST_F(LoneFleetTest, ANodeThatIsAloneIsAFleet) {
  Fleet& fleet = start();
  while (!board_.read()->leads) std::this_thread::yield();
  EXPECT_TRUE(board_.read()->connected());
  const auto made = ask(fleet, [](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.create({"walls", {{"rule", "exact"}}, "", ""}, std::move(reply));
  });
  ASSERT_TRUE(made) << made.error().detail;
  const std::string id = made->record.id;
  EXPECT_EQ(rig_.ask<DatasetStatus>(&jobs::Engine::get_dataset, id)->record.name, "walls");
  const auto finalized = ask(fleet, [id](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.finalize(id, std::move(reply));
  });
  EXPECT_EQ(finalized.error().code, "empty-dataset");
  const auto applied = ask(fleet, [id](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.apply(id, std::move(reply));
  });
  EXPECT_EQ(applied.error().code, "not-finalized");
  const auto unknown = ask(fleet, [](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.create({"", {}, "01ARZ3NDEKTSV4RRFFQ69G5FAV", ""}, std::move(reply));
  });
  EXPECT_EQ(unknown.error().status, 404u);
  ASSERT_TRUE(ask(fleet, [id](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.remove(id, std::move(reply));
  }));
  EXPECT_EQ(ask(fleet, [id](Coordinator& coordinator,
                            jobs::Reply<DatasetStatus> reply) { coordinator.apply(id, std::move(reply)); })
                .error()
                .status,
            404u);
  fleet.leave();
  EXPECT_EQ(ask(fleet, [id](Coordinator& coordinator,
                            jobs::Reply<DatasetStatus> reply) { coordinator.apply(id, std::move(reply)); })
                .error()
                .code,
            "draining");
  EXPECT_TRUE(fleet.stop_within(1min));
  EXPECT_EQ(board_.read()->state, control::SessionState::lost);
  EXPECT_EQ(board_.read()->trouble, "this node has left the fleet");
  fleet.stop();  // again: nothing
  EXPECT_THAT(said(),
              AllOf(HasSubstr("msg=leader node=a"), HasSubstr("leaving the fleet"), Not(HasSubstr("level=info"))));
}

TEST_F(LoneFleetTest, WhatItHadBeforeItIsAFleetIsItsOwnAgain) {
  Fleet& before = start();
  const std::string id = ask(before, [](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
                           coordinator.create({"walls", {}, "", ""}, std::move(reply));
                         })->record.id;
  before.stop();
  // Another, whose store in memory knows nothing of it.
  Fleet& fleet = start();
  const auto applied = ask(fleet, [id](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) {
    coordinator.apply(id, std::move(reply));
  });
  EXPECT_EQ(applied.error().code, "not-finalized");
}

TEST_F(LoneFleetTest, StopsWhileNoServerAnswers) {
  Fleet::Options options = alone();
  options.settings.servers = {"127.0.0.1:1"};
  Fleet& fleet = start(std::move(options));
  while (board_.read()->self.empty()) std::this_thread::yield();
  EXPECT_EQ(board_.read()->state, control::SessionState::connecting);
  std::promise<Outcome<DatasetStatus>> waits;
  fleet.ask(
      [&](Outcome<DatasetStatus> outcome) { waits.set_value(std::move(outcome)); },
      [](Coordinator& coordinator, jobs::Reply<DatasetStatus> reply) { coordinator.create({}, std::move(reply)); });
  fleet.stop();
  EXPECT_EQ(waits.get_future().get().error().code, "draining") << "whoever waits is told";
  EXPECT_EQ(board_.read()->state, control::SessionState::lost);
}

}  // namespace
}  // namespace histod::test
