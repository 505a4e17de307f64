// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/telemetry/event.hpp"

namespace histod::daemon::telemetry {

/// What comes in floods becomes a few events: of each key so many a second are let through, the rest is counted and
/// told as one, the latest, with the number in its data (`count`). Thread-safe.
class FloodGate {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::uint64_t burst = 1;       ///< of a key and second
    std::size_t keys_max = 1'024;  ///< those beyond count as one
  };
  explicit FloodGate(const Options& options) : options_(options) {}

  /// The event, if it is to be told now.
  std::optional<Event> pass(const std::string& key, Event event, Clock::time_point now);
  /// Call each second: what was held back for one.
  std::vector<Event> due(Clock::time_point now);

 private:
  struct Entry {
    Clock::time_point began;
    std::uint64_t told = 0, held = 0;
    Event latest;
  };
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace histod::daemon::telemetry
