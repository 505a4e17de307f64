// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "net/rtp/sequence.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::Arrival;
using net::rtp::SequenceStats;
using net::rtp::SequenceTracker;

/// What a sender does with the high half of the sequence number.
enum class Half { counted, zero, constant };

/// Packet `index` of one sender, as it is on the wire.
Arrival observe(SequenceTracker& tracker, std::int64_t index, Half half, std::uint32_t ssrc = 1) {
  const auto high = static_cast<std::uint16_t>(index >> 16);
  return tracker.observe(ssrc, static_cast<std::uint16_t>(index),
                         half == Half::counted ? high
                         : half == Half::zero  ? std::uint16_t{0}
                                               : std::uint16_t{0xbeef});
}

/// The same by sets of whole numbers: nothing wraps, nothing is forgotten.
class Oracle {
 public:
  explicit Oracle(std::int64_t window) : window_(window) {}

  Arrival observe(std::int64_t index) {
    if (seen_.empty()) first_ = index;
    const std::int64_t highest = seen_.empty() ? index - 1 : *seen_.rbegin();
    if (index < first_ || index <= highest - window_) return ++late_, Arrival::late;
    if (seen_.empty()) return seen_.insert(index), Arrival::first;
    if (!seen_.insert(index).second) return ++duplicates_, Arrival::duplicate;
    if (index < highest) return ++reordered_, Arrival::reordered;
    return index == highest + 1 ? Arrival::next : Arrival::gap;
  }

  SequenceStats stats() const {
    SequenceStats out{.received = seen_.size(), .reordered = reordered_, .duplicates = duplicates_, .late = late_};
    for (std::int64_t index = first_; index <= *seen_.rbegin(); ++index) {
      if (!seen_.contains(index)) ++(index <= *seen_.rbegin() - window_ ? out.lost : out.missing);
    }
    return out;
  }

 private:
  std::int64_t window_;
  std::int64_t first_ = 0;
  std::set<std::int64_t> seen_;
  std::uint64_t reordered_ = 0, duplicates_ = 0, late_ = 0;
};

/// What a network makes of `count` packets from `first` on.
std::vector<std::int64_t> through_network(std::int64_t first, int count, Random& random) {
  const unsigned losses = 1 + random() % 30;
  const unsigned delays = 1 + random() % 20;
  std::multimap<std::int64_t, std::int64_t> arrivals;
  for (std::int64_t index = first; index < first + count; ++index) {
    for (unsigned copies = random() % 25 == 0 ? 2 : 1; copies > 0; --copies) {
      if (random() % losses == 1) continue;
      std::int64_t delay = random() % delays == 1 ? random() % 40 : 0;
      if (random() % 50 == 0) delay = random() % 300;
      arrivals.emplace(index + delay, index);
    }
    if (random() % 400 == 0) index += random() % 200;  // a burst of losses, at times more than the window
  }
  std::vector<std::int64_t> out;
  for (const auto& [at, index] : arrivals) out.push_back(index);
  return out;
}

TEST(RtpSequence, AccountsAsSetsDo) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto half = static_cast<Half>(seed % 3);
    // Across the wrap of the low half, and for some across that of both.
    const std::int64_t first = (seed % 5 == 0 ? (std::int64_t{1} << 32) : (std::int64_t{1 + seed} << 16)) - 700;
    SequenceTracker tracker({.window_packets = 64, .min_sequential = 6});
    Oracle oracle(64);
    for (const std::int64_t index : through_network(first, 2000, random)) {
      ASSERT_EQ(observe(tracker, index, half), oracle.observe(index)) << index - first;
    }
    EXPECT_EQ(tracker.stats(), oracle.stats());
  }
}

TEST(RtpSequence, RandomPermutations) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    Random random(seed);
    std::vector<std::int64_t> order;
    for (std::int64_t index = 65536 - 300; index < 65536 + 300; ++index) order.push_back(index);
    // In blocks, the first packet staying the first.
    for (std::size_t at = 1; at < order.size(); at += 100) {
      const std::size_t end = std::min(at + 100, order.size());
      std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(at), order.begin() + static_cast<std::ptrdiff_t>(end),
                   random);
    }
    SequenceTracker tracker({.window_packets = 128});
    Oracle oracle(128);
    for (const std::int64_t index : order) {
      ASSERT_EQ(observe(tracker, index, static_cast<Half>(seed % 3)), oracle.observe(index));
    }
    EXPECT_EQ(tracker.stats(), oracle.stats());
    EXPECT_EQ(tracker.stats().received, 600u);
    EXPECT_EQ(tracker.stats().lost + tracker.stats().missing, 0u);
  }
}

TEST(RtpSequence, ManyWrapsOfAHighHalfThatIsAlwaysZero) {
  SequenceTracker tracker({});
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  for (std::int64_t index = 65000; index < 65000 + 300'000; ++index, ++sent) {
    if (index % 1000 == 17) {
      ++dropped;
    } else {
      ASSERT_NE(observe(tracker, index, Half::zero), Arrival::late);
    }
  }
  EXPECT_EQ(tracker.stats().received, sent - dropped);
  EXPECT_EQ(tracker.stats().lost + tracker.stats().missing, dropped);
  EXPECT_EQ(tracker.stats().restarts, 0u);
}

TEST(RtpSequence, LongPausesAreCountedAsFarAsTheNumbersTell) {
  const auto lost_in_pause = [](Half half, std::int64_t first, std::int64_t pause) {
    SequenceTracker tracker({});
    for (std::int64_t index = first; index < first + 10; ++index) observe(tracker, index, half);
    for (std::int64_t index = first + 10 + pause; index < first + 20 + pause; ++index) observe(tracker, index, half);
    return tracker.stats().lost + tracker.stats().missing;
  };
  EXPECT_EQ(lost_in_pause(Half::counted, 5, 100), 100u);
  EXPECT_EQ(lost_in_pause(Half::counted, 60'000, 1'000'000), 1'000'000u);
  EXPECT_EQ(lost_in_pause(Half::counted, 5, 50'000), 50'000u) << "within one round of the low half";
  EXPECT_EQ(lost_in_pause(Half::zero, 60'000, 32'000), 32'000u) << "over the wrap";
  EXPECT_EQ(lost_in_pause(Half::zero, 5, 50'000), 50'000u) << "both halves together say so";
}

TEST(RtpSequence, AHighHalfThatStartsToCountIsUsed) {
  SequenceTracker tracker({});
  for (std::int64_t index = 65'530; index < 65'540; ++index)
    EXPECT_NE(observe(tracker, index, Half::counted), Arrival::late);
  // 65536 further: the low half alone would take it for a duplicate.
  EXPECT_EQ(observe(tracker, 65'539 + 65'536, Half::counted), Arrival::gap);
  EXPECT_EQ(tracker.stats().lost + tracker.stats().missing, 65'535u);
}

TEST(RtpSequence, AHighHalfThatDoesNotCountAtAWrapIsIgnoredFromThenOn) {
  SequenceTracker tracker({});
  for (std::int64_t index = 65'530; index < 65'540; ++index) observe(tracker, index, Half::constant);
  EXPECT_EQ(tracker.observe(1, 4, 0x1234), Arrival::next);
  EXPECT_EQ(tracker.observe(1, 5, 0), Arrival::next);
  EXPECT_EQ(tracker.stats().received, 12u);
}

TEST(RtpSequence, AnotherSsrcIsBelievedWithItsSecondPacket) {
  SequenceTracker tracker({});
  for (std::int64_t index = 100; index < 110; ++index) observe(tracker, index, Half::zero, 7);
  observe(tracker, 112, Half::zero, 7);
  EXPECT_EQ(observe(tracker, 5, Half::zero, 8), Arrival::stray);
  EXPECT_EQ(observe(tracker, 113, Half::zero, 7), Arrival::next) << "one stray changes nothing";
  EXPECT_EQ(observe(tracker, 6, Half::zero, 8), Arrival::stray) << "nor do two that are not in a row";
  EXPECT_EQ(observe(tracker, 9, Half::zero, 8), Arrival::stray) << "or not in sequence";
  EXPECT_EQ(tracker.ssrc(), 7u);
  EXPECT_EQ(observe(tracker, 10, Half::zero, 8), Arrival::first);
  EXPECT_EQ(tracker.ssrc(), 8u);
  EXPECT_EQ(observe(tracker, 11, Half::zero, 8), Arrival::next);
  EXPECT_EQ(observe(tracker, 114, Half::zero, 7), Arrival::stray);
  EXPECT_EQ(tracker.stats(), (SequenceStats{.received = 14, .lost = 2, .strays = 4, .ssrc_changes = 1}));
}

TEST(RtpSequence, AtOnceWhereOnePacketIsEnough) {
  SequenceTracker tracker({.min_sequential = 1});
  observe(tracker, 100, Half::zero, 7);
  EXPECT_EQ(observe(tracker, 5, Half::zero, 8), Arrival::first);
  EXPECT_EQ(tracker.stats(), (SequenceStats{.received = 2, .ssrc_changes = 1}));
}

TEST(RtpSequence, ASenderThatBeginsAgainIsBelievedWithItsSecondPacket) {
  SequenceTracker tracker({.window_packets = 64});
  for (std::int64_t index = 30'000; index < 30'100; ++index) observe(tracker, index, Half::zero);
  EXPECT_EQ(observe(tracker, 20'000, Half::zero), Arrival::late);
  EXPECT_EQ(observe(tracker, 20'001, Half::zero), Arrival::first);
  EXPECT_EQ(observe(tracker, 20'002, Half::zero), Arrival::next);
  EXPECT_EQ(tracker.stats(), (SequenceStats{.received = 102, .late = 1, .restarts = 1}));
}

TEST(RtpSequence, WhatIsFarAheadIsBelievedWithItsSecondPacket) {
  SequenceTracker tracker({.dropout_packets_max = 1000});
  observe(tracker, 10, Half::zero);
  EXPECT_EQ(observe(tracker, 1010, Half::zero), Arrival::gap);
  EXPECT_EQ(observe(tracker, 2011, Half::zero), Arrival::stray);
  EXPECT_EQ(observe(tracker, 1011, Half::zero), Arrival::next);
  EXPECT_EQ(observe(tracker, 3000, Half::zero), Arrival::stray);
  EXPECT_EQ(observe(tracker, 3001, Half::zero), Arrival::first);
  EXPECT_EQ(tracker.stats(), (SequenceStats{.received = 4, .lost = 999, .strays = 2, .restarts = 1}));
}

TEST(RtpSequence, WhatPrecedesTheFirstIsLate) {
  SequenceTracker tracker({});
  EXPECT_EQ(observe(tracker, 500, Half::zero), Arrival::first);
  EXPECT_EQ(observe(tracker, 499, Half::zero), Arrival::late);
  EXPECT_EQ(observe(tracker, 500, Half::zero), Arrival::duplicate);
  EXPECT_EQ(observe(tracker, 502, Half::zero), Arrival::gap);
  EXPECT_EQ(observe(tracker, 499, Half::zero), Arrival::late);
  EXPECT_EQ(observe(tracker, 501, Half::zero), Arrival::reordered);
  EXPECT_EQ(tracker.stats(), (SequenceStats{.received = 3, .reordered = 1, .duplicates = 1, .late = 2}));
}

}  // namespace
}  // namespace histod::test
