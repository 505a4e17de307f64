// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/packetizer.hpp"

#include <algorithm>
#include <cassert>

namespace histod::net::rtp {

namespace {

constexpr unsigned k_udp_payload_max = 65507;

}  // namespace

Result<Packetizer> Packetizer::make(const Raster& raster, const Options& options) {
  const auto least = static_cast<unsigned>(k_fixed_header_octets + payload_header_octets(1)) + raster.pgroup().octets;
  const std::string octets = std::to_string(options.packet_octets_max);
  if (options.packet_octets_max < least) {
    return fail(Errc::out_of_range,
                "packets of at most " + octets + " octets, which is under the " + std::to_string(least) +
                    " that one pgroup takes",
                options.packet_octets_max, least);
  }
  if (options.packet_octets_max > k_udp_payload_max) {
    return fail(Errc::too_large,
                "packets of " + octets + " octets, which is over the " + std::to_string(k_udp_payload_max) + " of UDP",
                options.packet_octets_max, k_udp_payload_max);
  }
  if (options.segments_max < 1 || options.segments_max > k_segments_max) {
    return fail(Errc::out_of_range,
                "packets of at most " + std::to_string(options.segments_max) + " segments, which is not 1 to " +
                    std::to_string(k_segments_max),
                options.segments_max, k_segments_max);
  }
  if (options.payload_type > 127) {
    return fail(Errc::out_of_range, "payload type " + std::to_string(options.payload_type) + ", which is not 0 to 127",
                options.payload_type, 127);
  }
  return Packetizer(raster, options);
}

void Packetizer::begin(std::uint32_t timestamp, unsigned field) {
  assert(field == 0 || (field == 1 && raster_.format().interlaced));
  timestamp_ = timestamp;
  field_ = field;
  row_ = 0;
  offset_ = 0;
}

Segment Packetizer::take(unsigned room_octets) {
  const Pgroup& pgroup = raster_.pgroup();
  const unsigned width = raster_.format().width;
  const unsigned left = (width - offset_ + pgroup.width - 1) / pgroup.width;
  const unsigned pgroups = std::min(left, room_octets / pgroup.octets);
  const Segment segment{.line = static_cast<std::uint16_t>(raster_.line_of(row_, field_)),
                        .row = static_cast<std::uint16_t>(raster_.row_of_frame(row_, field_)),
                        .offset = static_cast<std::uint16_t>(offset_),
                        .pixels = static_cast<std::uint16_t>(std::min(pgroups * pgroup.width, width - offset_)),
                        .field = static_cast<std::uint8_t>(field_),
                        .rows = static_cast<std::uint8_t>(std::min(pgroup.height, raster_.rows_of(field_) - row_)),
                        .row_step = static_cast<std::uint8_t>(raster_.row_step()),
                        .begin = 0,
                        .octets = pgroups * pgroup.octets};
  if (pgroups == left) {
    row_ += pgroup.height;
    offset_ = 0;
  } else {
    offset_ += pgroups * pgroup.width;
  }
  return segment;
}

std::optional<Packetizer::Plan> Packetizer::next() {
  const unsigned rows = raster_.rows_of(field_);
  if (row_ >= rows) return std::nullopt;
  constexpr auto k_segment_header = static_cast<unsigned>(k_segment_header_octets);
  unsigned room = options_.packet_octets_max - static_cast<unsigned>(k_fixed_header_octets + payload_header_octets(0));
  std::size_t count = 0;
  while (count < options_.segments_max && row_ < rows && room >= k_segment_header + raster_.pgroup().octets) {
    segments_[count] = take(room - k_segment_header);
    room -= k_segment_header + segments_[count].octets;
    ++count;
  }
  const std::span<Segment> segments = std::span(segments_).first(count);
  const std::size_t header_size = k_fixed_header_octets + payload_header_octets(count);
  auto at = static_cast<std::uint32_t>(header_size);
  for (Segment& segment : segments) {
    segment.begin = at;
    at += segment.octets;
  }
  const bool marker = row_ >= rows;
  write_header(header_, {.marker = marker,
                         .payload_type = options_.payload_type,
                         .sequence_number = static_cast<std::uint16_t>(sequence_number_),
                         .timestamp = timestamp_,
                         .ssrc = options_.ssrc});
  write_payload_header(std::span(header_).subspan(k_fixed_header_octets),
                       static_cast<std::uint16_t>(sequence_number_ >> 16), segments);
  ++sequence_number_;
  return Plan{std::span(header_).first(header_size), segments, at, marker};
}

}  // namespace histod::net::rtp
