// SPDX-License-Identifier: Apache-2.0
#include "net/http/endpoint.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

constexpr std::size_t k_host_chars_max = 253, k_label_chars_max = 63;

bool is_label(std::string_view label) {
  const auto fits = [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; };
  return !label.empty() && label.size() <= k_label_chars_max && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, fits);
}

/// What ends in a number is an address to resolvers, in one of many notations; here, only four plain numbers are.
bool is_host(std::string_view host) {
  if (host.empty() || host.size() > k_host_chars_max) return false;
  std::string_view rest = host;
  for (;;) {
    const std::size_t dot = rest.find('.');
    if (!is_label(rest.substr(0, dot))) return false;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  const bool numeric = std::ranges::all_of(rest, is_digit) || rest.starts_with("0x") || rest.starts_with("0X");
  in_addr address{};
  return !numeric || ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool is_ipv6(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::expected<std::uint16_t, std::string> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0 || text.front() == '0')
    return std::unexpected("the port must be a number from 1 to 65535, not \"" + std::string(text) + '"');
  return port;
}

}  // namespace

std::string Endpoint::authority() const {
  const bool bracketed = host.find(':') != std::string::npos;
  return (bracketed ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::string Endpoint::url() const { return (tls ? "https://" : "http://") + authority(); }

std::expected<Endpoint, std::string> parse_endpoint(std::string_view url) {
  Endpoint endpoint;
  endpoint.tls = url.starts_with("https://");
  if (!endpoint.tls && !url.starts_with("http://")) return std::unexpected("it must begin with http:// or https://");
  std::string_view rest = url.substr(endpoint.tls ? 8 : 7);
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) return std::unexpected("the bracket of the address is not closed");
  const std::size_t colon = rest.find(':', bracket);
  const std::string_view host = rest.substr(0, colon);
  endpoint.host = bracket > 0 ? host.substr(1, host.size() - 2) : host;
  const bool good = bracket > 0 ? host.size() == bracket + 1 && is_ipv6(endpoint.host) : is_host(host);
  if (!good) return std::unexpected("the host must be a name or an address, not \"" + std::string(host) + '"');
  endpoint.port = endpoint.tls ? 443 : 80;
  if (colon == std::string_view::npos) return endpoint;
  const auto port = parse_port(rest.substr(colon + 1));
  if (!port) return std::unexpected(port.error());
  endpoint.port = *port;
  return endpoint;
}

}  // namespace histod::net::http
