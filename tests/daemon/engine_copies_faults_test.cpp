// SPDX-License-Identifier: Apache-2.0
// Copies of other nodes' jobs on disks that fail, or lose their power, at each write in turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/step_node.hpp"

namespace histod::daemon::jobs {
namespace {

using test::Ids;
using test::jobs_of_another;
using test::k_a;
using test::MemoryDisk;
using test::Sent;
using Node = test::StepNode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

/// Does something while the disk fails at each of its calls in turn: for good, which is a power loss there, or once.
class EngineCopiesFaults : public testing::TestWithParam<bool> {
 protected:
  static std::unique_ptr<MemoryDisk> survivor(const Node& node) { return node.disk->after_power_loss(GetParam()); }
};

TEST_P(EngineCopiesFaults, ACopyThatWasAcknowledgedSurvivesAndAnyOtherIsWholeOrNotThere) {
  const Sent job = jobs_of_another(1, "mask").front();
  std::size_t failed = 0;
  for (std::uint64_t at = 0;; ++at) {
    Node node;
    node.disk->fail_at = node.disk->calls + at;
    node.disk->stay_down = true;
    const bool held = node.hold(job.record, k_a, job.input, job.mask).has_value();
    const bool reached = node.disk->calls > *node.disk->fail_at;
    if (!held) ++failed;
    Node again(survivor(node));
    EXPECT_EQ(again.engine.counts().quarantined, 0u) << at;
    EXPECT_TRUE(!held || again.copies().size() == 1) << at;
    ASSERT_TRUE(again.hold(job.record, k_a, job.input, job.mask)) << at;
    EXPECT_EQ(again.adopt(k_a).value(), 1u);
    EXPECT_EQ(again.file(job.record.id, "input") + again.file(job.record.id, "mask"), job.input + job.mask);
    if (!reached) break;
  }
  EXPECT_GT(failed, 10u);
}

TEST_P(EngineCopiesFaults, WhenThePowerGoesDuringAnAdoptionEachJobIsACopyOrAJobAndTheRestCanBeAdopted) {
  const auto sent = jobs_of_another(3);
  std::set<std::size_t> prefixes;
  for (std::uint64_t at = 0;; ++at) {
    Node node;
    for (const Sent& job : sent) ASSERT_TRUE(node.hold(job.record, k_a, job.input));
    node.disk->fail_at = node.disk->calls + at;
    node.disk->stay_down = true;
    const auto adopted = node.adopt(k_a);
    const bool reached = node.disk->calls > *node.disk->fail_at;
    EXPECT_EQ(adopted.has_value(), !reached);
    const Ids told = node.own_ids();
    Node again(survivor(node));
    EXPECT_EQ(again.engine.counts().quarantined, 0u) << at;
    const Ids own = again.own_ids(), copies = again.copies()[k_a];
    EXPECT_EQ(own.size() + copies.size(), 3u) << at;
    for (const std::string& id : told) EXPECT_THAT(own, testing::Contains(id)) << at;
    prefixes.insert(own.size());
    EXPECT_EQ(again.adopt(k_a).value(), copies.size());
    EXPECT_EQ(again.own_ids().size(), 3u);
    for (const Sent& job : sent) EXPECT_EQ(again.file(job.record.id, "input"), job.input);
    if (!reached) break;
  }
  EXPECT_EQ(prefixes.size(), 4u) << "all that can be";
}

INSTANTIATE_TEST_SUITE_P(UnsyncedIs, EngineCopiesFaults, testing::Bool(),
                         [](const auto& chance) { return chance.param ? "ThereByChance" : "Lost"; });

TEST(EngineCopies, ADiskThatFailsOnceIsTriedAgain) {
  const auto sent = jobs_of_another(3);
  for (std::uint64_t at = 0;; ++at) {
    Node node;
    node.disk->fail_at = node.disk->calls + at;
    const auto held = [&](const Sent& job) { return node.hold(job.record, k_a, job.input).has_value(); };
    for (const Sent& job : sent) ASSERT_TRUE(held(job) || held(job)) << at;
    EXPECT_TRUE(node.adopt(k_a) || node.adopt(k_a)) << at;
    EXPECT_EQ(node.own_ids().size(), 3u) << at;
    EXPECT_THAT(node.copies(), IsEmpty()) << at;
    const Ids ids = node.own_ids();
    const auto disowned = [&] { return node.ask<void>(&Engine::disown, ids).has_value(); };
    EXPECT_TRUE(disowned() || disowned()) << at;
    EXPECT_THAT(node.own_ids(), IsEmpty()) << at;
    EXPECT_EQ(node.spool.usage().jobs, 0u) << at;
    if (node.disk->calls <= *node.disk->fail_at) break;
  }
}

TEST(EngineCopies, ADiskThatFailsForOneJobHoldsUpNoOther) {
  const auto sent = jobs_of_another(3);
  Node node;
  for (const Sent& job : sent) ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  node.disk->fail_at = node.disk->calls;
  EXPECT_EQ(node.adopt(k_a).error().status, 500u);
  EXPECT_THAT(node.own_ids(), ElementsAre(sent[1].record.id, sent[2].record.id));
  EXPECT_THAT(node.copies(), ElementsAre(Pair(k_a, ElementsAre(sent[0].record.id))));
}

}  // namespace
}  // namespace histod::daemon::jobs
