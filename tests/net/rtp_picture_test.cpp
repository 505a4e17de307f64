// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "net/rtp/jitter.hpp"
#include "net/rtp/picture.hpp"

namespace histod::test {
namespace {

using net::rtp::Picture;
using net::rtp::PictureTracker;
using net::rtp::Placement;
using Place = Placement::Place;

constexpr std::uint64_t k_pixels = 100;  // of a picture: ten packets of ten

/// The numbers of the pictures that ended, and how many pixels each had.
std::vector<std::pair<std::uint64_t, std::uint64_t>> ended(const Placement& placement) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (const Picture& picture : placement.ended()) out.emplace_back(picture.number, picture.pixels);
  return out;
}
using Ended = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct Rig {
  PictureTracker tracker;
  explicit Rig(unsigned hold) : tracker(hold) {}
  Placement put(std::uint32_t timestamp, bool newest = true, bool marker = false, unsigned field = 0) {
    return tracker.place(timestamp, field, marker, 10, newest, k_pixels);
  }
  Placement put_many(std::uint32_t timestamp, int packets) {
    Placement last;
    for (int i = 0; i < packets; ++i) last = put(timestamp);
    return last;
  }
};

TEST(RtpPicture, EndsWithItsLastPixel) {
  Rig rig(4);
  const Placement first = rig.put(1000);
  EXPECT_TRUE(first.begins);
  EXPECT_EQ(first.place, Place::newest);
  EXPECT_EQ(ended(rig.put_many(1000, 8)), Ended{});
  const Placement last = rig.put(1000, true, true);
  ASSERT_EQ(ended(last), (Ended{{0, 100}}));
  EXPECT_EQ(last.ended()[0], (Picture{.number = 0,
                                      .timestamp = 1000,
                                      .field = 0,
                                      .marker = true,
                                      .packets = 10,
                                      .pixels = 100,
                                      .expected_pixels = 100}));
  EXPECT_EQ(rig.put(1000).place, Place::stale) << "more than there are pixels";
  EXPECT_TRUE(rig.put(4000).begins);
  EXPECT_EQ(ended(rig.tracker.flush()), (Ended{{1, 10}}));
  EXPECT_EQ(ended(rig.tracker.flush()), Ended{});
}

TEST(RtpPicture, WaitsForWhatWasReorderedOverItsEnd) {
  Rig rig(4);
  rig.put_many(1000, 8);
  EXPECT_EQ(ended(rig.put_many(2000, 3)), Ended{});
  const Placement old = rig.put(1000, false);
  EXPECT_EQ(old.place, Place::previous);
  EXPECT_EQ(old.number, 0u);
  EXPECT_EQ(ended(rig.put(1000, false)), (Ended{{0, 100}}));
  EXPECT_EQ(ended(rig.put(2000)), Ended{});
}

TEST(RtpPicture, DoesNotWaitForEver) {
  Rig rig(4);
  rig.put_many(1000, 9);
  EXPECT_EQ(ended(rig.put_many(2000, 3)), Ended{});
  const Placement fourth = rig.put(2000);
  ASSERT_EQ(ended(fourth), (Ended{{0, 90}}));
  EXPECT_FALSE(fourth.ended()[0].complete());
  EXPECT_EQ(fourth.ended()[0].missing_pixels(), 10u);
  EXPECT_EQ(rig.put(1000, false).place, Place::stale);
}

TEST(RtpPicture, EndsInOrder) {
  Rig rig(1000);
  rig.put_many(1000, 9);
  EXPECT_EQ(ended(rig.put_many(2000, 10)), (Ended{{0, 90}, {1, 100}})) << "the next is complete";
  rig.put_many(3000, 5);
  rig.put_many(4000, 5);
  EXPECT_EQ(ended(rig.put(5000)), (Ended{{2, 50}})) << "the one after the next begins";
  EXPECT_EQ(ended(rig.tracker.flush()), (Ended{{3, 50}, {4, 10}}));
  Rig small(1);
  small.put(1000);
  small.put(2000);
  // The third begins and is complete at once.
  small.tracker.place(3000, 0, false, 10, true, k_pixels);
  EXPECT_EQ(ended(small.tracker.place(4000, 0, true, 100, true, k_pixels)), (Ended{{2, 10}, {3, 100}}));
}

TEST(RtpPicture, ThreeMayEndWithOnePacket) {
  Rig rig(1000);
  rig.put(1000);
  rig.put(2000);
  EXPECT_EQ(ended(rig.tracker.place(3000, 0, true, 100, true, k_pixels)), (Ended{{0, 10}, {1, 10}, {2, 100}}));
}

TEST(RtpPicture, OnlyTheNewestPacketBeginsOne) {
  Rig rig(4);
  rig.put_many(1000, 3);
  EXPECT_EQ(rig.put(900, false).place, Place::stale);
  const Placement back = rig.put(500);
  EXPECT_TRUE(back.begins) << "timestamps may jump backwards";
  EXPECT_EQ(back.number, 1u);
}

TEST(RtpPicture, FieldsAreTwoPicturesWhateverTheirTimestamps) {
  Rig rig(4);
  rig.put_many(1000, 9);
  EXPECT_EQ(ended(rig.put(1000)), (Ended{{0, 100}}));
  const Placement second = rig.put(1000, true, false, 1);
  EXPECT_TRUE(second.begins);
  EXPECT_EQ(second.number, 1u);
}

TEST(RtpJitter, IsTheFormulaOfTheRfc) {
  std::uint64_t arrival_ns = 1'800'000'000'000'000'000;
  std::uint32_t timestamp = 0xfffff000;
  net::rtp::InterarrivalJitter jitter;
  // In floating point, and with a sixteenth more precision than the integers have.
  double estimate = 0;
  std::optional<std::pair<double, double>> before;
  double media = 0;
  for (unsigned i = 0; i < 2000; ++i) {
    const double arrival = static_cast<double>(arrival_ns - 1'800'000'000'000'000'000) * 90000e-9;
    jitter.observe(arrival_ns, timestamp);
    if (before) {
      const double difference = (arrival - before->first) - (media - before->second);
      estimate += (std::abs(difference) - estimate) / 16;
    }
    before = {arrival, media};
    ASSERT_NEAR(jitter.ticks(), estimate, 2.5) << i;
    const unsigned step = i % 10 == 0 ? 3600 : 0;
    timestamp += step;
    media += step;
    arrival_ns += 4'000'000 + (i * 7919 % 1000) * 1000;
  }
  EXPECT_GT(jitter.ticks(), 300u);
  jitter.reset();
  EXPECT_EQ(jitter.ticks(), 0u);
}

TEST(RtpJitter, IsZeroForAnEvenStream) {
  net::rtp::InterarrivalJitter jitter;
  for (std::uint32_t i = 0; i < 1000; ++i) jitter.observe(i * 40'000'000ull, 77 + i * 3600);
  EXPECT_EQ(jitter.ticks(), 0u);
}

}  // namespace
}  // namespace histod::test
