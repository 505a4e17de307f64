// SPDX-License-Identifier: Apache-2.0
#pragma once

// The payload of uncompressed video (RFC 4175, 4.2 and 4.3): which pixels a packet has, and where in it they lie.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <span>

#include "net/rtp/format.hpp"

namespace histod::net::rtp {

inline constexpr std::size_t k_extended_sequence_octets = 2;
inline constexpr std::size_t k_segment_header_octets = 6;

/// A part of a line (of the lines that share pgroups, for 4:2:0) and its octets in the packet.
struct Segment {
  std::uint16_t line = 0;     ///< as on the wire
  std::uint16_t row = 0;      ///< of the frame, from 0: the first of `rows`
  std::uint16_t offset = 0;   ///< pixels from the left edge, on a pgroup
  std::uint16_t pixels = 0;   ///< in each of the rows, without the last pgroup's fill
  std::uint8_t field = 0;     ///< 1: the second field
  std::uint8_t rows = 0;      ///< 1; for 4:2:0 2, but 1 at the bottom of an odd height
  std::uint8_t row_step = 1;  ///< from the first of the rows to the second, in rows of the frame
  std::uint32_t begin = 0;    ///< first octet, counted from the datagram's first
  std::uint32_t octets = 0;   ///< whole pgroups, with fill

  /// The octets themselves; Byte is std::byte or const std::byte.
  template <class Byte>
  std::span<Byte> of(std::span<Byte> datagram) const {
    return datagram.subspan(begin, octets);
  }
  bool operator==(const Segment&) const = default;
};

class Payload;

/// `begin` and `octets` as parse_packet() found them; a datagram has less than 2^32 octets. Everything is checked
/// here, so that iterating cannot fail: a segment lies within the payload and within its line, and no two of a packet
/// have a pixel in common. A sole segment of length 0 is no segment (ST 2110-20, 6.1.4).
std::expected<Payload, Fault> parse_payload(std::span<const std::byte> datagram, std::size_t begin, std::size_t octets,
                                            const Raster& raster);

/// The segments of a packet whose payload header was found good: a range, decoded as one goes. It points into the
/// datagram and to the Raster, which must both outlive it.
class Payload {
 public:
  class Iterator {
   public:
    using value_type = Segment;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using pointer = const Segment*;
    using reference = Segment;

    Iterator() = default;
    Segment operator*() const;
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(const Iterator& other) const { return header_ == other.header_; }

   private:
    friend std::expected<Payload, Fault> parse_payload(std::span<const std::byte>, std::size_t, std::size_t,
                                                       const Raster&);
    const std::byte* header_ = nullptr;  ///< nullptr: the end
    std::uint32_t begin_ = 0;
    const Raster* raster_ = nullptr;
  };

  /// The high 16 bits of the sequence number. Senders that do not count them send 0.
  std::uint16_t extended_sequence_number() const { return extended_sequence_number_; }
  unsigned field() const { return field_; }
  std::size_t segments() const { return segments_; }
  /// Pixels of all segments, those of both rows of 4:2:0 counted.
  std::uint32_t pixels() const { return pixels_; }
  /// Octets behind the last segment: ST 2110-20, 6.2.1, allows them at the end of a picture.
  std::uint32_t trailing_octets() const { return trailing_octets_; }

  Iterator begin() const { return first_; }
  Iterator end() const { return {}; }

 private:
  friend std::expected<Payload, Fault> parse_payload(std::span<const std::byte>, std::size_t, std::size_t,
                                                     const Raster&);

  Iterator first_;
  std::size_t segments_ = 0;
  std::uint32_t pixels_ = 0;
  std::uint32_t trailing_octets_ = 0;
  std::uint16_t extended_sequence_number_ = 0;
  std::uint8_t field_ = 0;
};

constexpr std::size_t payload_header_octets(std::size_t segments) {
  return k_extended_sequence_octets + segments * k_segment_header_octets;
}

/// Writes the payload header of `segments`, at least one, to the front of `out`, which must have room for
/// payload_header_octets(). Returns that. Of a segment line, field, offset and octets are written.
std::size_t write_payload_header(std::span<std::byte> out, std::uint16_t extended_sequence_number,
                                 std::span<const Segment> segments);

}  // namespace histod::net::rtp
