// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <numeric>
#include <string>

#include "daemon/node_metrics.hpp"
#include "daemon/services.hpp"

namespace histod::daemon {

namespace {

using Emit = Metrics::Emit;
using streams::DelayHistogram;
using streams::StreamSnapshot;

constexpr unsigned k_octave_first = 10, k_octave_last = 30;  ///< from a microsecond to a second

template <class Each>
void for_each_stream(const Services& s, Each each) {
  if (!s.streams) return;
  for (const auto& record : s.streams->list()) each(record->status().config.name, record->board.read_short());
}

std::function<void(const Emit&)> per_stream(const Services& s, double (*value)(const StreamSnapshot&)) {
  return [&s, value](const Emit& emit) {
    for_each_stream(s,
                    [&](const std::string& name, const StreamSnapshot& now) { emit({{"stream", name}}, value(now)); });
  };
}

MetricHistogram::Snapshot histogram_of(const DelayHistogram& delays) {
  MetricHistogram::Snapshot out;
  std::uint64_t below = 0;
  for (unsigned octave = k_octave_first; octave <= k_octave_last; ++octave) {
    const std::uint64_t count = delays.below_octave(octave);
    out.bounds.push_back(static_cast<double>(1ull << octave) / 1e9);
    out.counts.push_back(count - std::exchange(below, count));
  }
  out.counts.push_back(delays.total() - below);
  out.sum = static_cast<double>(delays.sum_ns()) / 1e9;
  return out;
}

}  // namespace

void declare_stream_metrics(Services& services) {
  Metrics& m = services.metrics;
  const Services& s = services;
  m.counter("histod_stream_packets_total", "Packets of live streams by what became of them.", [&s](const Emit& emit) {
    for_each_stream(s, [&](const std::string& name, const StreamSnapshot& now) {
      const auto tell = [&](const char* outcome, std::uint64_t count) {
        emit({{"stream", name}, {"outcome", outcome}}, static_cast<double>(count));
      };
      const net::rtp::SequenceStats& sequence = now.received.sequence;
      tell("received", sequence.received);
      tell("lost", sequence.lost);
      tell("reordered", sequence.reordered);
      tell("duplicated", sequence.duplicates);
      tell("late", sequence.late + now.received.stale_packets);
      tell("stray", sequence.strays);
      tell("malformed", std::accumulate(now.received.faults.begin(), now.received.faults.end(), std::uint64_t{0}));
      tell("dropped", now.dropped);
      tell("sent", now.sent);
      tell("send_failed", now.send_failed);
    });
  });
  m.counter("histod_stream_port_faults_total", "What went wrong at the ports of live streams.", [&s](const Emit& emit) {
    for_each_stream(s, [&](const std::string& name, const StreamSnapshot& now) {
      now.port.each([&](const char* fault, std::uint64_t count) {
        emit({{"stream", name}, {"fault", fault}}, static_cast<double>(count));
      });
    });
  });
  m.counter("histod_stream_frames_total", "Frames of live streams, whole or with pixels missing.",
            [&s](const Emit& emit) {
              for_each_stream(s, [&](const std::string& name, const StreamSnapshot& now) {
                emit({{"stream", name}, {"outcome", "whole"}}, static_cast<double>(now.frames_whole));
                emit({{"stream", name}, {"outcome", "partial"}}, static_cast<double>(now.frames_partial));
              });
            });
  m.histogram("histod_stream_delay_seconds", "From a packet's arrival to its being sent on.",
              [&s](const Metrics::EmitHistogram& emit) {
                for_each_stream(s, [&](const std::string& name, const StreamSnapshot& now) {
                  emit({{"stream", name}}, histogram_of(now.delays));
                });
              });
  m.gauge("histod_stream_core_busy_ratio", "How busy a stream's thread is, of one core.",
          per_stream(s, [](const StreamSnapshot& now) { return now.core_busy; }));
  m.gauge("histod_stream_jitter_seconds", "Interarrival jitter of RFC 3550, over all packets.",
          per_stream(s, [](const StreamSnapshot& now) { return now.received.packet_jitter_ticks / 90'000.0; }));
  m.gauge("histod_streams", "Live streams by state.", [&s](const Emit& emit) {
    if (!s.streams) return;
    std::map<std::string_view, unsigned> states;
    for (const auto& record : s.streams->list())
      ++states[name_of(record->status().error.empty() ? record->board.read_short().state
                                                      : streams::StreamState::failed)];
    using enum streams::StreamState;
    for (const auto state : {waiting, running, silent, failed})
      emit({{"state", std::string(name_of(state))}}, states[name_of(state)]);
  });
}

}  // namespace histod::daemon
