// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/payload.hpp"

#include <algorithm>
#include <cassert>
#include <optional>

#include "net/rtp/octets.hpp"

namespace histod::net::rtp {

namespace {

/// The fields of one segment's header, as they are (RFC 4175, 4.2).
struct SegmentHeader {
  unsigned length = 0;  ///< octets
  unsigned line = 0;
  unsigned field = 0;
  unsigned offset = 0;  ///< pixels
  bool continuation = false;
};

SegmentHeader read_segment_header(const std::byte* at) {
  const unsigned line = read_u16(at + 2);
  const unsigned offset = read_u16(at + 4);
  return {read_u16(at), line & 0x7fff, line >> 15, offset & 0x7fff, (offset & 0x8000) != 0};
}

/// Of a header that was found good.
Segment segment_of(const SegmentHeader& header, std::uint32_t begin, const Raster& raster) {
  const Pgroup& pgroup = raster.pgroup();
  const unsigned row = raster.row_of_field(header.line);
  const unsigned covered = header.length / pgroup.octets * pgroup.width;
  return {.line = static_cast<std::uint16_t>(header.line),
          .row = static_cast<std::uint16_t>(raster.row_of_frame(row, header.field)),
          .offset = static_cast<std::uint16_t>(header.offset),
          .pixels = static_cast<std::uint16_t>(std::min(covered, raster.format().width - header.offset)),
          .field = static_cast<std::uint8_t>(header.field),
          .rows = static_cast<std::uint8_t>(std::min(pgroup.height, raster.rows_of(header.field) - row)),
          .row_step = static_cast<std::uint8_t>(raster.row_step()),
          .begin = begin,
          .octets = header.length};
}

std::optional<Fault> segment_fault(const SegmentHeader& header, const Raster& raster) {
  const VideoFormat& format = raster.format();
  const Pgroup& pgroup = raster.pgroup();
  if (header.length == 0) return Fault::segment_empty;
  if (header.length % pgroup.octets != 0) return Fault::segment_not_whole_pgroups;
  const unsigned row = raster.row_of_field(header.line);
  if (raster.line_of(row, header.field) != header.line) return Fault::line_not_of_field;
  if (row >= raster.rows_of(header.field)) return Fault::line_beyond_frame;
  if (row % pgroup.height != 0) return Fault::line_not_on_pgroup;
  if (header.offset % pgroup.width != 0) return Fault::offset_not_on_pgroup;
  // The last pgroup of a line may stick out of it; no other may.
  const unsigned last = header.offset + (header.length / pgroup.octets - 1) * pgroup.width;
  if (last >= format.width) return Fault::segment_beyond_line;
  return std::nullopt;
}

bool is_behind(const SegmentHeader& header, const Segment& before) {
  return header.line > before.line || (header.line == before.line && header.offset >= before.offset + before.pixels);
}

}  // namespace

Segment Payload::Iterator::operator*() const { return segment_of(read_segment_header(header_), begin_, *raster_); }

Payload::Iterator& Payload::Iterator::operator++() {
  const SegmentHeader header = read_segment_header(header_);
  begin_ += header.length;
  header_ = header.continuation ? header_ + k_segment_header_octets : nullptr;
  return *this;
}

std::expected<Payload, Fault> parse_payload(std::span<const std::byte> datagram, std::size_t begin, std::size_t octets,
                                            const Raster& raster) {
  const std::span<const std::byte> payload = datagram.subspan(begin, octets);
  if (payload.size() < payload_header_octets(1)) return std::unexpected(Fault::payload_header_truncated);
  Payload out;
  out.extended_sequence_number_ = read_u16(payload.data());
  std::size_t at = k_extended_sequence_octets;
  std::uint64_t announced = 0;
  std::uint64_t pixels = 0;
  Segment before;
  bool more = true;
  for (; more; at += k_segment_header_octets) {
    if (payload.size() - at < k_segment_header_octets) return std::unexpected(Fault::payload_header_truncated);
    const SegmentHeader header = read_segment_header(&payload[at]);
    more = header.continuation;
    if (header.field == 1 && !raster.format().interlaced) return std::unexpected(Fault::second_field_of_progressive);
    if (out.segments_ == 0) out.field_ = static_cast<std::uint8_t>(header.field);
    if (header.length == 0 && !more && out.segments_ == 0) continue;
    if (header.field != out.field_) return std::unexpected(Fault::fields_mixed);
    if (const auto fault = segment_fault(header, raster)) return std::unexpected(*fault);
    if (out.segments_ > 0 && !is_behind(header, before)) return std::unexpected(Fault::segments_out_of_order);
    before = segment_of(header, 0, raster);
    announced += before.octets;
    pixels += std::uint64_t{before.pixels} * before.rows;
    ++out.segments_;
  }
  if (announced > payload.size() - at) return std::unexpected(Fault::payload_truncated);
  out.pixels_ = static_cast<std::uint32_t>(pixels);
  out.trailing_octets_ = static_cast<std::uint32_t>(payload.size() - at - announced);
  if (out.segments_ > 0) {
    out.first_.header_ = &payload[k_extended_sequence_octets];
    out.first_.begin_ = static_cast<std::uint32_t>(begin + at);
    out.first_.raster_ = &raster;
  }
  return out;
}

std::size_t write_payload_header(std::span<std::byte> out, std::uint16_t extended_sequence_number,
                                 std::span<const Segment> segments) {
  assert(!segments.empty() && out.size() >= payload_header_octets(segments.size()));
  write_u16(out.data(), extended_sequence_number);
  std::byte* at = out.data() + k_extended_sequence_octets;
  for (const Segment& segment : segments) {
    const bool continuation = &segment != &segments.back();
    write_u16(at, segment.octets);
    write_u16(at + 2, segment.line | (segment.field != 0 ? 0x8000u : 0u));
    write_u16(at + 4, segment.offset | (continuation ? 0x8000u : 0u));
    at += k_segment_header_octets;
  }
  return payload_header_octets(segments.size());
}

}  // namespace histod::net::rtp
