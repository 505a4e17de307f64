// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/executor.hpp"
#include "daemon/fleet_board.hpp"
#include "daemon/jobs/outcome.hpp"
#include "daemon/telemetry/bus.hpp"

namespace histod::daemon {

/// Of events that are told to other nodes.
struct PumpStats {
  std::atomic<std::uint64_t> told{0};      ///< events, once for each node that said it has them
  std::atomic<std::uint64_t> failures{0};  ///< messages that were not answered, or refused; they are sent again
};

/// How a message reaches another node, by its name as a member. Called and answered on the executor's thread, never
/// from within the call.
class EventLink {
 public:
  virtual ~EventLink() = default;
  /// The reply is what that node has by its word.
  virtual void tell(std::string node, std::string message, jobs::Reply<std::uint64_t> have) = 0;
};

/// Tells this node's own events to every other member, to each in order and none twice: it is first asked what it has,
/// and its answer is always where to go on. Who comes late gets what the ring has. All on the executor's thread.
class EventPump {
 public:
  EventPump(control::Executor& executor, telemetry::Bus& bus, const FleetBoard& board, std::unique_ptr<EventLink> link,
            PumpStats& stats);
  EventPump(const EventPump&) = delete;
  EventPump& operator=(const EventPump&) = delete;

 private:
  struct Peer {
    std::string name;
    std::optional<std::uint64_t> have;  ///< by its word; empty: it is to be asked
    bool asking = false;
    std::chrono::milliseconds pause{0};  ///< after failures
    control::Executor::Clock::time_point not_before;
  };
  void tick();
  void look();
  void woken();
  void tell_all();
  void tell(const std::string& identity, Peer& peer);
  void heard(const std::string& identity, std::uint64_t after, std::uint64_t last, std::size_t events,
             const jobs::Outcome<std::uint64_t>& have);

  control::Executor& executor_;
  telemetry::Bus& bus_;
  const FleetBoard& board_;
  PumpStats& stats_;
  std::map<std::string, Peer> peers_;  ///< by identity
  bool wake_comes_ = false;
  std::unique_ptr<EventLink> link_;
  control::Lifetime lifetime_;
  std::unique_ptr<telemetry::Bus::Subscription> subscription_;
};

}  // namespace histod::daemon
