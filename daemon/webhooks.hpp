// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/endpoint.hpp"

namespace histod::daemon {

struct WebhookStats {
  std::atomic<std::uint64_t> sent{0}, failed{0};
};

/// Where somebody is told that a dataset is done.
struct WebhookUrl {
  net::http::Endpoint endpoint;
  std::string target;  ///< path and query
};
/// As parse_endpoint(), and a path of visible ASCII.
std::expected<WebhookUrl, std::string> parse_webhook(std::string_view url);
/// Scheme, host and port; what follows may be a secret.
std::string webhook_host(std::string_view url);

/// Whom this fleet may call, and the key by which it signs. Immutable, so every thread may use it.
class Webhooks {
 public:
  using Allowed = std::vector<net::http::Endpoint>;  ///< port 0: that of the scheme
  /// "HOST,HOST:PORT".
  static std::expected<Allowed, std::string> parse_allowed(std::string_view text);

  Webhooks(Allowed allowed, std::string secret) : allowed_(std::move(allowed)), secret_(std::move(secret)) {}
  /// The error is a clause.
  std::expected<WebhookUrl, std::string> check(std::string_view url) const;
  /// "sha256=" and the HMAC of the body in hexadecimal.
  std::string signature(std::string_view body) const;

 private:
  const Allowed allowed_;
  const std::string secret_;
};

}  // namespace histod::daemon
