// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "daemon/fleet_snapshot.hpp"
#include "daemon/telemetry/event.hpp"

namespace histod::daemon::telemetry {

/// What changes of the fleet are as events. Each node tells of its own session with ZooKeeper; of members, leaders and
/// alerts the leader tells, so that it is told once. What happens while nobody leads is told by who leads next. A node
/// that is alone by its configuration tells nothing. Used by one thread at a time.
class FleetEvents {
 public:
  std::vector<Event> changed(const FleetSnapshot& before, const FleetSnapshot& now);

 private:
  void tell_session(const FleetSnapshot& before, const FleetSnapshot& now, std::vector<Event>& out) const;
  void keep(Event event);

  std::vector<Event> kept_;  ///< until it is known who tells them
};

}  // namespace histod::daemon::telemetry
