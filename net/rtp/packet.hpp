// SPDX-License-Identifier: Apache-2.0
#pragma once

// RTP packets (RFC 3550, 5.1 and 5.3.1), read where they lie and written where they are to lie.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "net/rtp/fault.hpp"

namespace histod::net::rtp {

inline constexpr std::size_t k_fixed_header_octets = 12;
inline constexpr std::size_t k_csrc_max = 15;

/// What the fixed header says of a packet, but for what the lengths follow from.
struct Header {
  bool marker = false;
  std::uint8_t payload_type = 0;  ///< 7 bits
  std::uint16_t sequence_number = 0;
  std::uint32_t timestamp = 0;  ///< of video: 1/90000 s
  std::uint32_t ssrc = 0;

  bool operator==(const Header&) const = default;
};

struct Extension {
  std::uint16_t profile = 0;        ///< "defined by profile"
  std::span<const std::byte> data;  ///< whole 32-bit words, at most 65535
};

/// A packet's parts; spans point into the datagram.
struct Packet {
  Header header;
  std::span<const std::byte> csrc;  ///< 4 octets for each contributing source
  std::optional<Extension> extension;
  std::size_t payload_begin = 0;   ///< in the datagram
  std::size_t payload_octets = 0;  ///< without padding
  std::size_t padding_octets = 0;
};

/// Reads nothing beyond `datagram`; what is in the payload is not looked at.
std::expected<Packet, Fault> parse_packet(std::span<const std::byte> datagram);

/// What a header may have besides Header.
struct HeaderOptions {
  std::span<const std::uint32_t> csrc;  ///< at most k_csrc_max
  const Extension* extension = nullptr;
  bool padding = false;  ///< write_padding() is to follow at the packet's end
};

std::size_t header_octets(const HeaderOptions& options = {});

/// Writes the header to the front of `out`, which must have room for header_octets(). Returns that.
std::size_t write_header(std::span<std::byte> out, const Header& header, const HeaderOptions& options = {});

/// Makes the whole of `tail`, 1 to 255 octets at the packet's end, its padding.
void write_padding(std::span<std::byte> tail);

}  // namespace histod::net::rtp
