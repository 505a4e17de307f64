// SPDX-License-Identifier: Apache-2.0
// Whole fleets on one simulated clock, each from its seed. What must never happen, and what must come to pass, is in
// verdict.cpp and world.cpp.
#include <gtest/gtest.h>

#include "tests/sim/fleets.hpp"

namespace histod::sim {
namespace {

TEST(FleetSim, FleetsInTroubleLoseNothingAndAgree) {
  World::Report sum;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const auto [report, story] = run(fleet_of(seed));
    ASSERT_TRUE(report.failures.empty()) << story;
    sum.add(report);
  }
  // That the trouble was one.
  EXPECT_GT(sum.accepted, 15'000u);
  EXPECT_GT(sum.refused, 1'000u);
  EXPECT_GT(sum.unknown, 1'000u);
  EXPECT_GT(sum.removed, 600u);
  EXPECT_GT(sum.crashes, 1'500u);
  EXPECT_GT(sum.deaths, 150u);
  EXPECT_GT(sum.disk_failures, 1'000u);
  EXPECT_GT(sum.leader_writes, 500u);
  EXPECT_GT(sum.adopted, 1'000u);
  EXPECT_GT(sum.disowned, 500u);
  EXPECT_GT(sum.twice, 800u);
}

TEST(FleetSim, TheSameSeedIsTheSameRun) {
  for (const std::uint64_t seed : {3u, 8u, 100u}) {
    const auto once = run(fleet_of(seed)).first, again = run(fleet_of(seed)).first;
    EXPECT_EQ(once.hash, again.hash);
    EXPECT_NE(once.hash, run(fleet_of(seed + 1)).first.hash);
  }
}

}  // namespace
}  // namespace histod::sim
