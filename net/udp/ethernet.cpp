// SPDX-License-Identifier: Apache-2.0
#include "net/udp/ethernet.hpp"

#include <algorithm>
#include <cassert>

namespace histod::net::udp {

namespace {

using Bytes = std::span<const std::byte>;
using WritableBytes = std::span<std::byte>;

constexpr std::size_t k_macs_bytes = 12, k_tag_bytes = 4, k_ipv6_bytes = 40, k_udp_bytes = 8;
constexpr std::uint16_t k_ipv4 = 0x0800, k_ipv6 = 0x86dd, k_vlan = 0x8100, k_vlan_outer = 0x88a8;
constexpr unsigned k_udp = 17, k_ipv6_fragment = 44;

unsigned at8(Bytes bytes, std::size_t at) { return std::to_integer<unsigned>(bytes[at]); }
unsigned at16(Bytes bytes, std::size_t at) { return at8(bytes, at) << 8 | at8(bytes, at + 1); }

void put8(WritableBytes bytes, std::size_t at, std::size_t value) { bytes[at] = static_cast<std::byte>(value & 0xff); }
void put16(WritableBytes bytes, std::size_t at, std::size_t value) {
  put8(bytes, at, value >> 8);
  put8(bytes, at + 1, value);
}

std::uint64_t sum16(Bytes bytes) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sum += at16(bytes, i);
  return i < bytes.size() ? sum + (at8(bytes, i) << 8) : sum;
}

/// The Internet checksum (RFC 1071) of a sum of 16-bit words.
unsigned folded(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<unsigned>(~sum & 0xffff);
}

Address address_at(Bytes frame, std::size_t ip, std::size_t bytes, std::size_t port) {
  Address address{.v6 = bytes == 16, .port = static_cast<std::uint16_t>(at16(frame, port))};
  std::ranges::transform(frame.subspan(ip, bytes), address.ip.begin(),
                         [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  return address;
}

void put(WritableBytes frame, std::size_t at, std::span<const std::uint8_t> value) {
  std::ranges::transform(value, frame.begin() + static_cast<std::ptrdiff_t>(at),
                         [](std::uint8_t byte) { return std::byte{byte}; });
}

/// What an IP header says: where UDP begins and where the datagram ends.
struct Ip {
  std::size_t udp = 0;
  std::size_t end = 0;
  std::size_t addresses = 0;
};

std::expected<Ip, FrameRefusal> parse_ipv4(Bytes frame, std::size_t ip) {
  constexpr std::size_t k_least = 20;
  if (frame.size() < ip + k_least || at8(frame, ip) >> 4 != 4) return std::unexpected(FrameRefusal::malformed);
  const std::size_t header = (at8(frame, ip) & 0x0f) * 4;
  if (header < k_least || frame.size() < ip + header) return std::unexpected(FrameRefusal::malformed);
  if (folded(sum16(frame.subspan(ip, header))) != 0) return std::unexpected(FrameRefusal::malformed);
  const std::size_t total = at16(frame, ip + 2);
  if (total < header) return std::unexpected(FrameRefusal::malformed);
  if (at8(frame, ip + 9) != k_udp) return std::unexpected(FrameRefusal::foreign);
  constexpr unsigned k_more_or_offset = 0x3fff;
  if ((at16(frame, ip + 6) & k_more_or_offset) != 0) return std::unexpected(FrameRefusal::fragment);
  return Ip{ip + header, ip + total, ip + 12};
}

std::expected<Ip, FrameRefusal> parse_ipv6(Bytes frame, std::size_t ip) {
  if (frame.size() < ip + k_ipv6_bytes || at8(frame, ip) >> 4 != 6) return std::unexpected(FrameRefusal::malformed);
  const unsigned next = at8(frame, ip + 6);
  if (next == k_ipv6_fragment) return std::unexpected(FrameRefusal::fragment);
  if (next != k_udp) return std::unexpected(FrameRefusal::foreign);
  const std::size_t udp = ip + k_ipv6_bytes;
  return Ip{udp, udp + at16(frame, ip + 4), ip + 8};
}

void put_ipv4(WritableBytes frame, const FrameLayout& at, const Hop& hop) {
  put16(frame, at.ip + 2, at.payload - at.ip + at.payload_bytes);
  put8(frame, at.ip + 8, hop.ttl);
  put(frame, at.ip + 12, std::span(hop.from.ip).first(4));
  put(frame, at.ip + 16, std::span(hop.to.ip).first(4));
  put16(frame, at.ip + 10, 0);
  put16(frame, at.ip + 10, folded(sum16(frame.subspan(at.ip, at.udp - at.ip))));
}

void put_ipv6(WritableBytes frame, const FrameLayout& at, const Hop& hop) {
  const std::size_t datagram = k_udp_bytes + at.payload_bytes;
  put16(frame, at.ip + 4, datagram);
  put8(frame, at.ip + 7, hop.ttl);
  put(frame, at.ip + 8, hop.from.ip);
  put(frame, at.ip + 24, hop.to.ip);
  const std::uint64_t sum =
      sum16(frame.subspan(at.ip + 8, 32)) + datagram + k_udp + sum16(frame.subspan(at.udp, datagram));
  const unsigned checksum = folded(sum);
  put16(frame, at.udp + 6, checksum == 0 ? 0xffff : checksum);  // 0 would mean that there is none
}

}  // namespace

std::expected<UdpFrame, FrameRefusal> parse_udp_frame(Bytes frame) {
  constexpr std::size_t k_type_bytes = 2, k_tags_max = 2;
  std::size_t type_at = k_macs_bytes;
  const auto type = [&] { return at16(frame, type_at); };
  if (frame.size() < type_at + k_type_bytes) return std::unexpected(FrameRefusal::malformed);
  for (std::size_t tags = 0; tags < k_tags_max && (type() == k_vlan || type() == k_vlan_outer); ++tags) {
    type_at += k_tag_bytes;
    if (frame.size() < type_at + k_type_bytes) return std::unexpected(FrameRefusal::malformed);
  }
  const bool v6 = type() == k_ipv6;
  if (!v6 && type() != k_ipv4) return std::unexpected(FrameRefusal::foreign);
  const std::size_t ip_at = type_at + k_type_bytes;
  const auto ip = v6 ? parse_ipv6(frame, ip_at) : parse_ipv4(frame, ip_at);
  if (!ip) return std::unexpected(ip.error());
  const std::size_t payload = ip->udp + k_udp_bytes;
  if (ip->end < payload || frame.size() < payload) return std::unexpected(FrameRefusal::malformed);
  const std::size_t datagram = at16(frame, ip->udp + 4);
  if (datagram < k_udp_bytes || ip->udp + datagram > ip->end) return std::unexpected(FrameRefusal::malformed);
  const std::size_t address_bytes = v6 ? 16 : 4;
  UdpFrame parsed;
  const std::size_t there = std::min(frame.size() - payload, datagram - k_udp_bytes);
  parsed.layout = {.ip = ip_at, .udp = ip->udp, .payload = payload, .payload_bytes = there, .v6 = v6};
  parsed.truncated = there < datagram - k_udp_bytes;
  parsed.source = address_at(frame, ip->addresses, address_bytes, ip->udp);
  parsed.destination = address_at(frame, ip->addresses + address_bytes, address_bytes, ip->udp + 2);
  return parsed;
}

Mac multicast_mac(const Address& group) {
  if (group.v6) return {0x33, 0x33, group.ip[12], group.ip[13], group.ip[14], group.ip[15]};
  return {0x01, 0x00, 0x5e, static_cast<std::uint8_t>(group.ip[1] & 0x7f), group.ip[2], group.ip[3]};
}

Mac source_mac(Bytes frame) {
  Mac mac{};
  std::ranges::transform(frame.subspan(mac.size(), mac.size()), mac.begin(),
                         [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  return mac;
}

std::size_t readdress(WritableBytes frame, const FrameLayout& layout, const Hop& hop) {
  assert(hop.from.v6 == layout.v6 && hop.to.v6 == layout.v6);
  assert(layout.payload + layout.payload_bytes <= frame.size());
  put(frame, 0, hop.to_mac);
  put(frame, hop.to_mac.size(), hop.from_mac);
  put16(frame, layout.udp, hop.from.port);
  put16(frame, layout.udp + 2, hop.to.port);
  put16(frame, layout.udp + 4, k_udp_bytes + layout.payload_bytes);
  put16(frame, layout.udp + 6, 0);
  layout.v6 ? put_ipv6(frame, layout, hop) : put_ipv4(frame, layout, hop);
  return layout.payload + layout.payload_bytes;
}

}  // namespace histod::net::udp
