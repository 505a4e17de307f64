// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "net/rtp/receiver.hpp"
#include "net/rtp/sdp.hpp"
#include "tests/net/rtp_naive.hpp"

// Streams that other programs sent, with their own description of the stream and the frames that they sent: see
// rtp_captures/make.py.

namespace histod::test {
namespace {

using net::rtp::Fault;
using net::rtp::LineNumbering;
using net::rtp::Picture;
using net::rtp::Sampling;
using net::rtp::VideoFormat;

Octets file(const std::string& name) {
  std::ifstream stream(std::filesystem::path(HISTOD_RTP_CAPTURES) / name, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

/// RFC 4571: each packet behind its length.
std::vector<Octets> packets_of(const Octets& capture) {
  std::vector<Octets> out;
  for (std::size_t at = 0; at < capture.size();) {
    const auto size = static_cast<std::ptrdiff_t>(bits_at(capture, at * 8, 16));
    const auto begin = capture.begin() + static_cast<std::ptrdiff_t>(at) + 2;
    EXPECT_LE(size, capture.end() - begin);
    out.emplace_back(begin, begin + size);
    at += 2 + static_cast<std::size_t>(size);
  }
  return out;
}

/// The samples of one frame of a file of raw frames: lines of pgroups, but 4:2:0 as three planes.
NaiveFrame frame_in(std::span<const std::byte> raw, const VideoFormat& format) {
  NaiveFrame out;
  const auto octet = [&](std::size_t at) { return std::to_integer<unsigned>(raw[at]); };
  if (format.sampling == Sampling::ycbcr_420) {
    const std::size_t luma = std::size_t{format.width} * format.height;
    for (unsigned row = 0; row < format.height; ++row) {
      for (unsigned x = 0; x < format.width; ++x) out[{"Y", row, x}] = octet(row * format.width + x);
    }
    for (unsigned row = 0; row < format.height; row += 2) {
      for (unsigned x = 0; x < format.width; x += 2) {
        const std::size_t at = luma + row / 2 * (format.width / 2) + x / 2;
        out[{"CB", row, x}] = octet(at);
        out[{"CR", row, x}] = octet(at + luma / 4);
      }
    }
    return out;
  }
  const NaivePgroup& pgroup = naive_pgroup(format);
  std::istringstream names(pgroup.samples);
  std::vector<std::pair<std::string, unsigned>> samples;
  for (std::string word; names >> word;) {
    samples.emplace_back(word.substr(0, word.size() - 2), static_cast<unsigned>(word.back() - '0'));
  }
  std::size_t bit = 0;
  for (unsigned row = 0; row < format.height; ++row) {
    for (unsigned x = 0; x < format.width; x += pgroup.width) {
      for (const auto& [component, right] : samples) {
        out[{component, row, x + right}] = static_cast<unsigned>(bits_at(raw, bit, format.depth));
        bit += format.depth;
      }
    }
  }
  return out;
}

class RtpCapture : public testing::TestWithParam<std::pair<const char*, VideoFormat>> {};

TEST_P(RtpCapture, EveryFrameIsWhatWasSent) {
  const std::string name = GetParam().first;
  const Octets sdp = file(name + ".sdp");
  ASSERT_FALSE(sdp.empty()) << "no such file below " << HISTOD_RTP_CAPTURES;
  const auto stream = net::rtp::parse_sdp(std::string_view(reinterpret_cast<const char*>(sdp.data()), sdp.size()));
  ASSERT_TRUE(stream.has_value()) << stream.error().detail;
  const VideoFormat& format = GetParam().second;
  VideoFormat described = format;
  described.line_numbering = LineNumbering::frame;  // what is not told
  ASSERT_EQ(stream->format, described);
  const auto raster = raster_of(format);
  net::rtp::Receiver receiver(raster, {.payload_type = stream->payload_type, .sequence = {}});

  const unsigned fields = format.interlaced ? 2 : 1;
  std::map<std::uint64_t, NaiveFrame> frames;
  std::size_t complete = 0;
  std::set<std::uint32_t> timestamps;
  const auto packets = packets_of(file(name + ".rtp"));
  for (const Octets& packet : packets) {
    const auto received = receiver.receive(packet, 0);
    ASSERT_TRUE(received.has_value()) << net::rtp::name_of(received.error());
    const auto naive = naive_video(packet, format);
    ASSERT_TRUE(naive.has_value());
    const auto samples = samples_of_payload(packet, received->payload, format);
    ASSERT_EQ(samples, naive->samples);
    EXPECT_EQ(received->payload.trailing_octets(), 0u);
    frames[received->placement.number / fields].insert(samples.begin(), samples.end());
    timestamps.insert(naive->timestamp);
    for (const Picture& picture : received->placement.ended()) complete += picture.complete() && picture.marker ? 1 : 0;
  }
  const auto& stats = receiver.stats().sequence;
  EXPECT_EQ(stats, (net::rtp::SequenceStats{.received = packets.size()}));
  EXPECT_GT(naive_rtp(packets.front())->sequence_number, naive_rtp(packets.back())->sequence_number)
      << "the sequence number wraps";

  const Octets raw = file(name + ".raw");
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(complete, frames.size() * fields) << "each picture ends with its marker, and is whole";
  const std::size_t octets = raw.size() / frames.size();
  for (const auto& [number, frame] : frames) {
    EXPECT_EQ(frame, frame_in(std::span(raw).subspan(number * octets, octets), format)) << number;
  }
}

constexpr VideoFormat format_of(Sampling sampling, unsigned depth, bool interlaced = false,
                                LineNumbering numbering = LineNumbering::frame) {
  return {.sampling = sampling,
          .depth = depth,
          .width = 32,
          .height = 16,
          .interlaced = interlaced,
          .line_numbering = numbering};
}

INSTANTIATE_TEST_SUITE_P(
    Senders, RtpCapture,
    testing::Values(std::pair("gstreamer_uyvy", format_of(Sampling::ycbcr_422, 8)),
                    std::pair("gstreamer_uyvp", format_of(Sampling::ycbcr_422, 10)),
                    std::pair("gstreamer_i420", format_of(Sampling::ycbcr_420, 8)),
                    std::pair("gstreamer_rgb", format_of(Sampling::rgb, 8)),
                    std::pair("gstreamer_rgba", format_of(Sampling::rgba, 8)),
                    std::pair("gstreamer_uyvy_interlaced", format_of(Sampling::ycbcr_422, 8, true)),
                    std::pair("ffmpeg_uyvy", format_of(Sampling::ycbcr_422, 8)),
                    std::pair("ffmpeg_uyvy_interlaced", format_of(Sampling::ycbcr_422, 8, true, LineNumbering::field))),
    [](const auto& one) { return std::string(one.param.first); });

/// The faults of a whole capture, by name.
std::map<std::string_view, int> faults_of(const std::string& name, const VideoFormat& format) {
  net::rtp::Receiver receiver(raster_of(format), {});
  std::map<std::string_view, int> out;
  for (const Octets& packet : packets_of(file(name))) {
    if (const auto received = receiver.receive(packet, 0); !received) ++out[net::rtp::name_of(received.error())];
  }
  return out;
}

TEST(RtpCaptures, TheWrongNumberingOfLinesShowsItself) {
  const VideoFormat by_frame = format_of(Sampling::ycbcr_422, 8, true, LineNumbering::frame);
  const VideoFormat by_field = format_of(Sampling::ycbcr_422, 8, true, LineNumbering::field);
  EXPECT_TRUE(faults_of("ffmpeg_uyvy_interlaced.rtp", by_frame).contains("line_not_of_field"));
  EXPECT_TRUE(faults_of("gstreamer_uyvy_interlaced.rtp", by_field).contains("line_beyond_frame"));
}

/// ffmpeg 5.1 sends planes as they lie in memory where RFC 4175, 4.3, has pgroups.
TEST(RtpCaptures, Yuv420pOfFfmpegIsNoneOfThisFormat) {
  const auto faults = faults_of("ffmpeg_i420.rtp", format_of(Sampling::ycbcr_420, 8));
  EXPECT_EQ(faults, (std::map<std::string_view, int>{{"line_not_on_pgroup", 12}}));
}

}  // namespace
}  // namespace histod::test
