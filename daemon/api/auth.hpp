// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace histod::daemon::api {

/// Each of the first four may do what those before it may. A peer is another node of the fleet: it may do what `submit`
/// may, and what is between nodes, which is for nobody else. `events` may post events and do nothing else; whoever may
/// submit may post them, too.
enum class Role : std::uint8_t { none, read, submit, admin, peer, events };
std::string_view role_name(Role role);
bool may_do(Role role, Role needed);

struct Token {
  Role role = Role::none;
  std::string name;  ///< for logs; the token itself is never kept
  std::array<unsigned char, 32> sha256{};
};

/// Lines `ROLE TOKEN [NAME]`, ROLE one of read, submit, admin, peer, events; '#' starts a comment line. A token has 16
/// to 512 visible ASCII characters. On failure every error, with its line number and without the token. No token at all
/// is an error.
std::expected<std::vector<Token>, std::vector<std::string>> parse_tokens(std::string_view text);

enum class Access : std::uint8_t {
  granted,
  missing,    ///< 401: no bearer token was sent
  wrong,      ///< 401: it is not one of ours
  forbidden,  ///< 403: it is, but its role may not
  limited,    ///< 429: too many wrong ones from this address; what was sent now was not looked at
};

struct Verdict {
  Access access = Access::missing;
  Role role = Role::none;
  std::string name;                     ///< of the token, when it is one of ours
  std::chrono::seconds retry_after{0};  ///< when limited
};

/// Failed attempts by address in a sliding minute; remembers the `peers_max` addresses that failed last. An IPv6
/// address counts as its /64. Not thread-safe.
class FailureLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  FailureLimiter(std::uint64_t failures_per_minute, std::size_t peers_max);
  /// How long until `peer` may try again; zero: now.
  std::chrono::seconds wait(std::string_view peer, Clock::time_point now);
  void failed(std::string_view peer, Clock::time_point now);
  std::size_t peers() const { return by_key_.size(); }

 private:
  struct Peer {
    std::string key;
    std::deque<Clock::time_point> failures;  ///< oldest first, at most failures_per_minute_
  };
  std::uint64_t failures_per_minute_;
  std::size_t peers_max_;
  std::list<Peer> peers_;  ///< latest failure first
  std::unordered_map<std::string, std::list<Peer>::iterator> by_key_;
};

/// Who may do what. Thread-safe.
class Auth {
 public:
  using Now = std::function<std::chrono::steady_clock::time_point()>;
  struct Options {
    std::string token_file;
    std::uint64_t failures_per_minute = 10;
    std::size_t peers_max = 4'096;
  };
  struct Counts {
    std::uint64_t granted = 0, missing = 0, wrong = 0, forbidden = 0, limited = 0;
    std::uint64_t reloads = 0, reload_failures = 0;
  };
  enum class Poll : std::uint8_t { unchanged, reloaded, failed };
  struct PollResult {
    Poll poll = Poll::unchanged;
    std::size_t tokens = 0;
    std::vector<std::string> errors;  ///< when failed; the old tokens stay. Each broken state of the file is told once
  };

  /// Reads the token file; fails with every error in it.
  static std::expected<std::unique_ptr<Auth>, std::vector<std::string>> open(const Options& options, Now now = {});

  /// `authorization`: the field's value, empty when there is none. `peer`: a numeric address.
  Verdict check(std::string_view authorization, std::string_view peer, Role needed);
  /// Of who has been let in; not counted.
  Role role_of(std::string_view authorization) const;
  /// Call each second: reads the file again when its inode, size or time changed.
  PollResult poll();
  std::size_t token_count() const;
  Counts counts() const;

 private:
  struct Stamp {
    std::uint64_t inode = 0, bytes = 0;
    std::int64_t modified_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  Auth(const Options& options, Now now);
  const Token* find(const std::array<unsigned char, 32>& sha256) const;
  static std::optional<Stamp> stamp_of(const std::string& path);

  Options options_;
  Now now_;
  mutable std::mutex mutex_;
  std::vector<Token> tokens_;
  std::optional<Stamp> stamp_;
  FailureLimiter limiter_;
  Counts counts_;
};

}  // namespace histod::daemon::api
