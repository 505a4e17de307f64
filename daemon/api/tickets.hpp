// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace histod::daemon::api {

/// What a browser shows in place of its token, which it cannot send with a WebSocket: worth one use within half a
/// minute. Whoever got one may read. Thread-safe; the tickets themselves are not kept, only their digests.
class TicketStore {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;
  static constexpr std::chrono::seconds k_life{30};
  static constexpr std::size_t k_tickets_max = 1'024;  ///< unused and alive at one time

  explicit TicketStore(Now now = Clock::now) : now_(std::move(now)) {}

  /// 43 characters of base64url, random; nothing: as many as may be are out, or the kernel has no randomness.
  std::optional<std::string> issue();
  /// Whether it is one that was issued, is alive and was not used; from now on it is used.
  bool redeem(std::string_view ticket);

 private:
  void forget_old();

  const Now now_;
  std::mutex mutex_;
  std::map<std::array<unsigned char, 32>, Clock::time_point> alive_until_;  ///< by SHA-256
};

}  // namespace histod::daemon::api
