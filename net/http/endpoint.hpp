// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace histod::net::http {

/// Where another server listens.
struct Endpoint {
  bool tls = false;
  std::string host;  ///< a name or a numeric address, without brackets
  std::uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
  std::string authority() const;  ///< as in a Host field: an IPv6 address in brackets, the port always
  std::string url() const;
};

/// Reads http://HOST, https://HOST or either with :PORT, and nothing else: no path, no user, no capital scheme. HOST is
/// a name of letters, digits, dot, dash and underscore, an IPv4 address of four plain numbers, or an IPv6 address in
/// brackets. The error says what is wrong.
std::expected<Endpoint, std::string> parse_endpoint(std::string_view url);

}  // namespace histod::net::http
