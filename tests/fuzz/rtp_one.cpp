// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/rtp_one.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "net/rtp/receiver.hpp"
#include "net/rtp/sdp.hpp"

namespace histod::test {

namespace {

using namespace net::rtp;

/// Every format, in frames of 1 to 256 pixels a side.
std::optional<Raster> raster_of(std::span<const std::byte> octets) {
  const auto flags = std::to_integer<unsigned>(octets[0]);
  static constexpr unsigned k_depths[] = {8, 10, 12, 16};
  const auto raster = Raster::make({.sampling = static_cast<Sampling>(flags & 3),
                                    .depth = k_depths[flags >> 2 & 3],
                                    .width = std::to_integer<unsigned>(octets[1]) + 1,
                                    .height = std::to_integer<unsigned>(octets[2]) + 1,
                                    .interlaced = (flags & 16) != 0,
                                    .line_numbering = static_cast<LineNumbering>(flags >> 5 & 1)});
  return raster ? std::optional(*raster) : std::nullopt;
}

/// Segments lie within the payload one behind the other, and within the frame, and have each pixel once.
void check_segments(const Received& received, const Raster& raster) {
  std::set<std::pair<unsigned, unsigned>> pixels;
  std::vector<Segment> segments;
  std::size_t at = 0;
  for (const Segment& segment : received.payload) {
    if (at == 0) at = received.packet.payload_begin + payload_header_octets(received.payload.segments());
    assert(segment.begin == at && segment.octets > 0 && segment.field == received.payload.field());
    at += segment.octets;
    for (unsigned row = 0; row < segment.rows; ++row) {
      for (unsigned x = 0; x < segment.pixels; ++x) {
        const bool is_new = pixels.emplace(segment.row + row * segment.row_step, segment.offset + x).second;
        assert(is_new);
      }
    }
    segments.push_back(segment);
  }
  assert(segments.size() == received.payload.segments() && pixels.size() == received.payload.pixels());
  for (const auto& [row, x] : pixels) assert(row < raster.format().height && x < raster.format().width);
  if (segments.empty()) return;
  assert(at + received.payload.trailing_octets() == received.packet.payload_begin + received.packet.payload_octets);
}

/// The headers that we would write are those that came.
void check_rewritten(const Received& received, std::span<const std::byte> datagram) {
  std::vector<Segment> segments;
  for (const Segment& segment : received.payload) segments.push_back(segment);
  if (segments.empty()) return;
  std::vector<std::byte> header(payload_header_octets(segments.size()));
  write_payload_header(header, received.payload.extended_sequence_number(), segments);
  assert(std::ranges::equal(header, datagram.subspan(received.packet.payload_begin, header.size())));
  std::vector<std::uint32_t> sources;
  for (std::size_t i = 0; i < received.packet.csrc.size(); i += 4) {
    std::uint32_t source = 0;
    for (std::size_t j = i; j < i + 4; ++j)
      source = source << 8 | std::to_integer<std::uint32_t>(received.packet.csrc[j]);
    sources.push_back(source);
  }
  const HeaderOptions options{.csrc = sources,
                              .extension = received.packet.extension ? &*received.packet.extension : nullptr,
                              .padding = received.packet.padding_octets != 0};
  header.resize(header_octets(options));
  write_header(header, received.packet.header, options);
  assert(std::ranges::equal(header, datagram.first(received.packet.payload_begin)));
}

void check_stats(const ReceiverStats& stats, std::size_t datagrams) {
  std::size_t seen = stats.sequence.received + stats.sequence.duplicates + stats.sequence.late + stats.sequence.strays;
  for (const std::uint64_t faults : stats.faults) seen += faults;
  assert(seen == datagrams);
  assert(stats.sequence.missing < 64 && stats.pictures_incomplete <= stats.pictures);
  assert(stats.sequence.reordered + stats.stale_packets <= 2 * stats.sequence.received);
}

}  // namespace

bool receive_rtp(std::span<const std::byte> bytes) {
  if (bytes.size() < 3) return false;
  const auto raster = raster_of(bytes);
  if (!raster) return false;
  bytes = bytes.subspan(3);
  Receiver receiver(*raster, {.payload_type = {}, .sequence = {.window_packets = 64}, .hold_packets = 4});
  std::size_t datagrams = 0;
  while (bytes.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(
        std::to_integer<std::size_t>(bytes[0]) << 8 | std::to_integer<std::size_t>(bytes[1]), bytes.size() - 2);
    // A copy of its own, so that the sanitizer sees what is read beyond it.
    const std::vector<std::byte> datagram(bytes.begin() + 2, bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(2 + size);
    const auto received = receiver.receive(datagram, ++datagrams * 1000);
    if (!received) continue;
    check_segments(*received, *raster);
    check_rewritten(*received, datagram);
    for (const Picture& picture : received->placement.ended()) {
      assert(picture.packets > 0 && picture.expected_pixels > 0);
    }
  }
  receiver.flush();
  check_stats(receiver.stats(), datagrams);
  return receiver.stats().pixels > 0;
}

bool read_sdp(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto stream = parse_sdp(text);
  if (!stream) {
    assert(!stream.error().detail.empty() && stream.error().code != Errc{});
    return false;
  }
  StreamDescription whole = *stream;
  // What RFC 4175 asks for, and some do not give.
  if (whole.address.empty()) whole.address = "192.0.2.1";
  if (whole.colorimetry.empty()) whole.colorimetry = "BT601-5";
  const auto written = write_sdp(whole);
  assert(written.has_value());
  const auto again = parse_sdp(*written);
  assert(again.has_value() && *again == whole);
  return true;
}

}  // namespace histod::test
