// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <gtest/gtest.h>

#include "net/rtp/packet.hpp"
#include "net/rtp/payload.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::Fault;
using net::rtp::LineNumbering;
using net::rtp::Sampling;
using net::rtp::Segment;
using net::rtp::VideoFormat;

constexpr VideoFormat k_uyvy{
    .sampling = Sampling::ycbcr_422, .depth = 8, .width = 32, .height = 16, .interlaced = false, .line_numbering = {}};

std::vector<VideoFormat> all_formats(unsigned width, unsigned height) {
  std::vector<VideoFormat> out;
  for (const NaivePgroup& pgroup : naive_pgroups()) {
    for (const auto& [interlaced, numbering] :
         {std::pair(false, LineNumbering::frame), std::pair(true, LineNumbering::frame),
          std::pair(true, LineNumbering::field)}) {
      out.push_back(
          {net::rtp::sampling_of(pgroup.sampling).value(), pgroup.depth, width, height, interlaced, numbering});
    }
  }
  return out;
}

/// A packet of these lines, with `extra` octets more (or fewer) than they announce.
Octets packet_of(const std::vector<NaiveLine>& lines, int extra = 0) {
  std::size_t data = 0;
  for (const NaiveLine& line : lines) data += line.length;
  Octets out(12 + 2 + lines.size() * 6 + data + static_cast<std::size_t>(std::max(extra, 0)));
  put_bits(out, 0, 2, 2);
  std::size_t at = 14 * 8;
  for (const NaiveLine& line : lines) {
    put_bits(out, at, 16, line.length);
    put_bits(out, at + 16, 1, line.field);
    put_bits(out, at + 17, 15, line.line);
    put_bits(out, at + 32, 1, &line != &lines.back() ? 1 : 0);
    put_bits(out, at + 33, 15, line.offset);
    at += 48;
  }
  for (std::size_t i = at / 8; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7);
  if (extra < 0) out.resize(out.size() - static_cast<std::size_t>(-extra));
  return out;
}

std::expected<net::rtp::Payload, Fault> parse(const Octets& packet, const net::rtp::Raster& raster) {
  return net::rtp::parse_payload(packet, 12, packet.size() - 12, raster);
}

Fault fault_of(const std::vector<NaiveLine>& lines, const VideoFormat& format, int extra = 0) {
  const auto raster = raster_of(format);
  const Octets packet = packet_of(lines, extra);
  EXPECT_FALSE(naive_video(packet, format).has_value()) << "the oracle takes it";
  const auto payload = parse(packet, raster);
  EXPECT_FALSE(payload.has_value());
  return payload ? Fault{} : payload.error();
}

TEST(RtpPayload, PgroupsAreThoseOfTheTables) {
  for (const NaivePgroup& naive : naive_pgroups()) {
    SCOPED_TRACE(naive.sampling + " " + std::to_string(naive.depth));
    const Sampling sampling = net::rtp::sampling_of(naive.sampling).value();
    EXPECT_EQ(net::rtp::name_of(sampling), naive.sampling);
    EXPECT_EQ(net::rtp::pgroup_of(sampling, naive.depth), (net::rtp::Pgroup{naive.octets, naive.width, naive.height}));
    static const std::vector<std::string> k_names{"Y", "CB", "CR", "R", "G", "B", "A"};
    std::string samples;
    for (const net::rtp::Sample& sample : net::rtp::samples_of(sampling, naive.depth)) {
      samples += (samples.empty() ? "" : " ") + k_names[static_cast<std::size_t>(sample.component)] +
                 std::to_string(sample.y) + std::to_string(sample.x);
    }
    EXPECT_EQ(samples, naive.samples);
  }
  for (const unsigned depth : {0u, 1u, 9u, 14u, 24u}) EXPECT_FALSE(net::rtp::pgroup_of(Sampling::rgb, depth));
  EXPECT_FALSE(net::rtp::sampling_of("YCbCr-4:4:4"));
}

TEST(RtpPayload, FormatsAreCheckedWithValueAndLimit) {
  const auto error = [](VideoFormat format) { return net::rtp::Raster::make(format).error(); };
  VideoFormat format = k_uyvy;
  format.depth = 14;
  EXPECT_EQ(error(format).code, net::rtp::Errc::unsupported);
  EXPECT_EQ(error(format).value, 14u);
  format = k_uyvy;
  format.width = 32768;
  EXPECT_EQ(error(format).detail, "width of 32768 pixels, which is not 1 to 32767");
  EXPECT_EQ(error(format).limit, 32767u);
  format = k_uyvy;
  format.height = 0;
  EXPECT_EQ(error(format).code, net::rtp::Errc::out_of_range);
  format.height = 1;
  EXPECT_TRUE(net::rtp::Raster::make(format).has_value());
  format.interlaced = true;
  EXPECT_EQ(error(format).code, net::rtp::Errc::out_of_range);
}

TEST(RtpPayload, SaysWhichPixelsLieWhere) {
  const auto raster = raster_of(k_uyvy);
  const Octets packet = packet_of({{.length = 8, .field = 0, .line = 3, .offset = 28},
                                   {.length = 64, .field = 0, .line = 4, .offset = 0},
                                   {.length = 4, .field = 0, .line = 5, .offset = 0}},
                                  5);
  const auto payload = parse(packet, raster);
  ASSERT_TRUE(payload.has_value());
  EXPECT_EQ(payload->segments(), 3u);
  EXPECT_EQ(payload->pixels(), 4u + 32 + 2);
  EXPECT_EQ(payload->trailing_octets(), 5u);
  std::vector<Segment> segments;
  for (const Segment& segment : *payload) segments.push_back(segment);
  const std::uint32_t data = 12 + 2 + 18;
  EXPECT_EQ(segments,
            (std::vector<Segment>{
                {.line = 3, .row = 3, .offset = 28, .pixels = 4, .rows = 1, .begin = data, .octets = 8},
                {.line = 4, .row = 4, .offset = 0, .pixels = 32, .rows = 1, .begin = data + 8, .octets = 64},
                {.line = 5, .row = 5, .offset = 0, .pixels = 2, .rows = 1, .begin = data + 72, .octets = 4}}));
  EXPECT_EQ(segments[1].of(std::span(packet)).data(), packet.data() + data + 8);
}

TEST(RtpPayload, RowsOfFieldsUnderBothNumberings) {
  VideoFormat format = k_uyvy;
  format.interlaced = true;
  format.height = 15;
  const auto rows = [&](LineNumbering numbering, unsigned line, unsigned field) -> std::optional<unsigned> {
    format.line_numbering = numbering;
    const auto raster = raster_of(format);
    const Octets packet = packet_of({{.length = 64, .field = field, .line = line, .offset = 0}});
    const auto payload = parse(packet, raster);
    if (!payload) return std::nullopt;
    return (*payload->begin()).row;
  };
  EXPECT_EQ(rows(LineNumbering::frame, 14, 0), 14u);
  EXPECT_EQ(rows(LineNumbering::frame, 13, 1), 13u);
  EXPECT_EQ(rows(LineNumbering::field, 7, 0), 14u) << "the first field has the odd row";
  EXPECT_EQ(rows(LineNumbering::field, 6, 1), 13u);
  EXPECT_EQ(rows(LineNumbering::field, 7, 1), std::nullopt);
  EXPECT_EQ(rows(LineNumbering::frame, 15, 1), std::nullopt);
  const auto raster = raster_of(format);
  EXPECT_EQ(raster.pixels_of(0) + raster.pixels_of(1), 15u * 32);
}

TEST(RtpPayload, NamesEveryFault) {
  const NaiveLine good{.length = 8, .field = 0, .line = 3, .offset = 4};
  const auto with = [&](auto change) {
    NaiveLine line = good;
    change(line);
    return line;
  };
  EXPECT_EQ(fault_of({good}, k_uyvy, -9), Fault::payload_header_truncated);
  EXPECT_EQ(fault_of({good, good}, k_uyvy, -17), Fault::payload_header_truncated);
  EXPECT_EQ(fault_of({good}, k_uyvy, -1), Fault::payload_truncated);
  EXPECT_EQ(fault_of({good, with([](auto& line) { line.length = 0; })}, k_uyvy), Fault::segment_empty);
  EXPECT_EQ(fault_of({with([](auto& line) { line.length = 0; }), good}, k_uyvy), Fault::segment_empty);
  EXPECT_EQ(fault_of({with([](auto& line) { line.length = 6; })}, k_uyvy), Fault::segment_not_whole_pgroups);
  EXPECT_EQ(fault_of({with([](auto& line) { line.offset = 5; })}, k_uyvy), Fault::offset_not_on_pgroup);
  EXPECT_EQ(fault_of({with([](auto& line) { line.line = 16; })}, k_uyvy), Fault::line_beyond_frame);
  EXPECT_EQ(fault_of({with([](auto& line) { line.offset = 30; })}, k_uyvy), Fault::segment_beyond_line);
  EXPECT_EQ(fault_of({with([](auto& line) { line.offset = 32766; })}, k_uyvy), Fault::segment_beyond_line);
  EXPECT_EQ(fault_of({with([](auto& line) { line.field = 1; })}, k_uyvy), Fault::second_field_of_progressive);
  EXPECT_EQ(fault_of({good, good}, k_uyvy), Fault::segments_out_of_order);
  EXPECT_EQ(fault_of({good, with([](auto& line) { line.offset = 6; })}, k_uyvy), Fault::segments_out_of_order);
  EXPECT_EQ(fault_of({good, with([](auto& line) { line.line = 2; })}, k_uyvy), Fault::segments_out_of_order);
  VideoFormat format = k_uyvy;
  format.interlaced = true;
  EXPECT_EQ(fault_of({with([](auto& line) { line.line = 2; }), with([](auto& line) { line.field = 1; })}, format),
            Fault::fields_mixed);
  EXPECT_EQ(fault_of({good}, format), Fault::line_not_of_field);
  format.line_numbering = LineNumbering::field;
  EXPECT_EQ(fault_of({with([](auto& line) { line.line = 8; })}, format), Fault::line_beyond_frame);
  format = k_uyvy;
  format.sampling = Sampling::ycbcr_420;
  EXPECT_EQ(fault_of({{.length = 6, .field = 0, .line = 3, .offset = 0}}, format), Fault::line_not_on_pgroup);
}

TEST(RtpPayload, ASoleEmptySegmentIsNone) {
  const auto raster = raster_of(k_uyvy);
  const Octets packet = packet_of({{.length = 0, .field = 0, .line = 99, .offset = 0}}, 3);
  const auto payload = parse(packet, raster);
  ASSERT_TRUE(payload.has_value());
  EXPECT_EQ(payload->segments(), 0u);
  EXPECT_TRUE(payload->begin() == payload->end());
  EXPECT_EQ(payload->trailing_octets(), 3u);
}

/// Lines as a sender might have them, with something wrong in it now and then.
std::vector<NaiveLine> some_lines(const VideoFormat& format, Random& random) {
  const NaivePgroup& pgroup = naive_pgroup(format);
  std::vector<NaiveLine> lines;
  const unsigned field = format.interlaced ? random() % 2 : 0;
  unsigned line = random() % 3;
  for (unsigned count = 1 + random() % 3; count > 0; --count) {
    const unsigned step = format.interlaced && format.line_numbering == LineNumbering::frame ? 2 : 1;
    NaiveLine made{.field = field, .line = line * step * pgroup.height + (step == 2 ? field : 0)};
    made.offset = random() % 3 * pgroup.width;
    made.length = (1 + random() % 6) * pgroup.octets;
    if (random() % 40 == 0) made.length += 1;
    if (random() % 40 == 0) made.line += 1;
    if (random() % 40 == 0) made.offset += random() % 7;
    if (random() % 40 == 0) made.field = 1;
    if (random() % 40 == 0) made.length = 0;
    lines.push_back(made);
    line += random() % 3;
  }
  return lines;
}

TEST(RtpPayload, ReadsAllFormatsAsTheOracleDoes) {
  Random random(3);
  int good = 0;
  int bad = 0;
  for (const unsigned width : {16u, 13u}) {
    for (const VideoFormat& format : all_formats(width, 11)) {
      const auto raster = raster_of(format);
      for (int turn = 0; turn < 25; ++turn) {
        const Octets packet = packet_of(some_lines(format, random), turn % 10 == 0 ? -1 : turn % 10 == 1 ? 2 : 0);
        const auto naive = naive_video(packet, format);
        const auto payload = parse(packet, raster);
        ASSERT_EQ(payload.has_value(), naive.has_value()) << (payload ? "" : net::rtp::name_of(payload.error()));
        ++(naive ? good : bad);
        if (!naive) continue;
        ASSERT_EQ(samples_of_payload(packet, *payload, format), naive->samples);
        std::set<std::pair<unsigned, unsigned>> pixels;
        for (const auto& [sample, value] : naive->samples) pixels.emplace(std::get<1>(sample), std::get<2>(sample));
        ASSERT_EQ(payload->pixels(), pixels.size());
        ASSERT_EQ(payload->segments(), naive->lines.size());
      }
    }
  }
  EXPECT_GT(good, 1000);
  EXPECT_GT(bad, 250);
}

TEST(RtpPayload, ReadsNoiseAsTheOracleDoes) {
  Random random(4);
  for (const VideoFormat& format : all_formats(16, 11)) {
    const auto raster = raster_of(format);
    const Octets good = packet_of(some_lines(format, random));
    for (int turn = 0; turn < 25; ++turn) {
      Octets packet = good;
      for (unsigned flips = 1 + random() % 3; flips > 0; --flips) {
        const std::size_t bit = (12 + random() % std::min<std::size_t>(packet.size() - 12, 20)) * 8 + random() % 8;
        put_bits(packet, bit, 1, 1 - bits_at(packet, bit, 1));
      }
      if (turn % 4 == 0) packet.resize(12 + random() % (packet.size() - 12));
      const auto payload = parse(packet, raster);
      const auto naive = naive_video(packet, format);
      ASSERT_EQ(payload.has_value(), naive.has_value());
      if (naive) {
        ASSERT_EQ(samples_of_payload(packet, *payload, format), naive->samples);
      }
    }
  }
}

TEST(RtpPayload, WritesWhatItReads) {
  const std::vector<Segment> segments{
      {.line = 2, .row = 4, .offset = 6, .pixels = 2, .rows = 1, .begin = 0, .octets = 4},
      {.line = 32767, .offset = 32766, .field = 1, .octets = 65535}};
  Octets out(net::rtp::payload_header_octets(2));
  ASSERT_EQ(net::rtp::write_payload_header(out, 0xabcd, segments), 14u);
  EXPECT_EQ(out, octets({0xab, 0xcd, 0, 4, 0, 2, 0x80, 6, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xfe}));
}

}  // namespace
}  // namespace histod::test
