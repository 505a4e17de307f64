// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/receiver.hpp"

namespace histod::net::rtp {

Receiver::Receiver(const Raster& raster, const Options& options)
    : raster_(raster), options_(options), sequence_(options.sequence), pictures_(options.hold_packets) {}

std::expected<Received, Fault> Receiver::parse(std::span<const std::byte> datagram) const {
  const auto packet = parse_packet(datagram);
  if (!packet) return std::unexpected(packet.error());
  if (options_.payload_type && packet->header.payload_type != *options_.payload_type) {
    return std::unexpected(Fault::payload_type_unexpected);
  }
  const auto payload = parse_payload(datagram, packet->payload_begin, packet->payload_octets, raster_);
  if (!payload) return std::unexpected(payload.error());
  return Received{.packet = *packet, .payload = *payload, .arrival = {}, .placement = {}};
}

std::expected<Received, Fault> Receiver::receive(std::span<const std::byte> datagram, std::uint64_t arrival_ns) {
  auto received = parse(datagram);
  if (!received) {
    ++stats_.faults[static_cast<std::size_t>(received.error())];
    return received;
  }
  const Header& header = received->packet.header;
  const Payload& payload = received->payload;
  received->arrival = sequence_.observe(header.ssrc, header.sequence_number, payload.extended_sequence_number());
  stats_.sequence = sequence_.stats();
  if (!is_new(received->arrival)) return received;
  stats_.octets += datagram.size();
  if (received->arrival == Arrival::first) {
    packet_jitter_.reset();
    picture_jitter_.reset();
    pictures_.forget();
  }
  received->placement = pictures_.place(header.timestamp, payload.field(), header.marker, payload.pixels(),
                                        is_newest(received->arrival), raster_.pixels_of(payload.field()));
  packet_jitter_.observe(arrival_ns, header.timestamp);
  stats_.packet_jitter_ticks = packet_jitter_.ticks();
  if (received->placement.begins) {
    picture_jitter_.observe(arrival_ns, header.timestamp);
    stats_.picture_jitter_ticks = picture_jitter_.ticks();
  }
  if (received->fresh()) {
    stats_.pixels += payload.pixels();
  } else {
    ++stats_.stale_packets;
  }
  count_ended(received->placement);
  return received;
}

Placement Receiver::flush() {
  Placement placement = pictures_.flush();
  count_ended(placement);
  return placement;
}

void Receiver::count_ended(const Placement& placement) {
  for (const Picture& picture : placement.ended()) {
    ++stats_.pictures;
    if (picture.complete()) continue;
    ++stats_.pictures_incomplete;
    stats_.missing_pixels += picture.missing_pixels();
  }
}

}  // namespace histod::net::rtp
