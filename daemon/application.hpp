// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

#include "compute/arena.hpp"
#include "daemon/certificate.hpp"
#include "daemon/fleet.hpp"
#include "daemon/jobs/engine.hpp"
#include "daemon/jobs/spool.hpp"
#include "daemon/mailbox.hpp"
#include "daemon/services.hpp"
#include "daemon/signals.hpp"
#include "daemon/topology.hpp"
#include "net/http/server.hpp"

namespace histod::daemon {

/// How many workers, arenas and CPUs for streams were asked for.
PlacementOptions placement_options(const Options& options);

/// The composition root: every object of the daemon, in the order of their lives. Construction starts everything and
/// throws StartFailure when something needed cannot be had; run() serves until a signal says stop.
class Application {
 public:
  struct StartFailure {
    std::string what;  ///< one sentence
  };

  Application(const Options& options, std::string isa, std::vector<Fallback> fallbacks);
  ~Application();

  /// Returns the exit code.
  int run();

 private:
  void open_events();
  void close_events();
  void tell_fallback(const Fallback& fallback);
  void look_at_expiry();
  void start_workers();
  void open_listeners();
  void join_fleet();
  void accept(int fd);
  void note_fallbacks();
  void tick();
  bool healthy() const;
  void reload_tokens();
  void drain();
  void end();
  bool wait_until(std::chrono::steady_clock::time_point deadline, const std::function<bool()>& condition);

  Options options_;
  Log log_;
  Signals signals_;
  Mailbox mailbox_;                                      ///< of the main thread
  std::unique_ptr<api::Auth> auth_;                      ///< who may do what
  std::unique_ptr<jobs::Disk> disk_;                     ///< the spool's directory
  jobs::Spool spool_;                                    ///< jobs on stable storage
  std::optional<Certificate> certificate_;               ///< TLS, when configured
  std::vector<std::unique_ptr<compute::Arena>> arenas_;  ///< one for each NUMA node
  Placement placement_;                                  ///< which CPU does what
  Metrics metrics_;
  jobs::Engine engine_;
  Services services_;                                            ///< what handlers share; owns the workers
  std::vector<std::unique_ptr<net::http::Listener>> listeners_;  ///< on the first worker's loop
  std::unique_ptr<Fleet> fleet_;                                 ///< this node's part in it
  std::size_t next_worker_ = 0;
  std::chrono::steady_clock::time_point expiry_next_{};
};

}  // namespace histod::daemon
