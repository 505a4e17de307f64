// SPDX-License-Identifier: Apache-2.0
#include "daemon/fleet_options.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "control/paths.hpp"

namespace histod::daemon {

namespace {

constexpr std::size_t k_servers_max = 32, k_host_chars_max = 255, k_url_chars_max = 300, k_root_chars_max = 200,
                      k_token_chars_min = 16, k_token_chars_max = 512;

using Errors = std::vector<std::string>;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), &address) == 1;
  }
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  };
  return !host.empty() && host.size() <= k_host_chars_max && std::ranges::all_of(host, fits);
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

bool is_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  return colon != std::string_view::npos && is_host(text.substr(0, colon)) && is_port(text.substr(colon + 1));
}

void check_servers(const std::string& text, Errors& errors) {
  if (text.empty()) return;
  std::vector<std::string> servers = split(text, ',');
  for (const std::string& server : servers) {
    if (is_host_and_port(server)) continue;
    const bool folder = server.find('/') != std::string::npos;
    errors.push_back(fmt::format("--zookeeper takes HOST:PORT[,HOST:PORT...], not \"{}\"{}", server,
                                 folder ? "; znodes' folder is --zookeeper-root" : ""));
  }
  if (servers.size() > k_servers_max)
    errors.push_back(
        fmt::format("--zookeeper names {} servers, but at most {} are allowed", servers.size(), k_servers_max));
  std::ranges::sort(servers);
  if (const auto twice = std::ranges::adjacent_find(servers); twice != servers.end())
    errors.push_back(fmt::format("--zookeeper names {} twice", *twice));
}

void check_root(const std::string& root, Errors& errors) {
  const bool shaped = root.size() > 1 && root.starts_with('/') && root.size() <= k_root_chars_max &&
                      std::ranges::all_of(split(std::string_view(root).substr(1), '/'), control::is_name);
  if (!shaped) errors.push_back(fmt::format("--zookeeper-root must be a path such as /histod, not \"{}\"", root));
  // ZooKeeper keeps its own records there.
  if (root == "/zookeeper" || root.starts_with("/zookeeper/"))
    errors.push_back(fmt::format("--zookeeper-root is \"{}\", which is ZooKeeper's own", root));
}

void check_url(const std::string& url, Errors& errors) {
  if (url.empty()) return;
  std::string_view rest = url;
  for (const std::string_view scheme : {"http://", "https://"})
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  const bool shaped =
      rest.size() < url.size() && url.size() <= k_url_chars_max && (is_host(rest) || is_host_and_port(rest));
  if (!shaped)
    errors.push_back(fmt::format("--advertise-url must be http://HOST:PORT or https://HOST:PORT, not \"{}\"", url));
}

void check_webhooks(const Options& options, Errors& errors) {
  if (options.webhook_allow.empty() != options.webhook_secret_file.empty())
    errors.emplace_back("--webhook-allow and --webhook-secret-file belong together: set both, or neither");
  if (options.webhook_allow.empty()) return;
  for (const std::string& host : split(options.webhook_allow, ','))
    if (!is_host(host) && !is_host_and_port(host))
      errors.push_back(fmt::format("--webhook-allow takes HOST[:PORT],..., not \"{}\"", host));
}

}  // namespace

std::vector<std::string> check_fleet_options(const Options& options) {
  Errors errors;
  check_servers(options.zookeeper, errors);
  check_root(options.zookeeper_root, errors);
  check_url(options.advertise_url, errors);
  if (!control::is_name(options.node_name))
    errors.push_back(
        fmt::format("--node-name must be 1 to 64 of letters, digits, dot, dash and underscore, not beginning with a "
                    "dot; not \"{}\"",
                    options.node_name));
  if (options.zookeeper.empty() && !options.zookeeper_credential_file.empty())
    errors.emplace_back("--zookeeper-credential-file is set, but --zookeeper is not: set both, or neither");
  // Whoever may write a member's znode is sent the token.
  if (!options.peer_token_file.empty() && options.zookeeper_credential_file.empty())
    errors.emplace_back(
        "--peer-token-file is set, but --zookeeper-credential-file is not: anybody could enter the fleet and be shown "
        "the token");
  if (!options.peer_ca_file.empty() && options.peer_token_file.empty())
    errors.emplace_back("--peer-ca-file is set, but --peer-token-file is not: without it no other node is asked");
  check_webhooks(options, errors);
  return errors;
}

std::vector<std::string> zookeeper_servers(const Options& options) {
  return options.zookeeper.empty() ? std::vector<std::string>() : split(options.zookeeper, ',');
}

std::string advertised_url(const Options& options, std::uint16_t port) {
  if (!options.advertise_url.empty()) return options.advertise_url;
  std::string host = options.listen.front().address;
  if (host == "0.0.0.0" || host == "::") host = default_node_name();
  if (host.find(':') != std::string::npos) host = '[' + host + ']';
  return fmt::format("{}://{}:{}", options.tls_cert_path.empty() ? "http" : "https", host, port);
}

bool is_loopback_url(std::string_view url) {
  const std::string_view host = url.substr(url.find("//") + 2);
  return host.starts_with("127.") || host.starts_with("[::1]") || host.starts_with("localhost");
}

bool is_private(mode_t mode, uid_t owner) {
  const mode_t shared = mode & (S_IRWXG | S_IRWXO);
  return shared == 0 || (shared == S_IRGRP && owner == 0);
}

std::expected<std::string, std::string> read_secret(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return std::unexpected(fmt::format("{}: {}", path, std::generic_category().message(errno)));
  if (!S_ISREG(status.st_mode)) return std::unexpected(path + ": it is no file");
  if (!is_private(status.st_mode, status.st_uid))
    return std::unexpected(
        fmt::format("{}: its group or others may use it (mode {:o}): chmod 0600 it", path, status.st_mode & 0777));
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(path + ": it cannot be read");
  std::string token(k_token_chars_max + 3, '\0');  // a line's end, and one more that tells of a longer file
  file.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<std::size_t>(file.gcount()));
  if (token.ends_with('\n')) token.pop_back();
  if (token.ends_with('\r')) token.pop_back();
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }))
    return std::unexpected(path + ": it must be one line, the token, of visible ASCII");
  if (token.size() < k_token_chars_min || token.size() > k_token_chars_max)
    return std::unexpected(
        fmt::format("{}: the token must have {} to {} characters", path, k_token_chars_min, k_token_chars_max));
  return token;
}

std::expected<Fleet::Options, std::string> fleet_options(const Options& options, std::string identity,
                                                         std::uint16_t port) {
  Fleet::Options out;
  out.settings.servers = zookeeper_servers(options);
  out.settings.root = options.zookeeper_root;
  out.settings.min_nodes = options.min_nodes;
  out.settings.self = {options.node_name, std::move(identity), advertised_url(options, port), HISTOD_VERSION,
                       std::thread::hardware_concurrency()};
  out.session_timeout = options.zookeeper_session_timeout;
  if (options.zookeeper_credential_file.empty()) return out;
  auto credential = control::read_credential(options.zookeeper_credential_file);
  if (!credential) return std::unexpected("--zookeeper-credential-file: " + credential.error());
  out.credential = std::move(*credential);
  return out;
}

}  // namespace histod::daemon
