// SPDX-License-Identifier: Apache-2.0
#include "net/udp/address.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
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

std::optional<Mac> parse_mac(std::string_view text) {
  constexpr std::size_t k_digits = 2, k_step = k_digits + 1;
  Mac mac{};
  if (text.size() != mac.size() * k_step - 1) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* const at = text.data() + i * k_step;
    const auto [end, error] = std::from_chars(at, at + k_digits, mac[i], 16);
    if (error != std::errc{} || end != at + k_digits) return std::nullopt;
    if (i + 1 < mac.size() && *end != ':') return std::nullopt;
  }
  return mac;
}

std::string text_of(const Mac& mac) {
  std::array<char, sizeof("00:00:00:00:00:00")> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                mac[5]);
  return text.data();
}

unsigned interface_index(const Address& address) {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return 0;
  const std::unique_ptr<ifaddrs, decltype([](ifaddrs* list) { ::freeifaddrs(list); })> list(raw);
  for (const ifaddrs* each = raw; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const auto own = from_sockaddr(each->ifa_addr, sizeof(sockaddr_storage));
    if (own && own->ip == address.ip && own->v6 == address.v6) return ::if_nametoindex(each->ifa_name);
  }
  return 0;
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
