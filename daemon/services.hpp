// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/api/auth.hpp"
#include "daemon/copies.hpp"
#include "daemon/fleet_board.hpp"
#include "daemon/jobs/engine.hpp"
#include "daemon/log.hpp"
#include "daemon/metrics.hpp"
#include "daemon/options.hpp"
#include "daemon/peers.hpp"
#include "daemon/shared_files.hpp"
#include "daemon/speeds.hpp"
#include "daemon/topology.hpp"
#include "daemon/webhooks.hpp"

namespace histod::daemon {

class Fleet;
class Worker;

/// A thing that runs in another way than it should, and why: logged once, a metric, and on the page.
struct Fallback {
  std::string what;
  std::string why;
};

/// What all workers' handlers share. Owned by the application, which outlives them; constant once they run, but for
/// what says otherwise.
struct Services {
  const Options& options;
  Log& log;
  api::Auth& auth;
  jobs::Engine& engine;
  Metrics& metrics;
  Placement placement;
  std::vector<Fallback> fallbacks;
  std::vector<std::unique_ptr<Worker>> workers;
  std::string isa;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};
  FleetBoard fleet = {};                    ///< how the fleet stands
  std::atomic<Fleet*> member{nullptr};      ///< this node's part in it; null: it has not begun
  std::unique_ptr<const Peers> peers = {};  ///< null: the other nodes are not asked
  std::string identity = {};                ///< of this node's spool; known before anybody listens
  CopyStats copies = {};
  std::unique_ptr<const Webhooks> webhooks = {};  ///< null: nobody is called
  WebhookStats webhook_stats = {};
  std::unique_ptr<SharedFiles> files = {};        ///< null: no --file-root
  std::atomic<std::uint64_t> peer_intrusions{0};  ///< requests at the nodes' own door by whoever is none
  Speeds speeds = {};
  SpreadStats spread = {};
};

}  // namespace histod::daemon
