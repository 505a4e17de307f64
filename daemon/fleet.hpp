// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "control/credential.hpp"
#include "control/memory_store.hpp"
#include "daemon/executor.hpp"
#include "daemon/fleet_node.hpp"

namespace histod::daemon {

/// The fleet as this daemon takes part in it, on a thread of its own: opening and closing a session may block, and
/// nobody waits for that but stop(). Without servers the same runs over a store in memory, and this node is the fleet.
class Fleet {
 public:
  struct Options {
    FleetSettings settings;
    std::chrono::milliseconds session_timeout{10'000};
    control::Credential credential;
  };

  /// Starts at once. Log and board outlive it.
  Fleet(Options options, Log& log, FleetBoard& board);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// Gives lead and membership back; returns at once.
  void leave();
  /// The same, and waits for it: three seconds at most to tell the servers, and what the resolver takes for names that
  /// are being looked up, which may be minutes where no name server answers.
  void stop();
  /// False when that is not over by then.
  [[nodiscard]] bool stop_within(std::chrono::milliseconds at_most);

 private:
  control::OpenStore opener(const Options& options);

  ThreadExecutor executor_;
  std::optional<control::MemoryServer> alone_;
  std::unique_ptr<FleetNode> node_;  ///< on the executor's thread
};

}  // namespace histod::daemon
