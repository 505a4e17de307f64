// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "daemon/streams/preview.hpp"
#include "daemon/streams/processor.hpp"
#include "tests/daemon/stream_support.hpp"

namespace histod::test {
namespace {

using daemon::streams::NoteRing;
using daemon::streams::PreviewBoard;
using daemon::streams::Previewer;
using daemon::streams::Processor;
using daemon::streams::StreamConfig;
using daemon::streams::StreamSnapshot;
using net::rtp::LineNumbering;
using net::rtp::Sampling;
using net::rtp::VideoFormat;

/// Datagrams that are nearly packets of a format: anybody may send some to an open port.
class Anybody {
 public:
  Anybody(const VideoFormat& format, std::uint32_t seed)
      : format_(format), pgroup_(*net::rtp::pgroup_of(format.sampling, format.depth)), random_(seed) {}

  Bytes datagram() {
    if (one_in(4000)) ssrc_ = below(1u << 31);
    if (one_in(100)) sequence_ = static_cast<std::uint16_t>(sequence_ + below(3000));
    const bool marker = one_in(6);
    Bytes out{std::byte{0x80}, static_cast<std::byte>(96 | (marker ? 0x80 : 0))};
    put16(out, one_in(50) ? sequence_ : sequence_++);
    put32(out, timestamp_);
    put32(out, ssrc_);
    put16(out, 0);
    add_segments(out, 1 + below(3));
    if (marker) timestamp_ += 3'000;
    if (one_in(4)) spoil(out);
    return out;
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }

  void add_segments(Bytes& out, unsigned count) {
    // Now and then for long enough that it could be another size.
    if (one_in(300)) reach_ = 1 + below(4);
    const unsigned groups_max = std::max(1u, format_.width * reach_ / 2 / pgroup_.width);
    std::size_t octets = 0;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned offset = below(groups_max), groups = 1 + below(groups_max);
      put16(out, groups * pgroup_.octets);
      put16(out, below(std::max(1u, format_.height * reach_ / 2)) | (format_.interlaced && one_in(2) ? 0x8000 : 0));
      put16(out, offset * pgroup_.width | (i + 1 < count ? 0x8000 : 0));
      octets += std::size_t{groups} * pgroup_.octets;
    }
    for (std::size_t i = 0; i < octets; ++i) out.push_back(static_cast<std::byte>(random_()));
  }
  void spoil(Bytes& packet) {
    for (unsigned i = 0; i < 1 + below(3); ++i)
      packet[below(static_cast<std::uint32_t>(std::min<std::size_t>(packet.size(), 34)))] =
          static_cast<std::byte>(random_());
    if (one_in(2)) packet.resize(below(static_cast<std::uint32_t>(packet.size()) + 20));
  }

  const VideoFormat format_;
  const net::rtp::Pgroup pgroup_;
  std::minstd_rand random_;
  std::uint32_t ssrc_ = 1, timestamp_ = 0;
  std::uint16_t sequence_ = 65'000;
  unsigned reach_ = 2;  ///< halves of the format's size
};

void expect_order_in(const VideoFormat& format, std::uint32_t seed) {
  SCOPED_TRACE(testing::Message() << net::rtp::name_of(format.sampling) << ' ' << format.depth << " bit, interlaced "
                                  << format.interlaced << ", seed " << seed);
  constexpr std::uint64_t k_datagrams = 6'000;
  StreamConfig config = stream_config(3);
  config.format = format;
  compute::Arena arena{{{}, 1}};
  PreviewBoard board;
  Previewer previewer(config.format, arena, board, 1);
  previewer.configure({.per_second = 5, .height_max = 5});
  NoteRing notes;
  DeafListener nobody;
  Processor processor(config, nobody, notes, &previewer);
  Anybody anybody(format, seed);
  std::uint64_t sent_on = 0;
  for (std::uint64_t i = 0; i < k_datagrams; ++i) {
    Bytes datagram = anybody.datagram();
    const std::size_t size = datagram.size();
    if (processor.process(datagram, static_cast<std::int64_t>(i) * 10'000'000)) ++sent_on;
    ASSERT_EQ(datagram.size(), size);
    while (notes.pop()) continue;
  }
  processor.flush();
  StreamSnapshot state;
  processor.describe(state);
  const net::rtp::ReceiverStats& stats = state.received;
  const auto refused = std::accumulate(stats.faults.begin(), stats.faults.end(), std::uint64_t{0});
  EXPECT_EQ(stats.sequence.received + stats.sequence.duplicates + stats.sequence.late + stats.sequence.strays + refused,
            k_datagrams)
      << "each is counted once";
  EXPECT_EQ(sent_on, stats.sequence.received - stats.stale_packets);
  EXPECT_GT(state.frames_whole + state.frames_partial, 20u);
  EXPECT_GT(refused, 200u);
  EXPECT_TRUE(processor.between_pictures());
}

TEST(StreamHostile, AnyDatagramIsCountedOnceAndEndsNothing) {
  const std::vector<VideoFormat> formats{
      {.sampling = Sampling::ycbcr_422, .depth = 8, .width = 16, .height = 8},
      {.sampling = Sampling::ycbcr_422, .depth = 8, .width = 16, .height = 8, .interlaced = true},
      {.sampling = Sampling::ycbcr_422, .depth = 10, .width = 22, .height = 9},
      {.sampling = Sampling::ycbcr_420, .depth = 8, .width = 16, .height = 8},
      {.sampling = Sampling::ycbcr_420, .depth = 12, .width = 16, .height = 12},
      {.sampling = Sampling::rgb, .depth = 10, .width = 12, .height = 6},
      {.sampling = Sampling::rgba, .depth = 16, .width = 9, .height = 5},
      {.sampling = Sampling::ycbcr_422,
       .depth = 12,
       .width = 16,
       .height = 9,
       .interlaced = true,
       .line_numbering = LineNumbering::field}};
  for (const VideoFormat& format : formats)
    for (const std::uint32_t seed : {1u, 2u}) expect_order_in(format, seed);
}

}  // namespace
}  // namespace histod::test
