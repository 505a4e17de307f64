// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/state_json.hpp"

#include <algorithm>
#include <numeric>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/log.hpp"

namespace histod::daemon::streams {

namespace json = boost::json;

namespace {

constexpr double k_ticks_per_second = 90'000, k_ns_per_second = 1e9;

json::object packets_json(const StreamSnapshot& s) {
  const net::rtp::SequenceStats& sequence = s.received.sequence;
  return {{"received", sequence.received},
          {"lost", sequence.lost},
          {"missing", sequence.missing},
          {"reordered", sequence.reordered},
          {"duplicated", sequence.duplicates},
          {"late", sequence.late + s.received.stale_packets},
          {"stray", sequence.strays},
          {"malformed", std::accumulate(s.received.faults.begin(), s.received.faults.end(), std::uint64_t{0})},
          {"dropped", s.dropped},
          {"sent", s.sent},
          {"send_failed", s.send_failed}};
}

json::object faults_json(const StreamSnapshot& s) {
  json::object out;
  for (std::size_t i = 0; i < net::rtp::k_faults; ++i)
    if (s.received.faults[i] > 0) out[net::rtp::name_of(static_cast<net::rtp::Fault>(i))] = s.received.faults[i];
  return out;
}

json::object port_json(const PortFaults& port) {
  json::object out;
  port.each([&](std::string_view name, std::uint64_t count) { out[name] = count; });
  return out;
}

json::object format_json(const net::rtp::VideoFormat& format) {
  return {{"sampling", net::rtp::name_of(format.sampling)},
          {"depth", format.depth},
          {"width", format.width},
          {"height", format.height},
          {"interlaced", format.interlaced}};
}

json::object delay_json(const DelayHistogram& delays) {
  const auto seconds = [&](unsigned permille) -> json::value {
    if (delays.total() == 0) return nullptr;
    return static_cast<double>(delays.at_permille(permille)) / k_ns_per_second;
  };
  return {{"p50", seconds(500)}, {"p99", seconds(990)}, {"p999", seconds(999)}};
}

void add_running(json::object& out, const StreamSnapshot& s, const compute::video::LiveOptions& live) {
  if (s.heard) {
    out["ssrc"] = s.ssrc;
    out["payload_type"] = s.payload_type;
  }
  out["format"] = format_json(s.format);
  out["packets"] = packets_json(s);
  out["faults"] = faults_json(s);
  out["port"] = port_json(s.port);
  out["frames"] = json::object{{"whole", s.frames_whole}, {"partial", s.frames_partial}};
  out["rate"] = json::object{{"packets_per_second", s.packets_per_second},
                             {"frames_per_second", s.frames_per_second},
                             {"bits_per_second", s.bits_per_second}};
  out["jitter_seconds"] = s.received.packet_jitter_ticks / k_ticks_per_second;
  out["frame_jitter_seconds"] = s.received.picture_jitter_ticks / k_ticks_per_second;
  out["delay_seconds"] = delay_json(s.recent_delays);
  // What was asked for holds; the thread may not have said so yet.
  const bool window = live.smoothing == compute::video::Smoothing::window;
  const std::uint32_t frames = window ? live.frames : 1u << live.shift;
  out["window"] = json::object{{"frames", frames}, {"filled", std::min(frames, s.window_filled)}};
  out["changes"] = json::object{{"ssrc", s.received.sequence.ssrc_changes},
                                {"restarts", s.received.sequence.restarts},
                                {"format", s.format_changes},
                                {"scene", s.scene_cuts}};
}

}  // namespace

json::object state_json(const StreamRecord& record, bool whole) {
  const StreamRecord::Status status = record.status();
  const StreamSnapshot s = whole ? record.board.read() : record.board.read_short();
  const bool failed = !status.error.empty();
  json::object out{{"name", status.config.name},
                   {"config", config_json(status.config)},
                   {"state", name_of(failed ? StreamState::failed : s.state)},
                   {"since", format_time(failed ? status.since_ms : s.since_ms)}};
  if (failed) {
    out["error"] = status.error;
    return out;
  }
  out["local"] = status.local;
  add_running(out, s, status.config.live);
  out["core"] = json::object{{"cpu", status.cpu < 0 ? json::value(nullptr) : json::value(status.cpu)},
                             {"busy", s.core_busy},
                             {"quota", k_core_quota}};
  if (!whole) return out;
  out["lut_digest"] = "sha-256=" + jobs::sha256_hex(compute::canonical_bytes(s.lut));
  out["histogram"] =
      json::object{{"levels", s.counts.size()}, {"counts", json::array(s.counts.begin(), s.counts.end())}};
  out["lut"] = json::array(s.lut.begin(), s.lut.end());
  return out;
}

}  // namespace histod::daemon::streams
