// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/tickets.hpp"

#include <set>

#include <gtest/gtest.h>

namespace histod::daemon::api {
namespace {

struct TicketRig {
  TicketStore::Clock::time_point now{std::chrono::hours(1)};
  TicketStore store{[this] { return now; }};
};

TEST(TicketStore, ATicketIsGoodOnce) {
  TicketRig rig;
  const auto ticket = rig.store.issue();
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->size(), 43u);
  EXPECT_EQ(ticket->find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  EXPECT_FALSE(rig.store.redeem(""));
  EXPECT_FALSE(rig.store.redeem(ticket->substr(1)));
  EXPECT_FALSE(rig.store.redeem(std::string(43, 'A')));
  EXPECT_TRUE(rig.store.redeem(*ticket));
  EXPECT_FALSE(rig.store.redeem(*ticket));
}

TEST(TicketStore, ATicketLivesHalfAMinute) {
  TicketRig rig;
  const auto early = rig.store.issue(), late = rig.store.issue();
  rig.now += TicketStore::k_life - std::chrono::milliseconds(1);
  EXPECT_TRUE(rig.store.redeem(*early));
  rig.now += std::chrono::milliseconds(1);
  EXPECT_FALSE(rig.store.redeem(*late));
}

TEST(TicketStore, AsManyAsMayBeAndNoTwoAlike) {
  TicketRig rig;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < TicketStore::k_tickets_max; ++i)
    EXPECT_TRUE(seen.insert(rig.store.issue().value()).second);
  EXPECT_FALSE(rig.store.issue());
  EXPECT_TRUE(rig.store.redeem(*seen.begin()));
  EXPECT_TRUE(rig.store.issue()) << "a used one makes room";
  EXPECT_FALSE(rig.store.issue());
  rig.now += TicketStore::k_life;
  EXPECT_TRUE(rig.store.issue()) << "old ones go";
}

}  // namespace
}  // namespace histod::daemon::api
