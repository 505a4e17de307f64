// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "compute/rule.hpp"
#include "daemon/streams/delay_histogram.hpp"
#include "net/rtp/format.hpp"
#include "net/rtp/receiver.hpp"

namespace histod::daemon::streams {

enum class StreamState : std::uint8_t {
  waiting,  ///< the port is open, and nothing came yet
  running,
  silent,  ///< something came, and for a while nothing does
  failed,  ///< the port could not be opened
};
std::string_view name_of(StreamState state);

/// What went wrong at a stream's port: net::udp::PacketStats has what each means.
struct PortFaults {
  std::uint64_t starved = 0, truncated = 0, malformed = 0, fragments = 0, foreign = 0, errors = 0, uncut = 0;

  /// Calls tell(name, count) for each.
  void each(const auto& tell) const {
    tell("starved", starved);
    tell("truncated", truncated);
    tell("malformed", malformed);
    tell("fragments", fragments);
    tell("foreign", foreign);
    tell("errors", errors);
    tell("uncut", uncut);
  }
};

/// What a stream says of itself: a copy, of one moment.
struct StreamSnapshot {
  StreamState state = StreamState::waiting;
  std::int64_t since_ms = 0;  ///< since 1970: when the state began
  net::rtp::VideoFormat format;
  bool heard = false;  ///< of a source; then `ssrc` and `payload_type` say which
  std::uint32_t ssrc = 0;
  std::uint8_t payload_type = 0;
  net::rtp::ReceiverStats received;  ///< of all receivers that there were, the gauges of the last
  std::uint64_t dropped = 0;         ///< by kernel or device, before they were seen here
  std::uint64_t sent = 0, send_failed = 0;
  std::uint64_t leases = 0;
  PortFaults port;
  std::uint64_t frames_whole = 0, frames_partial = 0;
  std::uint64_t format_changes = 0, scene_cuts = 0;
  double packets_per_second = 0, frames_per_second = 0, bits_per_second = 0;
  DelayHistogram delays;         ///< since the start
  DelayHistogram recent_delays;  ///< of the last 10 to 20 seconds
  double core_busy = 0;          ///< share of one core
  std::uint32_t window_frames = 0, window_filled = 0;
  std::vector<std::uint64_t> counts;  ///< what the table is made of
  compute::Lut lut;
};

/// Where a stream's thread leaves what it says, and others read it. The writer never waits: while somebody reads it
/// keeps what it has for the next time.
class StreamBoard {
 public:
  /// The stream's thread only. `snapshot` is then what was there before, whose memory is to be used again.
  void publish(StreamSnapshot& snapshot) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) std::swap(snapshot_, snapshot);
  }
  StreamSnapshot read() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  /// Without its histogram and table.
  StreamSnapshot read_short() const;

 private:
  mutable std::mutex mutex_;
  StreamSnapshot snapshot_;
};

}  // namespace histod::daemon::streams
