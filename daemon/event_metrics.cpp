// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "daemon/node_metrics.hpp"
#include "daemon/services.hpp"

namespace histod::daemon {

void declare_event_metrics(Services& services) {
  Metrics& m = services.metrics;
  Services& s = services;
  const auto value = [&s](auto pick) {
    return std::function<double()>([&s, pick] { return static_cast<double>(pick(s.events->counts())); });
  };
  const auto stat = [&s](std::atomic<std::uint64_t> EventStats::* which) {
    return std::function<double()>([&s, which] { return static_cast<double>((s.event_stats.*which).load()); });
  };
  using Counts = const telemetry::Bus::Counts&;
  m.counter("histod_events_published_total", "Events that this node published.",
            value([](Counts c) { return c.published; }));
  m.counter("histod_events_received_total", "Events that other nodes told.",
            value([](Counts c) { return c.received; }));
  m.counter("histod_events_duplicates_total", "Events that were there already.",
            value([](Counts c) { return c.duplicates; }));
  m.counter("histod_events_refused_total", "Requests of which no event was taken, for what they say.",
            stat(&EventStats::refused));
  m.counter("histod_events_limited_total", "Requests of which no event was taken, as there were too many a second.",
            stat(&EventStats::limited));
  m.counter("histod_events_spooled_total", "Events and marks that were written to the spool.",
            value([](Counts c) { return c.spool.written; }));
  m.counter("histod_events_spool_failures_total", "Events and marks that could not be written to the spool.",
            value([](Counts c) { return c.spool.failed; }));
  m.counter("histod_events_told_total", "Events that this node told, once for each node that has them.",
            std::function<double()>([&s] { return static_cast<double>(s.pump_stats.told.load()); }));
  m.counter("histod_events_tell_failures_total", "Messages with events that another node did not take; sent again.",
            std::function<double()>([&s] { return static_cast<double>(s.pump_stats.failures.load()); }));
  m.counter("histod_events_evicted_total", "Events that went out of the ring to make room.",
            value([](Counts c) { return c.evicted; }));
  m.counter("histod_feed_messages_total", "Messages that readers of the live feed were sent.",
            std::function<double()>([&s] { return static_cast<double>(s.feed_stats.messages.load()); }));
  m.counter("histod_feed_slow_readers_total", "Readers of the live feed that were closed: they did not keep up.",
            std::function<double()>([&s] { return static_cast<double>(s.feed_stats.slow.load()); }));
  m.gauge("histod_event_ring_events", "Events in the ring.", value([](Counts c) { return c.ring_events; }));
  m.gauge("histod_event_ring_bytes", "Bytes of the events in the ring.", value([](Counts c) { return c.ring_bytes; }));
}

}  // namespace histod::daemon
