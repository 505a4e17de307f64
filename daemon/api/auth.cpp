// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/auth.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include "daemon/jobs/digest.hpp"

namespace histod::daemon::api {
namespace {

constexpr std::size_t k_token_chars_min = 16, k_token_chars_max = 512, k_name_chars_max = 64;
constexpr std::uint64_t k_file_bytes_max = 1u << 20;
constexpr std::chrono::minutes k_window{1};

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

/// The next word of a line; empty at its end.
std::string_view next_word(std::string_view& line) {
  constexpr std::string_view k_blank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(k_blank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(k_blank));
  line.remove_prefix(word.size());
  return word;
}

Role role_from_name(std::string_view name) {
  for (const Role role : {Role::read, Role::submit, Role::admin, Role::peer, Role::events})
    if (role_name(role) == name) return role;
  return Role::none;
}

std::expected<Token, std::string> parse_line(std::string_view line) {
  const std::string_view role = next_word(line);
  const std::string_view token = next_word(line);
  const std::string_view name = next_word(line);
  Token out{role_from_name(role), std::string(name), {}};
  // What stands in the wrong place may be a token: it is not shown.
  if (out.role == Role::none) return std::unexpected("the first word must be read, submit, admin, peer or events");
  if (token.empty()) return std::unexpected("the token is missing");
  if (token.size() < k_token_chars_min || token.size() > k_token_chars_max) {
    return std::unexpected(fmt::format("the token has {} characters, but must have {} to {}", token.size(),
                                       k_token_chars_min, k_token_chars_max));
  }
  if (!is_visible(token)) return std::unexpected("the token must be visible ASCII");
  if (!is_visible(name) || name.size() > k_name_chars_max) {
    return std::unexpected(fmt::format("the name must be visible ASCII, at most {} characters", k_name_chars_max));
  }
  if (!next_word(line).empty()) return std::unexpected("there is more than ROLE TOKEN NAME");
  out.sha256 = jobs::sha256(token);
  return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

/// The token of `Bearer TOKEN`; empty when it is something else.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view k_scheme = "bearer ";
  if (!equals_ignoring_case(authorization.substr(0, k_scheme.size()), k_scheme)) return {};
  std::string_view token = authorization.substr(k_scheme.size());
  while (token.starts_with(' ')) token.remove_prefix(1);
  return token;
}

/// An IPv4 address as it is, an IPv6 address as its /64: a host usually has all of that.
std::string peer_key(std::string_view peer) {
  std::string address(peer.substr(0, peer.find('%')));
  in6_addr v6{};
  if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
  const auto* bytes = reinterpret_cast<const char*>(v6.s6_addr);
  return {bytes, IN6_IS_ADDR_V4MAPPED(&v6) ? std::size_t{16} : std::size_t{8}};
}

std::expected<std::string, std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(fmt::format("token file \"{}\" cannot be read", path));
  std::string text(k_file_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > k_file_bytes_max) {
    return std::unexpected(fmt::format("token file \"{}\" is larger than {} bytes", path, k_file_bytes_max));
  }
  return text;
}

std::expected<std::vector<Token>, std::vector<std::string>> load(const std::string& path) {
  if (path.empty()) return std::unexpected(std::vector<std::string>{"no token file is set: use --token-file"});
  const auto text = read_text(path);
  if (!text) return std::unexpected(std::vector<std::string>{text.error()});
  auto tokens = parse_tokens(*text);
  if (tokens) return tokens;
  for (std::string& error : tokens.error()) error = fmt::format("{}: {}", path, error);
  return tokens;
}

}  // namespace

std::string_view role_name(Role role) {
  static constexpr std::string_view k_names[] = {"none", "read", "submit", "admin", "peer", "events"};
  return k_names[static_cast<std::size_t>(role)];
}

bool may_do(Role role, Role needed) {
  if (role == Role::events) return needed == Role::events || needed == Role::none;
  if (needed == Role::events) return role >= Role::submit;
  if (role == Role::peer) return needed == Role::peer || needed <= Role::submit;
  return role >= needed;
}

std::expected<std::vector<Token>, std::vector<std::string>> parse_tokens(std::string_view text) {
  std::vector<Token> tokens;
  std::vector<std::string> errors;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::string_view first = line;
    const std::string_view word = next_word(first);
    if (word.empty() || word.front() == '#') continue;
    auto token = parse_line(line);
    if (token && std::ranges::find(tokens, token->sha256, &Token::sha256) != tokens.end()) {
      token = std::unexpected("the same token is already in an earlier line");
    }
    if (token) {
      tokens.push_back(std::move(*token));
    } else {
      errors.push_back(fmt::format("line {}: {}", number, token.error()));
    }
  }
  if (tokens.empty() && errors.empty()) errors.emplace_back("there is no token in it");
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return tokens;
}

FailureLimiter::FailureLimiter(std::uint64_t failures_per_minute, std::size_t peers_max)
    : failures_per_minute_(std::max<std::uint64_t>(failures_per_minute, 1)),
      peers_max_(std::max<std::size_t>(peers_max, 1)) {}

std::chrono::seconds FailureLimiter::wait(std::string_view peer, Clock::time_point now) {
  const auto found = by_key_.find(peer_key(peer));
  if (found == by_key_.end()) return {};
  auto& failures = found->second->failures;
  while (!failures.empty() && now - failures.front() >= k_window) failures.pop_front();
  if (failures.size() < failures_per_minute_) return {};
  return std::chrono::ceil<std::chrono::seconds>(failures.front() + k_window - now);
}

void FailureLimiter::failed(std::string_view peer, Clock::time_point now) {
  std::string key = peer_key(peer);
  auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    peers_.splice(peers_.begin(), peers_, found->second);
  } else {
    if (peers_.size() == peers_max_) {
      by_key_.erase(peers_.back().key);
      peers_.pop_back();
    }
    peers_.push_front({key, {}});
    by_key_.emplace(std::move(key), peers_.begin());
  }
  auto& failures = peers_.front().failures;
  failures.push_back(now);
  if (failures.size() > failures_per_minute_) failures.pop_front();
}

Auth::Auth(const Options& options, Now now)
    : options_(options), now_(std::move(now)), limiter_(options.failures_per_minute, options.peers_max) {
  if (!now_) now_ = [] { return std::chrono::steady_clock::now(); };
}

std::expected<std::unique_ptr<Auth>, std::vector<std::string>> Auth::open(const Options& options, Now now) {
  std::unique_ptr<Auth> auth(new Auth(options, std::move(now)));
  auth->stamp_ = stamp_of(options.token_file);
  auto tokens = load(options.token_file);
  if (!tokens) return std::unexpected(std::move(tokens.error()));
  auth->tokens_ = std::move(*tokens);
  return auth;
}

/// Compares with every token, whatever the outcome: the time tells nothing.
const Token* Auth::find(const std::array<unsigned char, 32>& sha256) const {
  const Token* found = nullptr;
  for (const Token& token : tokens_) {
    if (::CRYPTO_memcmp(token.sha256.data(), sha256.data(), sha256.size()) == 0) found = &token;
  }
  return found;
}

Verdict Auth::check(std::string_view authorization, std::string_view peer, Role needed) {
  const std::string_view sent = bearer_token(authorization);
  const auto digest = jobs::sha256(sent);
  const std::lock_guard lock(mutex_);
  if (sent.empty()) {
    ++counts_.missing;
    return {Access::missing, Role::none, {}, {}};
  }
  const auto now = now_();
  if (const auto wait = limiter_.wait(peer, now); wait.count() > 0) {
    ++counts_.limited;
    return {Access::limited, Role::none, {}, wait};
  }
  const Token* token = find(digest);
  if (token == nullptr) {
    limiter_.failed(peer, now);
    ++counts_.wrong;
    return {Access::wrong, Role::none, {}, {}};
  }
  if (!may_do(token->role, needed)) {
    ++counts_.forbidden;
    return {Access::forbidden, token->role, token->name, {}};
  }
  ++counts_.granted;
  return {Access::granted, token->role, token->name, {}};
}

Role Auth::role_of(std::string_view authorization) const {
  const auto digest = jobs::sha256(bearer_token(authorization));
  const std::lock_guard lock(mutex_);
  const Token* token = find(digest);
  return token == nullptr ? Role::none : token->role;
}

std::optional<Auth::Stamp> Auth::stamp_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return Stamp{status.st_ino, static_cast<std::uint64_t>(status.st_size),
               status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Auth::PollResult Auth::poll() {
  // The stamp is taken before the content: a change in between is seen by the next poll.
  const auto stamp = stamp_of(options_.token_file);
  {
    const std::lock_guard lock(mutex_);
    if (stamp == stamp_) return {Poll::unchanged, tokens_.size(), {}};
  }
  auto tokens = load(options_.token_file);
  const std::lock_guard lock(mutex_);
  stamp_ = stamp;
  if (!tokens) {
    ++counts_.reload_failures;
    return {Poll::failed, tokens_.size(), std::move(tokens.error())};
  }
  ++counts_.reloads;
  tokens_ = std::move(*tokens);
  return {Poll::reloaded, tokens_.size(), {}};
}

std::size_t Auth::token_count() const {
  const std::lock_guard lock(mutex_);
  return tokens_.size();
}

Auth::Counts Auth::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace histod::daemon::api
