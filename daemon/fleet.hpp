// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "control/credential.hpp"
#include "control/memory_store.hpp"
#include "daemon/event_pump.hpp"
#include "daemon/executor.hpp"
#include "daemon/fleet_node.hpp"
#include "daemon/fleet_work.hpp"

namespace histod::daemon {

/// The fleet as this daemon takes part in it, on a thread of its own: opening and closing a session may block, and
/// nobody waits for that but stop(). Without servers the same runs over a store in memory, and this node is the fleet.
class Fleet {
 public:
  struct Options {
    FleetSettings settings;
    std::chrono::milliseconds session_timeout{10'000};
    control::Credential credential;
    FleetWork::Settings work;
  };
  using MakeLink = std::function<std::unique_ptr<PeerLink>(control::Executor&)>;
  using MakeCaller = std::function<std::unique_ptr<WebhookCaller>(control::Executor&)>;

  using MakePump = std::function<std::unique_ptr<EventPump>(control::Executor&)>;

  /// Starts at once. Log, board and engine outlive stop(), and the engine has stopped before this is destroyed: until
  /// then its replies come here. What makes link, caller and pump is called on the fleet's thread. Without the last one
  /// nobody is told of events.
  Fleet(Options options, Log& log, FleetBoard& board, jobs::Engine& engine, MakeLink make_link, MakeCaller make_caller,
        MakePump make_pump = {});
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// Any thread: runs work(coordinator, reply) on the fleet's. 503 to whoever comes when this node has left.
  template <class Work>
  void ask(jobs::Reply<jobs::DatasetStatus> reply, Work work) {
    executor_.post([this, reply = std::move(reply), work = std::move(work)]() mutable {
      if (coordinator_ == nullptr)
        return reply(std::unexpected(jobs::problem(503, "draining", "this node is leaving the fleet")));
      work(*coordinator_, std::move(reply));
    });
  }

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
  // On the executor's thread:
  std::optional<control::MemoryServer> alone_;
  Coordinator* coordinator_ = nullptr;  ///< the node's
  std::unique_ptr<EventPump> pump_;
  std::unique_ptr<FleetNode> node_;
};

}  // namespace histod::daemon
