// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "daemon/fleet_snapshot.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/log.hpp"
#include "daemon/telemetry/bus.hpp"
#include "daemon/telemetry/fleet_events.hpp"
#include "daemon/telemetry/flood_gate.hpp"

namespace histod::daemon::telemetry {

/// What this daemon itself publishes. Thread-safe, and bounded: whatever is done to the daemon, a few events a second
/// come of it. Texts of others are cut and made valid UTF-8 here.
class Sources final : public LogTap {
 public:
  explicit Sources(Bus& bus) : bus_(bus) {}

  /// io.histod.log.*: each line at info and above.
  void line(LogLevel level, std::string_view message, LogFields fields) override;
  /// io.histod.secops.KIND. `about` is what the flood comes from, a peer's address say.
  void security(std::string_view kind, Severity severity, std::string_view about, std::string_view message,
                boost::json::object data = {});
  /// io.histod.job.VERB: accepted, started, done, failed or cancelled.
  void job(const jobs::JobRecord& record, std::string_view verb);
  /// io.histod.stream.KIND, of the live stream of that name.
  void stream(std::string_view kind, Severity severity, std::string_view name, std::string_view message,
              boost::json::object data = {});
  /// io.histod.zookeeper.* and io.histod.cluster.*; calls come one after the other.
  void fleet(const FleetSnapshot& before, const FleetSnapshot& now);
  /// Each second: tells what was held back.
  void tick();

 private:
  void tell(FloodGate& gate, const std::string& key, Event event);

  Bus& bus_;
  FloodGate log_{{.burst = 16}}, security_{{.burst = 1}}, jobs_{{.burst = 20}}, streams_{{.burst = 4}};
  FleetEvents fleet_;
};

}  // namespace histod::daemon::telemetry
