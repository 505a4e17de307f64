// SPDX-License-Identifier: Apache-2.0
#include "net/udp/address.hpp"

#include <algorithm>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace histod::net::udp {

bool Address::is_any() const {
  return std::ranges::all_of(ip, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_multicast() const { return v6 ? ip[0] == 0xff : (ip[0] & 0xf0) == 0xe0; }

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const char* const host = ::inet_ntop(v6 ? AF_INET6 : AF_INET, ip.data(), buffer.data(), buffer.size());
  const std::string name = host == nullptr ? "?" : host;
  return (v6 ? "[" + name + "]" : name) + ":" + std::to_string(port);
}

std::optional<Address> parse_address(std::string_view ip, std::uint16_t port) {
  Address address{.port = port};
  address.v6 = ip.find(':') != std::string_view::npos;
  const int family = address.v6 ? AF_INET6 : AF_INET;
  if (::inet_pton(family, std::string(ip).c_str(), address.ip.data()) != 1) return std::nullopt;
  return address;
}

std::optional<Address> from_sockaddr(const sockaddr* from, std::size_t bytes) {
  Address address;
  if (bytes >= sizeof(sockaddr_in) && from->sa_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(from);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&in->sin_addr), 4, address.ip.begin());
    address.port = ntohs(in->sin_port);
    return address;
  }
  if (bytes >= sizeof(sockaddr_in6) && from->sa_family == AF_INET6) {
    const auto* const in = reinterpret_cast<const sockaddr_in6*>(from);
    address.v6 = true;
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&in->sin6_addr), 16, address.ip.begin());
    address.port = ntohs(in->sin6_port);
    address.scope = in->sin6_scope_id;
    return address;
  }
  return std::nullopt;
}

socklen_t to_sockaddr(const Address& address, sockaddr_storage& to) {
  to = {};
  if (!address.v6) {
    auto* const in = reinterpret_cast<sockaddr_in*>(&to);
    in->sin_family = AF_INET;
    in->sin_port = htons(address.port);
    std::copy_n(address.ip.begin(), 4, reinterpret_cast<std::uint8_t*>(&in->sin_addr));
    return sizeof(sockaddr_in);
  }
  auto* const in = reinterpret_cast<sockaddr_in6*>(&to);
  in->sin6_family = AF_INET6;
  in->sin6_port = htons(address.port);
  in->sin6_scope_id = address.scope;
  std::copy_n(address.ip.begin(), 16, reinterpret_cast<std::uint8_t*>(&in->sin6_addr));
  return sizeof(sockaddr_in6);
}

}  // namespace histod::net::udp
