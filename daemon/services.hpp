// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/api/auth.hpp"
#include "daemon/api/event_rates.hpp"
#include "daemon/api/feed.hpp"
#include "daemon/api/tickets.hpp"
#include "daemon/copies.hpp"
#include "daemon/event_pump.hpp"
#include "daemon/fallback.hpp"
#include "daemon/fleet_board.hpp"
#include "daemon/jobs/engine.hpp"
#include "daemon/log.hpp"
#include "daemon/metrics.hpp"
#include "daemon/options.hpp"
#include "daemon/peers.hpp"
#include "daemon/shared_files.hpp"
#include "daemon/speeds.hpp"
#include "daemon/streams/streams.hpp"
#include "daemon/telemetry/bus.hpp"
#include "daemon/telemetry/sources.hpp"
#include "daemon/topology.hpp"
#include "daemon/webhooks.hpp"

namespace histod::daemon {

class Fleet;
class Worker;

/// Of events; written by all workers.
struct EventStats {
  std::atomic<std::uint64_t> refused{0};  ///< requests of which no event was taken, for what they say
  std::atomic<std::uint64_t> limited{0};  ///< for how much they say
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
  std::unique_ptr<SharedFiles> files = {};          ///< null: no --file-root
  std::atomic<std::uint64_t> peer_intrusions{0};    ///< requests at the nodes' own door by whoever is none
  std::atomic<std::int64_t> certificate_ends_s{0};  ///< since 1970; 0: no TLS
  Speeds speeds = {};
  SpreadStats spread = {};
  std::unique_ptr<telemetry::Bus> events = {};       ///< never null once anybody listens
  std::unique_ptr<telemetry::Sources> sources = {};  ///< the same
  EventStats event_stats = {};
  api::FeedStats feed_stats = {};
  std::string event_hmac_key = {};  ///< empty: who tells events needs a token
  PumpStats pump_stats = {};
  api::EventRates event_rates{};
  api::TicketStore tickets{};
  std::unique_ptr<streams::Streams> streams = {};  ///< never null once anybody listens
};

}  // namespace histod::daemon
