// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/flood_gate.hpp"

#include <utility>

namespace histod::daemon::telemetry {

namespace {

constexpr std::chrono::seconds k_flood_window{1};

Event counted_event(Event event, std::uint64_t count) {
  if (boost::json::object* data = event.data.if_object(); data != nullptr && count > 1) (*data)["count"] = count;
  return event;
}

}  // namespace

std::optional<Event> FloodGate::pass(const std::string& key, Event event, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const bool fits = entries_.size() < options_.keys_max || entries_.contains(key);
  Entry& entry = entries_.try_emplace(fits ? key : std::string(), Entry{.began = now, .latest = {}}).first->second;
  if (now - entry.began >= k_flood_window) {
    entry.began = now;
    entry.told = 0;
  }
  if (entry.told >= options_.burst) {
    ++entry.held;
    entry.latest = std::move(event);
    return std::nullopt;
  }
  ++entry.told;
  return counted_event(std::move(event), 1 + std::exchange(entry.held, 0));
}

std::vector<Event> FloodGate::due(Clock::time_point now) {
  std::vector<Event> out;
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (now - entry->second.began < k_flood_window) {
      ++entry;
    } else if (entry->second.held == 0) {
      entry = entries_.erase(entry);
    } else {
      out.push_back(counted_event(std::move(entry->second.latest), std::exchange(entry->second.held, 0)));
      entry->second.began = now;
      entry->second.told = 1;
      ++entry;
    }
  }
  return out;
}

}  // namespace histod::daemon::telemetry
