// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/event_rates.hpp"

#include <gtest/gtest.h>

namespace histod::daemon::api {
namespace {

using namespace std::chrono_literals;

struct RateRig {
  EventRates::Clock::time_point now{1h};
  EventRates rates{[this] { return now; }};
};

TEST(EventRates, EachTokenHasABurstAndThenARate) {
  RateRig rig;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(rig.rates.take("a", 250), 0s);
  EXPECT_EQ(rig.rates.take("a", 1), 1s);
  EXPECT_EQ(rig.rates.take("a", 2'500), 3s);
  EXPECT_EQ(rig.rates.take("b", 5'000), 0s) << "of another token";
  rig.now += 1s;
  EXPECT_EQ(rig.rates.take("a", 1'000), 0s);
  EXPECT_EQ(rig.rates.take("a", 1), 1s);
  rig.now += 1h;
  EXPECT_EQ(rig.rates.take("a", 5'000), 0s);
  EXPECT_EQ(rig.rates.take("a", 1), 1s) << "a pause gives no more than the burst";
}

TEST(EventRates, RemembersSoManyTokens) {
  RateRig rig;
  for (std::size_t i = 0; i < 3 * EventRates::k_tokens_max; ++i) EXPECT_EQ(rig.rates.take(std::to_string(i), 1), 0s);
  rig.rates.take("late", 5'000);
  EXPECT_EQ(rig.rates.take("late", 1), 1s);
}

}  // namespace
}  // namespace histod::daemon::api
