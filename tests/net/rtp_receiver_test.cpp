// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "net/rtp/packetizer.hpp"
#include "net/rtp/receiver.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::Fault;
using net::rtp::Packetizer;
using net::rtp::Picture;
using net::rtp::Receiver;
using net::rtp::Sampling;
using net::rtp::VideoFormat;

constexpr VideoFormat k_format{
    .sampling = Sampling::ycbcr_422, .depth = 8, .width = 32, .height = 16, .interlaced = false, .line_numbering = {}};
constexpr unsigned k_picture_pixels = 32 * 16;

/// Packets of `pictures` pictures, of which each has several.
std::vector<Octets> packets_of(const VideoFormat& format, int pictures, Packetizer::Options options = {},
                               std::uint32_t timestamp = 0xfffffff0) {
  options.packet_octets_max = 120;
  auto packetizer = Packetizer::make(raster_of(format), options).value();
  std::vector<Octets> out;
  for (int picture = 0; picture < pictures; ++picture) {
    packetizer.begin(timestamp, format.interlaced ? picture % 2 : 0);
    while (const auto plan = packetizer.next()) {
      Octets packet(plan->packet_octets);
      std::ranges::copy(plan->header, packet.begin());
      out.push_back(packet);
    }
    timestamp += 1800;
  }
  return out;
}

TEST(RtpReceiver, WhatIsWholeIsComplete) {
  for (const bool interlaced : {false, true}) {
    VideoFormat format = k_format;
    format.interlaced = interlaced;
    Receiver receiver(raster_of(format), {.payload_type = 96, .sequence = {}});
    std::vector<Picture> pictures;
    std::uint64_t packets = 0;
    for (const Octets& packet : packets_of(format, 6)) {
      const auto received = receiver.receive(packet, ++packets * 1'000'000);
      ASSERT_TRUE(received.has_value());
      EXPECT_TRUE(received->fresh());
      std::ranges::copy(received->placement.ended(), std::back_inserter(pictures));
    }
    ASSERT_EQ(pictures.size(), 6u);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      EXPECT_EQ(pictures[i].number, i);
      EXPECT_TRUE(pictures[i].complete() && pictures[i].marker);
      EXPECT_EQ(pictures[i].pixels, interlaced ? k_picture_pixels / 2 : k_picture_pixels);
      EXPECT_EQ(pictures[i].field, interlaced ? i % 2 : 0);
    }
    EXPECT_EQ(receiver.stats().sequence.received, packets);
    EXPECT_EQ(receiver.stats().pictures, 6u);
    EXPECT_EQ(receiver.stats().pictures_incomplete, 0u);
    EXPECT_EQ(receiver.flush().ended().size(), 0u);
  }
}

/// Loses, doubles and delays packets; then each figure must be what sets of packets say.
TEST(RtpReceiver, CountsPixelsExactlyThroughABadNetwork) {
  std::vector<std::uint64_t> pixels_sent;
  for (const Octets& packet : packets_of(k_format, 20)) {
    pixels_sent.push_back(naive_video(packet, k_format)->samples.size() / 2);
  }
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto sent = packets_of(k_format, 20, {.sequence_number = 65'500 + seed});
    std::multimap<std::size_t, std::size_t> arrivals;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (i > 0 && random() % 12 == 0) continue;
      arrivals.emplace(i + (i > 0 && random() % 5 == 0 ? random() % 6 : 0), i);
      if (random() % 10 == 0) arrivals.emplace(i + random() % 6, i);
    }
    Receiver receiver(raster_of(k_format), {.payload_type = {}, .sequence = {}, .hold_packets = 8});
    std::map<std::uint32_t, std::uint64_t> pixels;  // by timestamp, of each packet once
    std::set<std::size_t> came;
    std::vector<Picture> pictures;
    for (const auto& [at, i] : arrivals) {
      const auto received = receiver.receive(sent[i], at * 1000);
      ASSERT_TRUE(received.has_value());
      ASSERT_EQ(received->fresh(), came.insert(i).second) << i;
      if (received->fresh()) pixels[received->packet.header.timestamp] += pixels_sent[i];
      std::ranges::copy(received->placement.ended(), std::back_inserter(pictures));
    }
    std::ranges::copy(receiver.flush().ended(), std::back_inserter(pictures));
    ASSERT_EQ(pictures.size(), pixels.size());
    std::uint64_t missing = 0;
    for (const Picture& picture : pictures) {
      EXPECT_EQ(picture.pixels, pixels[picture.timestamp]);
      missing += k_picture_pixels - picture.pixels;
    }
    EXPECT_TRUE(std::ranges::is_sorted(pictures, {}, &Picture::number));
    EXPECT_EQ(receiver.stats().missing_pixels, missing);
    EXPECT_EQ(receiver.stats().sequence.received, came.size());
    EXPECT_EQ(receiver.stats().sequence.duplicates, arrivals.size() - came.size());
    EXPECT_EQ(receiver.stats().sequence.lost + receiver.stats().sequence.missing, *came.rbegin() + 1 - came.size());
    EXPECT_EQ(receiver.stats().stale_packets, 0u);
  }
}

TEST(RtpReceiver, WhatIsMalformedIsCountedByKindAndIsLost) {
  Receiver receiver(raster_of(k_format), {.payload_type = 96, .sequence = {}});
  const auto packets = packets_of(k_format, 1);
  ASSERT_GE(packets.size(), 5u);
  const auto fault = [&](Octets packet) { return receiver.receive(packet, 0).error(); };
  EXPECT_TRUE(receiver.receive(packets[0], 0).has_value());
  Octets cut = packets[1];
  cut.pop_back();
  EXPECT_EQ(fault(cut), Fault::payload_truncated);
  Octets other = packets[2];
  put_bits(other, 9, 7, 97);
  EXPECT_EQ(fault(other), Fault::payload_type_unexpected);
  EXPECT_EQ(fault(Octets(5)), Fault::header_truncated);
  EXPECT_EQ(fault(Octets(5)), Fault::header_truncated);
  EXPECT_TRUE(receiver.receive(packets[3], 0).has_value());
  EXPECT_EQ(receiver.stats().sequence.received, 2u);
  EXPECT_EQ(receiver.stats().sequence.missing, 2u);
  std::array<std::uint64_t, net::rtp::k_faults> faults{};
  faults[static_cast<std::size_t>(Fault::payload_truncated)] = 1;
  faults[static_cast<std::size_t>(Fault::payload_type_unexpected)] = 1;
  faults[static_cast<std::size_t>(Fault::header_truncated)] = 2;
  EXPECT_EQ(receiver.stats().faults, faults);
  EXPECT_EQ(receiver.stats().octets, packets[0].size() + packets[3].size());
}

TEST(RtpReceiver, AnotherResolutionIsFaultsAndNothingElse) {
  VideoFormat larger = k_format;
  larger.width = 48;
  larger.height = 20;
  Receiver receiver(raster_of(k_format), {});
  std::size_t faults = 0;
  const auto packets = packets_of(larger, 3);
  for (const Octets& packet : packets) faults += receiver.receive(packet, 0) ? 0 : 1;
  EXPECT_GT(faults, packets.size() / 2) << "what fits into the smaller frame is taken";
  EXPECT_EQ(receiver.stats().faults[static_cast<std::size_t>(Fault::segment_beyond_line)] +
                receiver.stats().faults[static_cast<std::size_t>(Fault::line_beyond_frame)],
            faults);
}

TEST(RtpReceiver, AnotherSenderBeginsANewAccount) {
  Receiver receiver(raster_of(k_format), {});
  const auto first = packets_of(k_format, 2, {.ssrc = 1});
  const auto second = packets_of(k_format, 2, {.ssrc = 2});  // with the same timestamps
  for (const Octets& packet : first) EXPECT_TRUE(receiver.receive(packet, 0)->fresh());
  std::vector<Picture> pictures;
  for (const Octets& packet : second) {
    const auto received = receiver.receive(packet, 0);
    EXPECT_EQ(received->fresh(), &packet != &second.front()) << "the first is not yet believed";
    std::ranges::copy(received->placement.ended(), std::back_inserter(pictures));
  }
  EXPECT_EQ(receiver.ssrc(), 2u);
  EXPECT_EQ(receiver.stats().sequence.ssrc_changes, 1u);
  EXPECT_EQ(receiver.stats().sequence.strays, 1u);
  ASSERT_EQ(pictures.size(), 2u) << "the first of the two when the second was whole";
  EXPECT_FALSE(pictures[0].complete());
  EXPECT_TRUE(pictures[1].complete());
}

TEST(RtpReceiver, JitterIsOfPacketsAndOfPictures) {
  // Pictures come evenly, their packets in a burst.
  Receiver receiver(raster_of(k_format), {});
  std::uint64_t now = 0;
  std::uint32_t timestamp = 0;
  for (const Octets& packet : packets_of(k_format, 200)) {
    const std::uint32_t next = naive_rtp(packet)->timestamp;
    now = next != timestamp ? (now + 20'000'000 - 1) / 20'000'000 * 20'000'000 : now + 1'000'000;
    timestamp = next;
    ASSERT_TRUE(receiver.receive(packet, now).has_value());
  }
  EXPECT_EQ(receiver.stats().picture_jitter_ticks, 0u);
  EXPECT_GT(receiver.stats().packet_jitter_ticks, 80u) << "a millisecond is 90";
}

}  // namespace
}  // namespace histod::test
