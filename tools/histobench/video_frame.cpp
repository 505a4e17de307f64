// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_frame.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "net/rtp/packetizer.hpp"
#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace rtp = net::rtp;

namespace {

constexpr std::size_t k_payload_max = 1440;  ///< of an Ethernet packet, with room for headers
constexpr std::uint32_t k_ticks = 3000;      ///< of a frame: whatever the rate, timestamps differ
constexpr std::size_t k_pixel_octets = 2;

void put(std::byte* at, std::uint64_t value, int octets) {
  for (int i = octets; i-- > 0; value >>= 8) at[i] = static_cast<std::byte>(value & 0xff);
}

unsigned get16(std::span<const std::byte> from, std::size_t at) {
  return std::to_integer<unsigned>(from[at]) << 8 | std::to_integer<unsigned>(from[at + 1]);
}

cv::Mat with_luma(const cv::Mat& luma) {
  cv::Mat out(luma.size(), CV_8UC2);
  for (int y = 0; y < out.rows; ++y)
    for (int x = 0; x < out.cols; ++x)
      out.at<cv::Vec2b>(y, x) = {static_cast<std::uint8_t>(5 * x + 3 * y), luma.at<std::uint8_t>(y, x)};
  return out;
}

}  // namespace

VideoFrame::VideoFrame(const Input& luma) : sent_(with_luma(luma.pixels)) {
  cv::Mat equalized;
  cv::equalizeHist(luma.pixels, equalized);
  equalized_ = with_luma(equalized);
  const std::size_t line_octets = k_pixel_octets * static_cast<std::size_t>(sent_.cols);
  parts_ = (line_octets + k_payload_max - 1) / k_payload_max;
  while (line_octets % (4 * parts_) != 0) ++parts_;
  packet_octets_ = k_header_octets + line_octets / parts_;
  const rtp::VideoFormat format{.width = static_cast<unsigned>(sent_.cols),
                                .height = static_cast<unsigned>(sent_.rows)};
  const auto raster = rtp::Raster::make(format);
  if (!raster) throw Failure("RFC 4175 has no such picture");
  auto packetizer = rtp::Packetizer::make(
      *raster, {.ssrc = 0x68697374, .packet_octets_max = static_cast<unsigned>(packet_octets_), .segments_max = 1});
  if (!packetizer) throw Failure("no packets can be made of it");
  packetizer->begin(0);
  while (const auto plan = packetizer->next()) {
    if (plan->packet_octets != packet_octets_) throw Failure("packets differ in length");
    packets_.insert(packets_.end(), plan->header.begin(), plan->header.end());
    for (const rtp::Segment& segment : plan->segments) {
      const auto* const from = reinterpret_cast<const std::byte*>(sent_.ptr(segment.row, segment.offset));
      packets_.insert(packets_.end(), from, from + segment.octets);
    }
    ++packet_count_;
  }
}

std::span<const std::byte> VideoFrame::numbered(std::uint64_t number, std::size_t first, std::size_t count) {
  for (std::size_t i = first; i < first + count; ++i) {
    std::byte* const packet = packets_.data() + i * packet_octets_;
    const std::uint64_t sequence = number * packet_count_ + i;
    put(packet + 2, sequence & 0xffff, 2);
    put(packet + 4, number * k_ticks, 4);
    put(packet + 12, sequence >> 16, 2);
  }
  return std::span(packets_).subspan(first * packet_octets_, count * packet_octets_);
}

bool VideoCanvas::add(std::span<const std::byte> packet, Place& place) {
  constexpr std::size_t k_fixed = 12, k_extended = 2, k_segment = 6;
  if (packet.size() < k_fixed + k_extended + k_segment || packet[0] != std::byte{0x80}) return false;
  place.octets = 0;
  place.marker = (packet[1] & std::byte{0x80}) != std::byte{0};
  std::size_t headers = k_fixed + k_extended;
  bool more = true;
  for (std::size_t at = headers; more; at += k_segment) {
    if (at + k_segment > packet.size()) return false;
    more = (get16(packet, at + 4) & 0x8000) != 0;
    headers = at + k_segment;
  }
  std::size_t data = headers;
  for (std::size_t at = k_fixed + k_extended; at < headers; at += k_segment) {
    const std::size_t octets = get16(packet, at), line = get16(packet, at + 2) & 0x7fff,
                      column = get16(packet, at + 4) & 0x7fff;
    const std::size_t end = column + octets / k_pixel_octets;
    if (line >= static_cast<std::size_t>(pixels_.rows) || end > static_cast<std::size_t>(pixels_.cols) || octets == 0 ||
        data + octets > packet.size())
      return false;
    std::memcpy(pixels_.ptr(static_cast<int>(line), static_cast<int>(column)), packet.data() + data, octets);
    data += octets;
    place.octets += octets;
    place.line = line;
    place.column = end - 1;
  }
  return true;
}

std::string video_difference(const cv::Mat& got, const cv::Mat& expected) {
  if (got.size() != expected.size() || got.type() != expected.type()) return "the pictures have other sizes";
  for (int y = 0; y < got.rows; ++y) {
    for (int x = 0; x < got.cols; ++x) {
      const auto a = got.at<cv::Vec2b>(y, x), b = expected.at<cv::Vec2b>(y, x);
      if (a != b)
        return fmt::format("pixel {}, {} of a picture that came out is {} {}, not {} {}", x, y, a[0], a[1], b[0], b[1]);
    }
  }
  return {};
}

}  // namespace histod::bench
