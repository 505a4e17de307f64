// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

#include "net/rtp/packetizer.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::LineNumbering;
using net::rtp::Packetizer;
using net::rtp::Sampling;
using net::rtp::VideoFormat;

/// The packets of one picture with its pixels in them.
std::vector<Octets> packets_of(Packetizer& packetizer, const VideoFormat& format, const NaiveFrame& frame,
                               std::uint32_t timestamp, unsigned field) {
  std::vector<Octets> out;
  packetizer.begin(timestamp, field);
  while (const auto plan = packetizer.next()) {
    Octets packet(plan->packet_octets);
    std::ranges::copy(plan->header, packet.begin());
    for (const net::rtp::Segment& segment : plan->segments) put_segment(packet, segment, format, frame);
    out.push_back(packet);
  }
  return out;
}

/// Every sample of the picture once, the last packet alone with the marker, all with the picture's numbers.
void expect_picture(const std::vector<Octets>& packets, const VideoFormat& format, const NaiveFrame& frame,
                    std::uint32_t first_number, const Packetizer::Options& options) {
  NaiveFrame all;
  std::uint32_t number = first_number;
  for (const Octets& packet : packets) {
    const auto naive = naive_video(packet, format);
    ASSERT_TRUE(naive.has_value());
    ASSERT_LE(packet.size(), options.packet_octets_max);
    ASSERT_LE(naive->lines.size(), options.segments_max);
    ASSERT_EQ(naive->extended << 16 | naive->sequence_number, number++);
    ASSERT_EQ(naive->marker, &packet == &packets.back() ? 1u : 0u);
    ASSERT_EQ(naive->ssrc, options.ssrc);
    for (const auto& [sample, value] : naive->samples) ASSERT_TRUE(all.emplace(sample, value).second) << "twice";
  }
  ASSERT_EQ(all, frame);
}

TEST(RtpPacketizer, SendsEveryPixelOnce) {
  Random random(5);
  for (const NaivePgroup& pgroup : naive_pgroups()) {
    for (int turn = 0; turn < 6; ++turn) {
      SCOPED_TRACE(pgroup.sampling + " " + std::to_string(pgroup.depth) + " turn " + std::to_string(turn));
      VideoFormat format{.sampling = net::rtp::sampling_of(pgroup.sampling).value(),
                         .depth = pgroup.depth,
                         .width = static_cast<unsigned>(1 + random() % 40),
                         .height = static_cast<unsigned>(2 + random() % 12),
                         .interlaced = turn % 3 != 0,
                         .line_numbering = turn % 3 == 1 ? LineNumbering::frame : LineNumbering::field};
      const Packetizer::Options options{.payload_type = 96,
                                        .ssrc = random(),
                                        .sequence_number = 0x0001fffd,
                                        .packet_octets_max = static_cast<unsigned>(35 + random() % 400),
                                        .segments_max = static_cast<unsigned>(1 + random() % 5)};
      auto packetizer = Packetizer::make(raster_of(format), options).value();
      const NaiveFrame frame = naive_noise(format, random);
      std::uint32_t number = options.sequence_number;
      for (unsigned field = 0; field < (format.interlaced ? 2u : 1u); ++field) {
        NaiveFrame picture;
        for (const auto& [sample, value] : frame) {
          if (!format.interlaced || std::get<1>(sample) % 2 == field) picture.emplace(sample, value);
        }
        const auto packets = packets_of(packetizer, format, frame, 90'000 + field, field);
        expect_picture(packets, format, picture, number, options);
        number += static_cast<std::uint32_t>(packets.size());
        ASSERT_EQ(packetizer.sequence_number(), number);
        ASSERT_FALSE(packetizer.next().has_value());
      }
    }
  }
}

TEST(RtpPacketizer, FillsPackets) {
  // 1080p, 4:2:2, 10 bits: lines of 4800 octets. Packets of 1428 octets with all but a few of them used.
  const VideoFormat format{.sampling = Sampling::ycbcr_422,
                           .depth = 10,
                           .width = 1920,
                           .height = 1080,
                           .interlaced = false,
                           .line_numbering = {}};
  auto packetizer = Packetizer::make(raster_of(format), {.packet_octets_max = 1428}).value();
  packetizer.begin(0);
  std::size_t packets = 0;
  std::size_t octets = 0;
  while (const auto plan = packetizer.next()) {
    ++packets;
    for (const auto& segment : plan->segments) octets += segment.octets;
    if (!plan->marker) {
      EXPECT_GT(plan->packet_octets, 1428u - 12);
    }
  }
  EXPECT_EQ(octets, 1920u * 1080 * 5 / 2);
  EXPECT_LT(packets, 3760u);
}

TEST(RtpPacketizer, NoPacketBeforeAPictureWasBegun) {
  const VideoFormat format{.width = 8, .height = 8};
  auto packetizer = Packetizer::make(raster_of(format), {}).value();
  EXPECT_FALSE(packetizer.next().has_value());
}

TEST(RtpPacketizer, RefusesWhatAllowsNoPacket) {
  const auto raster = raster_of({.sampling = Sampling::rgb, .depth = 10, .width = 8, .height = 8});
  const auto error = [&](const Packetizer::Options& options) { return Packetizer::make(raster, options).error(); };
  EXPECT_EQ(error({.packet_octets_max = 34}).detail,
            "packets of at most 34 octets, which is under the 35 that one pgroup takes");
  EXPECT_TRUE(Packetizer::make(raster, {.packet_octets_max = 35}).has_value());
  EXPECT_EQ(error({.packet_octets_max = 65508}).code, net::rtp::Errc::too_large);
  EXPECT_EQ(error({.segments_max = 0}).code, net::rtp::Errc::out_of_range);
  EXPECT_EQ(error({.segments_max = 33}).limit, 32u);
  EXPECT_EQ(error({.payload_type = 128}).value, 128u);
  EXPECT_EQ(net::rtp::packet_octets_of_mtu(1500, false), 1472u);
  EXPECT_EQ(net::rtp::packet_octets_of_mtu(1500, true), 1452u);
  EXPECT_EQ(net::rtp::packet_octets_of_mtu(20, false), 0u);
}

/// A file for a test's own use, gone with it.
struct OwnFile {
  std::filesystem::path path;
  explicit OwnFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("histod_rtp_" + std::to_string(::getpid()) + "_" + name)) {}
  ~OwnFile() { std::filesystem::remove(path); }
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;
};

/// What GStreamer's rtpvrawdepay makes of our packets (RFC 4571 frames them in a file) must be our pixels again. It
/// knows no interlaced video.
TEST(RtpPacketizer, GStreamerPlaysIt) {
  if (std::system("gst-launch-1.0 --version >/dev/null 2>&1 && gst-inspect-1.0 rtpvrawdepay >/dev/null 2>&1") != 0) {
    GTEST_SKIP()
        << "skipped: gst-launch-1.0 with rtpvrawdepay is not installed (gstreamer1.0-tools, gstreamer1.0-plugins-good)";
  }
  const VideoFormat base{.sampling = Sampling::ycbcr_422, .depth = 8, .width = 32, .height = 16};
  std::vector<VideoFormat> formats(4, base);
  formats[1].depth = 10;
  formats[2].sampling = Sampling::rgba;
  formats[3].sampling = Sampling::rgb;
  Random random(6);
  for (const VideoFormat& format : formats) {
    const NaiveFrame frame = naive_noise(format, random);
    auto packetizer = Packetizer::make(raster_of(format), {.packet_octets_max = 200}).value();
    const OwnFile sent("sent");
    const OwnFile got("got");
    std::ofstream stream(sent.path, std::ios::binary);
    for (std::uint32_t picture = 0; picture < 2; ++picture) {
      for (const Octets& packet : packets_of(packetizer, format, frame, picture * 3600, 0)) {
        stream.put(static_cast<char>(packet.size() >> 8)).put(static_cast<char>(packet.size()));
        stream.write(reinterpret_cast<const char*>(packet.data()), static_cast<std::streamsize>(packet.size()));
      }
    }
    stream.close();
    const std::string command =
        "gst-launch-1.0 -q filesrc location=" + sent.path.string() +
        " ! "
        "'application/"
        "x-rtp-stream,media=(string)video,clock-rate=(int)90000,encoding-name=(string)RAW,sampling=(string)" +
        std::string(net::rtp::name_of(format.sampling)) + ",depth=(string)" + std::to_string(format.depth) +
        ",width=(string)32,height=(string)16"
        ",payload=(int)96' ! rtpstreamdepay ! rtpvrawdepay ! filesink location=" +
        got.path.string();
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream back(got.path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(back), {}};
    // Packed formats: a frame in memory is its lines of pgroups.
    const auto pgroup = naive_pgroup(format);
    const std::size_t line_octets = 32 / pgroup.width * pgroup.octets;
    ASSERT_GE(bytes.size(), line_octets * 16) << command;
    const auto plane = std::as_bytes(std::span(bytes)).first(line_octets * 16);
    Octets expected(line_octets * 16);
    for (unsigned row = 0; row < 16; ++row) {
      const auto at = static_cast<std::uint32_t>(row * line_octets);
      put_segment(expected,
                  {.row = static_cast<std::uint16_t>(row),
                   .pixels = 32,
                   .rows = 1,
                   .begin = at,
                   .octets = static_cast<std::uint32_t>(line_octets)},
                  format, frame);
    }
    EXPECT_EQ(Octets(plane.begin(), plane.end()), expected) << command;
  }
}

}  // namespace
}  // namespace histod::test
