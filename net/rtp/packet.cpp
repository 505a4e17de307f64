// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/packet.hpp"

#include <algorithm>
#include <cassert>

#include "net/rtp/octets.hpp"

namespace histod::net::rtp {

namespace {

constexpr unsigned k_version = 2;
constexpr std::size_t k_extension_header_octets = 4;

}  // namespace

std::expected<Packet, Fault> parse_packet(std::span<const std::byte> datagram) {
  if (datagram.size() < k_fixed_header_octets) return std::unexpected(Fault::header_truncated);
  const auto first = std::to_integer<unsigned>(datagram[0]);
  const auto second = std::to_integer<unsigned>(datagram[1]);
  if (first >> 6 != k_version) return std::unexpected(Fault::version_unknown);
  Packet packet;
  packet.header = {.marker = (second & 0x80) != 0,
                   .payload_type = static_cast<std::uint8_t>(second & 0x7f),
                   .sequence_number = read_u16(&datagram[2]),
                   .timestamp = read_u32(&datagram[4]),
                   .ssrc = read_u32(&datagram[8])};
  std::size_t at = k_fixed_header_octets;
  const std::size_t csrc_octets = (first & 0x0f) * std::size_t{4};
  if (datagram.size() - at < csrc_octets) return std::unexpected(Fault::csrc_truncated);
  packet.csrc = datagram.subspan(at, csrc_octets);
  at += csrc_octets;
  if ((first & 0x10) != 0) {
    if (datagram.size() - at < k_extension_header_octets) return std::unexpected(Fault::extension_truncated);
    const std::size_t octets = read_u16(&datagram[at + 2]) * std::size_t{4};
    const std::uint16_t profile = read_u16(&datagram[at]);
    at += k_extension_header_octets;
    if (datagram.size() - at < octets) return std::unexpected(Fault::extension_truncated);
    packet.extension = Extension{profile, datagram.subspan(at, octets)};
    at += octets;
  }
  if ((first & 0x20) != 0) {
    packet.padding_octets = std::to_integer<std::size_t>(datagram.back());
    if (packet.padding_octets == 0 || packet.padding_octets > datagram.size() - at) {
      return std::unexpected(Fault::padding_invalid);
    }
  }
  packet.payload_begin = at;
  packet.payload_octets = datagram.size() - at - packet.padding_octets;
  return packet;
}

std::size_t header_octets(const HeaderOptions& options) {
  return k_fixed_header_octets + options.csrc.size() * 4 +
         (options.extension != nullptr ? k_extension_header_octets + options.extension->data.size() : 0);
}

std::size_t write_header(std::span<std::byte> out, const Header& header, const HeaderOptions& options) {
  assert(out.size() >= header_octets(options) && options.csrc.size() <= k_csrc_max && header.payload_type < 128);
  out[0] = static_cast<std::byte>(k_version << 6 | (options.padding ? 0x20u : 0u) |
                                  (options.extension != nullptr ? 0x10u : 0u) | options.csrc.size());
  out[1] = static_cast<std::byte>((header.marker ? 0x80u : 0u) | header.payload_type);
  write_u16(&out[2], header.sequence_number);
  write_u32(&out[4], header.timestamp);
  write_u32(&out[8], header.ssrc);
  std::size_t at = k_fixed_header_octets;
  for (const std::uint32_t source : options.csrc) {
    write_u32(&out[at], source);
    at += 4;
  }
  if (options.extension != nullptr) {
    const auto data = options.extension->data;
    assert(data.size() % 4 == 0 && data.size() / 4 <= 0xffff);
    write_u16(&out[at], options.extension->profile);
    write_u16(&out[at + 2], static_cast<unsigned>(data.size() / 4));
    at += k_extension_header_octets;
    std::ranges::copy(data, out.begin() + static_cast<std::ptrdiff_t>(at));
    at += data.size();
  }
  return at;
}

void write_padding(std::span<std::byte> tail) {
  assert(!tail.empty() && tail.size() <= 255);
  std::ranges::fill(tail, std::byte{0});
  tail.back() = static_cast<std::byte>(tail.size());
}

}  // namespace histod::net::rtp
