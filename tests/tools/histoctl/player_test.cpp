// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tests/net/rtp_naive.hpp"
#include "tools/histoctl/stream_player.hpp"
#include "tools/histoctl/video_samples.hpp"

namespace histod::test {
namespace {

namespace rtp = net::rtp;
using namespace std::chrono_literals;

/// A socket that packets come to.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), bytes), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    port_ = ntohs(address.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

  ctl::HostPort address() const { return {"127.0.0.1", port_}; }

  /// What has come so far: the loopback interface delivers at once.
  std::vector<Octets> take() {
    std::vector<Octets> all;
    for (;;) {
      Octets packet(65536);
      const ssize_t got = ::recv(fd_, packet.data(), packet.size(), MSG_DONTWAIT);
      if (got < 0) return all;
      packet.resize(static_cast<std::size_t>(got));
      all.push_back(std::move(packet));
    }
  }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

struct Rig {
  explicit Rig(const rtp::VideoFormat& format, rtp::FrameRate rate = {1000, 1})
      : raster(raster_of(format)),
        sender(ctl::PacketSender::open(listener.address(), {}).value()),
        player(raster, rtp::Packetizer::make(raster, {.sequence_number = 0xfffe, .packet_octets_max = 100}).value(),
               rate, 0xfffffff0, sender) {}

  Listener listener;
  rtp::Raster raster;
  ctl::PacketSender sender;
  ctl::StreamPlayer player;
};

TEST(StreamPlayer, SendsEachFrameInItsTurn) {
  const rtp::VideoFormat format{rtp::Sampling::ycbcr_422, 8, 64, 6, true};
  Rig rig(format);
  std::vector<ctl::PackedFrame> frames;
  for (unsigned i = 0; i < 2; ++i)
    frames.emplace_back(rig.raster, ctl::PatternSamples(format, ctl::Pattern::noise, 1, i));
  const auto played = rig.player.play(frames, 3).value();
  EXPECT_EQ(played.frames, 3u);
  EXPECT_FALSE(played.interrupted);
  std::vector<NaiveFrame> pictures(1);
  std::uint32_t sequence = 0xfffe;
  const auto packets = rig.listener.take();
  EXPECT_EQ(packets.size(), rig.sender.counts().packets);
  for (const Octets& packet : packets) {
    const auto read = naive_video(packet, format);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->extended << 16 | read->sequence_number, sequence++);
    EXPECT_EQ(read->timestamp, rig.player.timestamp(pictures.size() - 1));
    pictures.back().insert(read->samples.begin(), read->samples.end());
    if (read->marker != 0) pictures.emplace_back();
  }
  ASSERT_EQ(pictures.size(), 7u);
  EXPECT_EQ(pictures[0], pictures[4]);
  EXPECT_EQ(pictures[1], pictures[5]);
  EXPECT_NE(pictures[0], pictures[2]);
  EXPECT_EQ(pictures[0].size() + pictures[1].size(), 2u * 64 * 6);
}

TEST(StreamPlayer, NeverRunsAheadOfTime) {
  const rtp::VideoFormat format{rtp::Sampling::rgb, 8, 8, 8};
  Rig rig(format, {200, 1});
  const ctl::PackedFrame frame(rig.raster, ctl::PatternSamples(format, ctl::Pattern::flat, 0, 0));
  const auto played = rig.player.play({&frame, 1}, 10).value();
  EXPECT_GE(played.took, 50ms);
  EXPECT_GE(played.late, 0ns);
}

TEST(StreamPlayer, TimesAndTimestampsDoNotDrift) {
  Rig rig({rtp::Sampling::rgb, 8, 8, 8}, {30000, 1001});
  EXPECT_EQ(rig.player.timestamp(0), 0xfffffff0);
  EXPECT_EQ(rig.player.timestamp(1), 3003u - 16);
  EXPECT_EQ(rig.player.due(30000), 1001s);
  EXPECT_EQ(rig.player.due(30000ull * 1000), 1001'000s);
  EXPECT_EQ(rig.player.timestamp(30000ull * 1000) - rig.player.timestamp(0),
            static_cast<std::uint32_t>(1001'000ull * 90'000));
  Rig fields({rtp::Sampling::rgb, 8, 8, 8, true}, {25, 1});
  EXPECT_EQ(fields.player.due(1), 20ms);
  EXPECT_EQ(fields.player.timestamp(3) - fields.player.timestamp(2), 1800u);
}

TEST(PacketSender, MoreThanABatchGoesInSeveral) {
  const rtp::VideoFormat format{rtp::Sampling::rgb, 8, 256, 16};
  Rig rig(format);
  const ctl::PackedFrame frame(rig.raster, ctl::PatternSamples(format, ctl::Pattern::noise, 0, 0));
  ASSERT_TRUE(rig.player.play({&frame, 1}, 1).has_value());
  EXPECT_GT(rig.sender.counts().packets, ctl::PacketSender::k_batch_max);
  EXPECT_EQ(rig.sender.counts().failed, 0u);
  std::uint64_t octets = 0;
  for (const Octets& packet : rig.listener.take()) octets += packet.size();
  EXPECT_EQ(octets, rig.sender.counts().octets);
}

TEST(PacketSender, KnowsGroupsAndFamilies) {
  EXPECT_TRUE(ctl::PacketSender::open({"239.1.1.1", 5004}, {}).value().multicast());
  EXPECT_FALSE(ctl::PacketSender::open({"127.0.0.1", 5004}, {}).value().multicast());
  EXPECT_TRUE(ctl::PacketSender::open({"ff02::1", 5004}, {}).value().multicast());
  EXPECT_TRUE(ctl::PacketSender::open({"::1", 5004}, {}).value().ipv6());
  EXPECT_EQ(ctl::PacketSender::open({"127.0.0.1", 5004}, {}).value().numeric_host(), "127.0.0.1");
  EXPECT_EQ(ctl::PacketSender::open({"127.0.0.1", 5004}, {.interface = "eth0"}).error().exit, ctl::Exit::usage);
  EXPECT_EQ(ctl::PacketSender::open({"a..b", 5004}, {}).error().exit, ctl::Exit::unreachable);
}

}  // namespace
}  // namespace histod::test
