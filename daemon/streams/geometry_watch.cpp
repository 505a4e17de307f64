// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/geometry_watch.hpp"

#include <utility>

#include "daemon/streams/config.hpp"
#include "net/rtp/packet.hpp"

namespace histod::daemon::streams {

namespace rtp = net::rtp;

namespace {

/// Even, so that pgroups of all samplings end there.
constexpr unsigned k_widest = rtp::k_dimension_max - 1;

bool is_too_far_out(rtp::Fault fault) {
  return fault == rtp::Fault::line_beyond_frame || fault == rtp::Fault::segment_beyond_line;
}

}  // namespace

std::optional<unsigned> GeometryWatch::see_refused(std::span<const std::byte> datagram, rtp::Fault fault) {
  if (!is_too_far_out(fault)) return std::nullopt;
  rtp::VideoFormat widest = format_;
  widest.width = widest.height = k_widest;
  const auto raster = rtp::Raster::make(widest);
  const auto packet = rtp::parse_packet(datagram);
  if (!raster || !packet) return std::nullopt;
  const auto payload = rtp::parse_payload(datagram, packet->payload_begin, packet->payload_octets, *raster);
  if (!payload) return std::nullopt;
  for (const rtp::Segment& segment : *payload) see(segment);
  return packet->header.marker ? std::optional(payload->field()) : std::nullopt;
}

std::optional<GeometryWatch::Size> GeometryWatch::ended(unsigned field) {
  if (format_.interlaced && field == 0) return std::nullopt;
  const Size size = std::exchange(reached_, {});
  const Size known = std::exchange(candidate_, size);
  if (size == Size{format_.width, format_.height} || size != known) return std::nullopt;
  if (std::uint64_t{size.width} * size.height > k_frame_pixels_max) return std::nullopt;
  return size;
}

}  // namespace histod::daemon::streams
