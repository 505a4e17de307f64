// SPDX-License-Identifier: Apache-2.0
#include "daemon/mailbox.hpp"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>

namespace histod::daemon {
namespace {

bool is_readable(const Mailbox& box, int wait_ms = 0) {
  pollfd waiting{box.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, wait_ms) == 1 && (waiting.revents & POLLIN) != 0;
}

TEST(Mailbox, RunsMessagesInTheOrderOfTheirPosting) {
  Mailbox box(100);
  std::vector<int> seen;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(box.post([&seen, i] { seen.push_back(i); }));
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(box.drain(), 100u);
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST(Mailbox, KeepsTheOrderWhenTheRingWrapsAround) {
  Mailbox box(3);
  std::vector<int> seen;
  for (int i = 0; i < 20; i += 2) {
    ASSERT_TRUE(box.post([&seen, i] { seen.push_back(i); }));
    ASSERT_TRUE(box.post([&seen, i] { seen.push_back(i + 1); }));
    EXPECT_EQ(box.drain(), 2u);
  }
  ASSERT_EQ(seen.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(seen[i], i);
}

TEST(Mailbox, RefusesWhatIsOverItsCapacityAndLeavesItAlone) {
  Mailbox box(2);
  int runs = 0;
  ASSERT_TRUE(box.post([&runs] { ++runs; }));
  ASSERT_TRUE(box.post([&runs] { ++runs; }));
  Mailbox::Message third = [&runs] { runs += 10; };
  EXPECT_FALSE(box.post(std::move(third)));
  // NOLINTNEXTLINE(bugprone-use-after-move): it was not moved, which is the point
  ASSERT_TRUE(third) << "a refused message still belongs to its sender";
  EXPECT_EQ(box.drain(), 2u);
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(box.post(std::move(third)));
  EXPECT_EQ(box.drain(), 1u);
  EXPECT_EQ(runs, 12);
}

TEST(Mailbox, KeepsTheReservedRoomForCompletions) {
  Mailbox box(5, 2);
  int posted = 0, completed = 0;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(box.post([&posted] { ++posted; }));
  EXPECT_FALSE(box.post([&posted] { ++posted; }));
  box.complete([&completed] { ++completed; });
  EXPECT_FALSE(box.post([&posted] { ++posted; }));
  box.complete([&completed] { ++completed; });
  EXPECT_EQ(box.drain(), 5u);
  EXPECT_EQ(posted, 3);
  EXPECT_EQ(completed, 2);
}

TEST(MailboxDeathTest, AFullBoxIsABugForACompletion) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Mailbox box(1);
        box.complete([] {});
        box.complete([] {});
      },
      "pushed");
}

TEST(Mailbox, IsReadableExactlyWhileMessagesWait) {
  Mailbox box(8);
  EXPECT_FALSE(is_readable(box));
  ASSERT_TRUE(box.post([] {}));
  EXPECT_TRUE(is_readable(box));
  EXPECT_TRUE(is_readable(box)) << "a level, not an edge: looking does not reset it";
  ASSERT_TRUE(box.post([] {}));
  box.drain();
  EXPECT_FALSE(is_readable(box));
  EXPECT_EQ(box.drain(), 0u);
  ASSERT_TRUE(box.post([] {}));
  EXPECT_TRUE(is_readable(box));
  box.drain();
  EXPECT_FALSE(is_readable(box));
}

TEST(Mailbox, UnwatchedItHasNoFdAndDoesTheRest) {
  Mailbox box(2, Mailbox::Unwatched());
  EXPECT_EQ(box.fd(), -1);
  unsigned seen = 0;
  for (unsigned round = 1; round <= 3; ++round) {
    ASSERT_TRUE(box.post([&] { ++seen; }));
    box.complete([&] { ++seen; });
    EXPECT_FALSE(box.post([] {}));
    EXPECT_EQ(box.drain(), 2u);
    EXPECT_EQ(seen, 2 * round);
  }
}

TEST(Mailbox, WhatIsPostedWhileItDrainsWaitsForTheNextTime) {
  Mailbox box(4);
  std::vector<int> seen;
  ASSERT_TRUE(box.post([&] {
    seen.push_back(1);
    ASSERT_TRUE(box.post([&seen] { seen.push_back(3); }));
  }));
  ASSERT_TRUE(box.post([&seen] { seen.push_back(2); }));
  EXPECT_EQ(box.drain(), 2u);
  EXPECT_EQ(seen, (std::vector{1, 2}));
  EXPECT_TRUE(is_readable(box)) << "the message that came meanwhile must wake the reader again";
  EXPECT_EQ(box.drain(), 1u);
  EXPECT_EQ(seen, (std::vector{1, 2, 3}));
  EXPECT_FALSE(is_readable(box));
}

TEST(Mailbox, TheLastMessageOfADrainMayPostAgain) {
  Mailbox box(1);
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds < 5) {
      ASSERT_TRUE(box.post([&again] { again(); }));
    }
  };
  ASSERT_TRUE(box.post([&again] { again(); }));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(is_readable(box));
    EXPECT_EQ(box.drain(), 1u);
  }
  EXPECT_EQ(rounds, 5);
  EXPECT_FALSE(is_readable(box));
}

TEST(Mailbox, DestroysAMessageOnceItRanAndBeforeTheNextRuns) {
  Mailbox box(2);
  auto alive = std::make_shared<int>();
  const std::weak_ptr<int> seen = alive;
  bool gone = false;
  ASSERT_TRUE(box.post([kept = std::move(alive)] {}));
  ASSERT_TRUE(box.post([&] { gone = seen.expired(); }));
  box.drain();
  EXPECT_TRUE(gone);
}

TEST(Mailbox, DestroysWhatWasNeverDelivered) {
  auto alive = std::make_shared<int>();
  const std::weak_ptr<int> seen = alive;
  bool ran = false;
  {
    Mailbox box(4);
    ASSERT_TRUE(box.post([kept = alive, &ran] { ran = true; }));
    ASSERT_TRUE(box.post([kept = std::move(alive), &ran] { ran = true; }));
    EXPECT_FALSE(seen.expired());
  }
  EXPECT_TRUE(seen.expired());
  EXPECT_FALSE(ran);
}

struct Sent {
  int producer;
  int number;
};

TEST(Mailbox, LosesAndDoublesNothingOfManyProducers) {
  constexpr int k_producers = 8, k_messages = 5'000;
  Mailbox box(64);
  std::vector<Sent> seen;
  std::vector<std::thread> producers;
  for (int p = 0; p < k_producers; ++p) {
    producers.emplace_back([&box, &seen, p] {
      for (int n = 0; n < k_messages; ++n) {
        // `seen` is touched by the reader only; a full box makes the producer try again.
        while (!box.post([&seen, p, n] { seen.push_back({p, n}); })) std::this_thread::yield();
      }
    });
  }
  while (seen.size() < std::size_t{k_producers} * k_messages) {
    ASSERT_TRUE(is_readable(box, 60'000)) << "nobody woke the reader after " << seen.size() << " messages";
    box.drain();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_FALSE(is_readable(box));
  std::vector<int> next(k_producers, 0);
  for (const Sent& sent : seen) EXPECT_EQ(sent.number, next[sent.producer]++);
  for (const int count : next) EXPECT_EQ(count, k_messages);
}

}  // namespace
}  // namespace histod::daemon
