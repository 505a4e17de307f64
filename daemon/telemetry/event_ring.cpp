// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/event_ring.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace histod::daemon::telemetry {

void EventRing::add(EventPtr event) {
  assert(slots_.empty() || slots_.back().event->sequence < event->sequence);
  const bool is_new = keys_.insert(event->key).second;
  assert(is_new);
  static_cast<void>(is_new);
  const std::uint64_t before = bytes_in_;
  bytes_in_ += event->bytes();
  slots_.push_back({std::move(event), before});
  while (slots_.size() > options_.events_max || (bytes() > options_.bytes_max && slots_.size() > 1)) evict();
}

void EventRing::evict() {
  const EventPtr& oldest = slots_.front().event;
  keys_.erase(oldest->key);
  bytes_out_ += oldest->bytes();
  evicted_last_ = oldest->sequence;
  ++evicted_;
  slots_.pop_front();
}

EventRing::Slots::const_iterator EventRing::behind(std::uint64_t after) const {
  return std::ranges::upper_bound(slots_, after, {}, [](const Slot& slot) { return slot.event->sequence; });
}

EventsRead EventRing::read(std::uint64_t after, std::size_t events_max, std::size_t bytes_max,
                           const EventFilter& filter) const {
  EventsRead out;
  out.next = after;
  if (after < evicted_last_) out.missed = evicted_last_ > run_began_ ? evicted_last_ - std::max(after, run_began_) : 1;
  std::size_t bytes = 0;
  for (auto slot = behind(after); slot != slots_.end(); ++slot) {
    const StoredEvent& event = *slot->event;
    if (filter.takes(event)) {
      const bool fits = out.events.size() < events_max && bytes + event.json.size() <= bytes_max;
      if (!fits && (!out.events.empty() || events_max == 0)) break;
      bytes += event.json.size();
      out.events.push_back(slot->event);
    }
    out.next = event.sequence;
  }
  return out;
}

EventsRead EventRing::read_last(std::size_t events_max, std::size_t bytes_max, const EventFilter& filter) const {
  EventsRead out;
  out.next = slots_.empty() ? run_began_ : slots_.back().event->sequence;
  std::size_t bytes = 0;
  for (auto slot = slots_.rbegin(); slot != slots_.rend() && out.events.size() < events_max; ++slot) {
    if (!filter.takes(*slot->event)) continue;
    bytes += slot->event->json.size();
    if (bytes > bytes_max && !out.events.empty()) break;
    out.events.push_back(slot->event);
  }
  std::ranges::reverse(out.events);
  return out;
}

std::vector<EventPtr> EventRing::read_origin(std::string_view origin, std::uint64_t after, std::size_t events_max,
                                             std::size_t bytes_max) const {
  std::vector<EventPtr> out;
  std::size_t bytes = 0;
  for (const Slot& slot : slots_) {
    const StoredEvent& event = *slot.event;
    if (event.origin_sequence <= after || event.origin != origin) continue;
    bytes += event.json.size();
    if (!out.empty() && (out.size() == events_max || bytes > bytes_max)) break;
    out.push_back(slot.event);
  }
  return out;
}

EventLag EventRing::lag(std::uint64_t after) const {
  const auto first = behind(after);
  if (first == slots_.end()) return {};
  return {static_cast<std::uint64_t>(slots_.end() - first), bytes_in_ - first->bytes_before};
}

}  // namespace histod::daemon::telemetry
