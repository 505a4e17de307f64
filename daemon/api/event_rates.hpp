// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace histod::daemon::api {

/// How many events each token may post: so many a second, and more at once after a pause. Thread-safe.
class EventRates {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;
  static constexpr std::uint64_t k_events_per_s = 1'000, k_burst_events = 5'000;
  static constexpr std::size_t k_tokens_max = 4'096;  ///< remembered; a token that is forgotten starts anew

  explicit EventRates(Now now = Clock::now) : now_(std::move(now)) {}

  /// Zero: they may be posted now, and are counted. Else after how long they may, and nothing is counted.
  std::chrono::seconds take(const std::string& token_sha256, std::uint64_t events);

 private:
  struct Bucket {
    double events = k_burst_events;
    Clock::time_point filled;
  };
  void forget_full(Clock::time_point now);

  const Now now_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace histod::daemon::api
