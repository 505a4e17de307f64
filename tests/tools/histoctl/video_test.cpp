// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "net/rtp/packetizer.hpp"
#include "tests/net/rtp_naive.hpp"
#include "tools/histoctl/stream_values.hpp"
#include "tools/histoctl/video_samples.hpp"

namespace histod::test {
namespace {

namespace rtp = net::rtp;
using rtp::Component;
using rtp::Sampling;

constexpr std::array<std::string_view, 7> k_names{"Y", "CB", "CR", "R", "G", "B", "A"};

/// A value for each place, which no other place has.
class Places : public ctl::Samples {
 public:
  explicit Places(const rtp::VideoFormat& format) : format_(format) {}
  unsigned at(Component component, unsigned x, unsigned y) const override {
    const unsigned place = (static_cast<unsigned>(component) * format_.height + y) * format_.width + x;
    return place * 2654435761u >> (32 - format_.depth);
  }

 private:
  rtp::VideoFormat format_;
};

/// What naive code reads out of the packets of a frame.
NaiveFrame sent(const rtp::Raster& raster, const ctl::PackedFrame& frame, unsigned packet_octets) {
  auto packetizer = rtp::Packetizer::make(raster, {.packet_octets_max = packet_octets}).value();
  NaiveFrame all;
  for (unsigned field = 0; field < (raster.format().interlaced ? 2 : 1); ++field) {
    packetizer.begin(1, field);
    while (const auto plan = packetizer.next()) {
      Octets packet(plan->header.begin(), plan->header.end());
      for (const rtp::Segment& segment : plan->segments) {
        const auto octets = frame.octets_of(segment);
        packet.insert(packet.end(), octets.begin(), octets.end());
      }
      const auto read = naive_video(packet, raster.format());
      EXPECT_TRUE(read.has_value());
      if (read) all.insert(read->samples.begin(), read->samples.end());
    }
  }
  return all;
}

void expect_all(const rtp::VideoFormat& format, const NaiveFrame& seen, const ctl::Samples& samples) {
  std::size_t luma = 0;
  for (const auto& [place, value] : seen) {
    const auto& [name, row, pixel] = place;
    const auto component = static_cast<Component>(std::ranges::find(k_names, name) - k_names.begin());
    ASSERT_EQ(value, samples.at(component, pixel, row)) << name << " row " << row << " pixel " << pixel;
    luma += name == "Y" || name == "G";
  }
  EXPECT_EQ(luma, std::size_t{format.width} * format.height);
}

TEST(PackedFrame, EveryFormatIsReadBackByNaiveCode) {
  for (const Sampling sampling : {Sampling::ycbcr_422, Sampling::ycbcr_420, Sampling::rgb, Sampling::rgba}) {
    for (const unsigned depth : {8u, 10u, 12u, 16u}) {
      for (const auto& [width, height] : {std::pair(16u, 8u), std::pair(13u, 7u), std::pair(1u, 2u)}) {
        for (const bool interlaced : {false, true}) {
          const rtp::VideoFormat format{sampling, depth, width, height, interlaced};
          SCOPED_TRACE(testing::Message()
                       << name_of(sampling) << ' ' << depth << ' ' << width << 'x' << height << ' ' << interlaced);
          const rtp::Raster raster = raster_of(format);
          const Places samples(format);
          const ctl::PackedFrame frame(raster, samples);
          expect_all(format, sent(raster, frame, 64), samples);
          expect_all(format, sent(raster, frame, 1372), samples);
        }
      }
    }
  }
}

TEST(PackedFrame, TheFillOfALineRepeatsItsLastPixel) {
  const rtp::Raster raster = raster_of({Sampling::ycbcr_422, 8, 3, 1});
  const Places samples(raster.format());
  const ctl::PackedFrame frame(raster, samples);
  const auto octets = frame.octets_of({.pixels = 3, .rows = 1, .octets = 8});
  EXPECT_EQ(std::to_integer<unsigned>(octets[7]), samples.at(Component::y, 2, 0));
  EXPECT_EQ(ctl::PackedFrame::octets(raster), 8u);
}

/// Of bytes, interleaved.
compute::ImageView view_of(std::vector<unsigned char>& bytes, std::uint32_t width, std::uint32_t height,
                           compute::PixelFormat format) {
  return {reinterpret_cast<std::byte*>(bytes.data()), width, height, width * format.bytes_per_pixel(), format};
}

TEST(ImageSamples, BlackAndWhiteOfColoursAreNarrowAndOfGrayWide) {
  std::vector<unsigned char> colours{0, 0, 0, 255, 255, 255}, gray{0, 255};
  for (const unsigned depth : {8u, 10u, 12u, 16u}) {
    const rtp::Raster raster = raster_of({Sampling::ycbcr_422, depth, 2, 1});
    const auto of_colours = ctl::ImageSamples::make(raster, view_of(colours, 2, 1, {.colors = 3}), 0).value();
    const auto of_gray = ctl::ImageSamples::make(raster, view_of(gray, 2, 1, {.colors = 1}), 0).value();
    EXPECT_EQ(of_colours.at(Component::y, 0, 0), 16u << (depth - 8));
    EXPECT_EQ(of_colours.at(Component::y, 1, 0), 235u << (depth - 8));
    EXPECT_EQ(of_gray.at(Component::y, 0, 0), 0u);
    EXPECT_EQ(of_gray.at(Component::y, 1, 0), (1u << depth) - 1);
    for (const Component each : {Component::cb, Component::cr}) {
      EXPECT_EQ(of_colours.at(each, 0, 0), 128u << (depth - 8));
      EXPECT_EQ(of_gray.at(each, 0, 0), 128u << (depth - 8));
    }
  }
}

TEST(ImageSamples, AValueOverTheLevelsIsTheHighest) {
  std::vector<unsigned char> gray{100, 200};
  const rtp::Raster raster = raster_of({Sampling::rgb, 8, 2, 1});
  const auto samples = ctl::ImageSamples::make(raster, view_of(gray, 2, 1, {.colors = 1}), 101).value();
  EXPECT_EQ(samples.at(Component::g, 0, 0), 255u);
  EXPECT_EQ(samples.at(Component::g, 1, 0), 255u);
}

TEST(ImageSamples, WhatCannotBeSentIsAFailure) {
  std::vector<unsigned char> bytes(64);
  const rtp::Raster raster = raster_of({Sampling::rgb, 8, 4, 2});
  EXPECT_EQ(ctl::ImageSamples::make(raster, view_of(bytes, 4, 2, {.colors = 4}), 0).error().text,
            "has 4 bands, which are neither gray nor RGB");
  EXPECT_EQ(ctl::ImageSamples::make(raster, view_of(bytes, 2, 4, {.colors = 1}), 0).error().text,
            "is 2x4, but the stream is 4x2");
}

TEST(PatternSamples, StayWithinTheirDepth) {
  for (const auto pattern : {ctl::Pattern::ramp, ctl::Pattern::bars, ctl::Pattern::noise, ctl::Pattern::flat}) {
    for (const unsigned depth : {8u, 10u, 12u, 16u}) {
      for (const unsigned width : {1u, 7u, 32767u}) {
        const rtp::VideoFormat format{Sampling::rgb, depth, width, 2};
        const ctl::PatternSamples samples(format, pattern, 3, 15);
        for (unsigned component = 0; component < 7; ++component) {
          ASSERT_LT(samples.at(static_cast<Component>(component), width - 1, 1), 1u << depth);
          ASSERT_LT(samples.at(static_cast<Component>(component), 0, 0), 1u << depth);
        }
      }
    }
  }
  EXPECT_FALSE(ctl::pattern_of("plaid"));
  EXPECT_EQ(ctl::pattern_of("flat"), ctl::Pattern::flat);
}

TEST(StreamValues, HostsAndPorts) {
  EXPECT_EQ(ctl::host_port_of("a.example:5004"), (ctl::HostPort{"a.example", 5004}));
  EXPECT_EQ(ctl::host_port_of("[fe80::1]:65535"), (ctl::HostPort{"fe80::1", 65535}));
  EXPECT_EQ(ctl::host_port_of("0.0.0.0:0", 0), (ctl::HostPort{"0.0.0.0", 0}));
  for (const auto* text : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a:+1", "::1:5", "[::1]", "[::1]5",
                           "[]:5", "[a]:5", "a:1 "})
    EXPECT_FALSE(ctl::host_port_of(text)) << text;
}

TEST(StreamValues, SizesAndRates) {
  EXPECT_EQ(ctl::picture_size_of("1920x1080"), (ctl::PictureSize{1920, 1080}));
  EXPECT_FALSE(ctl::picture_size_of("1920x"));
  const auto rate = [](std::string_view text) { return ctl::frame_rate_of(text).value_or(rtp::FrameRate{}); };
  EXPECT_EQ(rate("25"), (rtp::FrameRate{25, 1}));
  EXPECT_EQ(rate("29.97"), (rtp::FrameRate{2997, 100}));
  EXPECT_EQ(rate("0.5"), (rtp::FrameRate{1, 2}));
  EXPECT_EQ(rate("23.976"), (rtp::FrameRate{2997, 125}));
  EXPECT_EQ(rate("30000/1001"), (rtp::FrameRate{30000, 1001}));
  EXPECT_EQ(rate("50/2"), (rtp::FrameRate{25, 1}));
  EXPECT_EQ(rate("0.01"), (rtp::FrameRate{1, 100}));
  for (const auto* text : {"", "0", "0.0", "1.", ".5", "1/", "/1", "1/0", "1001", "1e2", "1.0000", "0.009", "-1"})
    EXPECT_FALSE(ctl::frame_rate_of(text)) << text;
}

TEST(StreamValues, Targets) {
  EXPECT_EQ(ctl::targets_of("none"), std::vector<std::string>{});
  EXPECT_EQ(ctl::targets_of("a:1,[::1]:2"), (std::vector<std::string>{"a:1", "[::1]:2"}));
  for (const auto* text : {"", ",", "a:1,", "a:1,,b:2", "none,a:1"}) EXPECT_FALSE(ctl::targets_of(text)) << text;
}

}  // namespace
}  // namespace histod::test
