// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "net/udp/packet_source.hpp"

namespace histod::net::udp {

/// Where the parts of an Ethernet frame with a UDP datagram lie, in bytes from its first.
struct FrameLayout {
  std::size_t ip = 0;
  std::size_t udp = 0;
  std::size_t payload = 0;
  std::size_t payload_bytes = 0;  ///< that are there: padding is none, and a cut frame has fewer than its datagram
  bool v6 = false;
};

struct UdpFrame {
  FrameLayout layout;
  Address source, destination;
  bool truncated = false;  ///< the frame ends before its datagram does
};

enum class FrameRefusal : std::uint8_t {
  foreign,    ///< neither UDP over IPv4 nor over IPv6: ARP, ICMP, TCP, IPv6 with extension headers, ...
  fragment,   ///< part of an IP datagram
  malformed,  ///< lengths that contradict each other, or IPv4's header checksum
};

/// Reads the headers of a frame (with up to two VLAN tags), which anybody may have sent. Looks at nothing but the
/// frame's bytes. UDP's checksum is not looked at: a device verifies it, and what comes over a virtual pair has mostly
/// none yet.
std::expected<UdpFrame, FrameRefusal> parse_udp_frame(std::span<const std::byte> frame);

/// Who sends a frame on, to whom.
struct Hop {
  Mac from_mac{}, to_mac{};
  Address from{}, to{};  ///< of the frame's own version of IP
  std::uint8_t ttl = k_unicast_ttl;
};

/// The Ethernet address that belongs to a multicast address (RFC 1112, RFC 2464).
Mac multicast_mac(const Address& group);
Mac source_mac(std::span<const std::byte> frame);

/// Writes the headers of a frame that parse_udp_frame() gave this layout anew: VLAN tags and IP options stay, lengths
/// become those of what is there, checksums are right. UDP's is left out over IPv4, where it may be (RFC 768): the
/// payload was changed, so it would have to be summed up again, or what came in had none to go by. Over IPv6 it is
/// computed. The bytes of the frame to send: its padding is gone.
std::size_t readdress(std::span<std::byte> frame, const FrameLayout& layout, const Hop& hop);

}  // namespace histod::net::udp
