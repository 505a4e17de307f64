// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/event_rates.hpp"

#include <algorithm>
#include <cmath>

namespace histod::daemon::api {

void EventRates::forget_full(Clock::time_point now) {
  constexpr std::chrono::seconds k_until_full{k_burst_events / k_events_per_s};
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.filled >= k_until_full; });
  if (buckets_.size() >= k_tokens_max) buckets_.clear();
}

std::chrono::seconds EventRates::take(const std::string& token_sha256, std::uint64_t events) {
  const auto now = now_();
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= k_tokens_max && !buckets_.contains(token_sha256)) forget_full(now);
  Bucket& bucket = buckets_.try_emplace(token_sha256, Bucket{.filled = now}).first->second;
  const double since_s = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.filled = now;
  bucket.events = std::min(double{k_burst_events}, bucket.events + since_s * k_events_per_s);
  const double missing = static_cast<double>(events) - bucket.events;
  if (missing > 0) return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(missing / k_events_per_s)));
  bucket.events -= static_cast<double>(events);
  return std::chrono::seconds(0);
}

}  // namespace histod::daemon::api
