// SPDX-License-Identifier: Apache-2.0
#pragma once

// One stream, as it comes in: a datagram's pixels, whether they are new, and which picture they belong to.

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "net/rtp/format.hpp"
#include "net/rtp/jitter.hpp"
#include "net/rtp/packet.hpp"
#include "net/rtp/payload.hpp"
#include "net/rtp/picture.hpp"
#include "net/rtp/sequence.hpp"

namespace histod::net::rtp {

/// A datagram that is a packet of the stream. Points into the datagram and to the Receiver.
struct Received {
  Packet packet;
  Payload payload;
  Arrival arrival{};
  Placement placement;

  /// Whether its pixels are new ones of an open picture: to be counted, and to be sent on.
  bool fresh() const { return is_new(arrival) && placement.place != Placement::Place::stale; }
};

/// Since the Receiver was made, whatever the SSRC.
struct ReceiverStats {
  SequenceStats sequence;
  std::array<std::uint64_t, k_faults> faults{};  ///< datagrams refused, by Fault; were they packets, they are lost ones
  std::uint64_t octets = 0;                      ///< of new packets, headers and all
  std::uint64_t pixels = 0;                      ///< of fresh packets
  std::uint64_t stale_packets = 0;               ///< new ones, whose picture was over
  std::uint64_t pictures = 0;                    ///< that ended
  std::uint64_t pictures_incomplete = 0;
  std::uint64_t missing_pixels = 0;        ///< of those; of pictures none of whose packets came nothing is known
  std::uint32_t packet_jitter_ticks = 0;   ///< gauge, 1/90000 s; RFC 3550's, over the packets of the present SSRC
  std::uint32_t picture_jitter_ticks = 0;  ///< gauge; the same over the packets that began pictures
};

/// One thread; no allocation per datagram. Silence and other formats are the caller's to notice: it calls flush(), or
/// makes another Receiver.
class Receiver {
 public:
  struct Options {
    std::optional<std::uint8_t> payload_type;  ///< none: any
    SequenceTracker::Options sequence;
    unsigned hold_packets = 32;  ///< see PictureTracker
  };

  Receiver(const Raster& raster, const Options& options);
  Receiver(const Receiver&) = delete;  // payloads point to its raster
  Receiver& operator=(const Receiver&) = delete;

  /// `arrival_ns` is of any clock that does not jump.
  std::expected<Received, Fault> receive(std::span<const std::byte> datagram, std::uint64_t arrival_ns);

  /// Ends what is open; the pictures that ended are in what comes back.
  Placement flush();

  const Raster& raster() const { return raster_; }
  const ReceiverStats& stats() const { return stats_; }
  std::uint32_t ssrc() const { return sequence_.ssrc(); }

 private:
  std::expected<Received, Fault> parse(std::span<const std::byte> datagram) const;
  void count_ended(const Placement& placement);

  Raster raster_;
  Options options_;
  SequenceTracker sequence_;
  PictureTracker pictures_;
  InterarrivalJitter packet_jitter_;
  InterarrivalJitter picture_jitter_;
  ReceiverStats stats_;
};

}  // namespace histod::net::rtp
