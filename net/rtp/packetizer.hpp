// SPDX-License-Identifier: Apache-2.0
#pragma once

// A picture into packets (RFC 3550, RFC 4175): headers are made here, pixels are put in or gathered by the caller.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "net/rtp/format.hpp"
#include "net/rtp/packet.hpp"
#include "net/rtp/payload.hpp"

namespace histod::net::rtp {

/// What is left of an MTU for an RTP packet, behind the IP header without options and the UDP header.
constexpr unsigned packet_octets_of_mtu(unsigned mtu, bool ipv6) {
  const unsigned headers = (ipv6 ? 40 : 20) + 8;
  return mtu > headers ? mtu - headers : 0;
}

/// One thread; no allocation.
class Packetizer {
 public:
  static constexpr unsigned k_segments_max = 32;

  struct Options {
    std::uint8_t payload_type = 96;     ///< 0 to 127; 96 and more are dynamic (RFC 3551, 3)
    std::uint32_t ssrc = 0;             ///< RFC 3550, 8.1, wants it random
    std::uint32_t sequence_number = 0;  ///< of the first packet, with its extended half; RFC 3550, 5.1, wants it random
    unsigned packet_octets_max = 1472;  ///< of a whole RTP packet: see packet_octets_of_mtu()
    unsigned segments_max = k_segments_max;  ///< in a packet; ST 2110-20, 6.2.1, allows 3
  };

  /// A packet to be: its header's octets, and behind them those of its segments, in order.
  struct Plan {
    std::span<const std::byte> header;
    std::span<const Segment> segments;  ///< `begin` says where in the packet each is to lie
    std::size_t packet_octets = 0;      ///< of header and segments
    bool marker = false;                ///< the picture's last
  };

  /// out_of_range or too_large for options that allow no packet.
  static Result<Packetizer> make(const Raster& raster, const Options& options);

  /// Begins a picture: a frame, or a field of interlaced video. `timestamp` is in 1/90000 s.
  void begin(std::uint32_t timestamp, unsigned field = 0);

  /// The picture's next packet, or none behind its last. What it points to is valid until the next call.
  std::optional<Plan> next();

  /// Of the next packet, with its extended half.
  std::uint32_t sequence_number() const { return sequence_number_; }

 private:
  Packetizer(const Raster& raster, const Options& options)
      : raster_(raster), options_(options), sequence_number_(options.sequence_number) {}
  Segment take(unsigned room_octets);

  Raster raster_;
  Options options_;
  std::uint32_t sequence_number_;
  std::uint32_t timestamp_ = 0;
  unsigned field_ = 0;
  unsigned row_ = k_dimension_max + 1;  ///< of the field; from here on nothing was sent
  unsigned offset_ = 0;                 ///< pixels
  std::array<Segment, k_segments_max> segments_{};
  std::array<std::byte, k_fixed_header_octets + payload_header_octets(k_segments_max)> header_{};
};

}  // namespace histod::net::rtp
