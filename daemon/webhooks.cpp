// SPDX-License-Identifier: Apache-2.0
#include "daemon/webhooks.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "daemon/jobs/digest.hpp"

namespace histod::daemon {

using net::http::Endpoint;

namespace {

constexpr std::size_t k_url_chars_max = 1'000;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool same_host(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

}  // namespace

std::expected<WebhookUrl, std::string> parse_webhook(std::string_view url) {
  if (url.size() > k_url_chars_max)
    return std::unexpected(fmt::format("the URL has {} characters, and may have {}", url.size(), k_url_chars_max));
  const std::size_t scheme = url.find("//");
  const std::size_t path = scheme == std::string_view::npos ? scheme : url.find('/', scheme + 2);
  auto endpoint = net::http::parse_endpoint(url.substr(0, path));
  if (!endpoint) return std::unexpected(std::move(endpoint.error()));
  WebhookUrl out{std::move(*endpoint), path == std::string_view::npos ? "/" : std::string(url.substr(path))};
  const auto fits = [](char c) { return c > ' ' && c < 0x7f && c != '#'; };
  if (!std::ranges::all_of(out.target, fits))
    return std::unexpected("the path must be of visible ASCII, without a fragment");
  return out;
}

std::string webhook_host(std::string_view url) {
  const auto parsed = parse_webhook(url);
  return parsed ? parsed->endpoint.url() : std::string();
}

std::expected<Webhooks::Allowed, std::string> Webhooks::parse_allowed(std::string_view text) {
  Allowed allowed;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string host(text.substr(at, end - at));
    auto endpoint = net::http::parse_endpoint("http://" + host);
    if (!endpoint) return std::unexpected(std::move(endpoint.error()));
    const bool with_port =
        host.find(':', host.find(']') == std::string::npos ? 0 : host.find(']')) != std::string::npos;
    if (!with_port) endpoint->port = 0;
    allowed.push_back(std::move(*endpoint));
    at = end + 1;
  }
  return allowed;
}

std::expected<WebhookUrl, std::string> Webhooks::check(std::string_view url) const {
  auto parsed = parse_webhook(url);
  if (!parsed) return parsed;
  const Endpoint& to = parsed->endpoint;
  const bool allowed = std::ranges::any_of(allowed_, [&](const Endpoint& one) {
    return same_host(one.host, to.host) && to.port == (one.port != 0 ? one.port : to.tls ? 443 : 80);
  });
  if (!allowed) return std::unexpected(to.authority() + " is none of those that --webhook-allow names");
  return parsed;
}

std::string Webhooks::signature(std::string_view body) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned bytes = 0;
  ::HMAC(::EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
         reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data(), &bytes);
  return "sha256=" + jobs::hex(std::span(digest).first(bytes));
}

}  // namespace histod::daemon
