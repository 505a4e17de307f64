// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/telemetry/stored_event.hpp"

namespace histod::daemon::telemetry {

/// What is read from behind a cursor.
struct EventsRead {
  std::vector<EventPtr> events;
  std::uint64_t next = 0;    ///< the cursor behind all that was looked at
  std::uint64_t missed = 0;  ///< at least so many behind the cursor were there no more
};

/// How far a cursor is behind.
struct EventLag {
  std::uint64_t events = 0, bytes = 0;
};

/// The latest events, oldest first, bounded by number and bytes. Not thread-safe.
class EventRing {
 public:
  struct Options {
    std::size_t events_max = 8'192;
    std::uint64_t bytes_max = 16u << 20;
  };
  explicit EventRing(const Options& options) : options_(options) {}

  /// Its sequence is higher than all before it; its key is not there (asserted).
  void add(EventPtr event);
  /// Sequences up to this one belong to runs of the program before this one.
  void begin_run(std::uint64_t last) { run_began_ = last; }
  bool contains(std::string_view key) const { return keys_.contains(key); }

  /// Those behind `after` that the filter takes, as many as fit, but at least one.
  EventsRead read(std::uint64_t after, std::size_t events_max, std::size_t bytes_max, const EventFilter& filter) const;
  /// The last ones that the filter takes.
  EventsRead read_last(std::size_t events_max, std::size_t bytes_max, const EventFilter& filter) const;
  /// Those of one origin, behind `after` by its own count.
  std::vector<EventPtr> read_origin(std::string_view origin, std::uint64_t after, std::size_t events_max,
                                    std::size_t bytes_max) const;
  EventLag lag(std::uint64_t after) const;

  std::size_t events() const { return slots_.size(); }
  std::uint64_t bytes() const { return bytes_in_ - bytes_out_; }
  std::uint64_t evicted() const { return evicted_; }

 private:
  struct Slot {
    EventPtr event;
    std::uint64_t bytes_before;  ///< of all that were added before it
  };
  using Slots = std::deque<Slot>;
  Slots::const_iterator behind(std::uint64_t after) const;
  void evict();

  const Options options_;
  Slots slots_;
  std::unordered_set<std::string_view> keys_;  ///< views into the events
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  std::uint64_t evicted_ = 0, evicted_last_ = 0;  ///< how many, and the last one's sequence
  std::uint64_t run_began_ = 0;
};

}  // namespace histod::daemon::telemetry
