// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace histod::net::udp {

/// An IPv4 or IPv6 address and a UDP port, as numbers: a value of a few bytes that comes with every packet.
struct Address {
  std::array<std::uint8_t, 16> ip{};  ///< as on the wire; of IPv4 the first four
  bool v6 = false;
  std::uint16_t port = 0;
  std::uint32_t scope = 0;  ///< the interface's index of a link-local IPv6 address, else 0

  bool operator==(const Address&) const = default;
  std::size_t ip_bytes() const { return v6 ? 16 : 4; }
  bool is_any() const;
  bool is_multicast() const;
  std::string text() const;  ///< 192.0.2.1:5004, [2001:db8::1]:5004
};

using Mac = std::array<std::uint8_t, 6>;
/// 02:00:00:00:00:01, in either case; nothing for anything else.
std::optional<Mac> parse_mac(std::string_view text);
std::string text_of(const Mac& mac);

/// A numeric address, without brackets; nothing for anything else, names included.
std::optional<Address> parse_address(std::string_view ip, std::uint16_t port);

/// The index of the interface that has this address (its port does not matter); 0: none has.
unsigned interface_index(const Address& address);

/// Nothing for other families.
std::optional<Address> from_sockaddr(const sockaddr* from, std::size_t bytes);
/// The length that belongs to it.
socklen_t to_sockaddr(const Address& address, sockaddr_storage& to);

}  // namespace histod::net::udp
