// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/election.hpp"
#include "control/executor.hpp"
#include "control/inspection.hpp"
#include "control/membership.hpp"
#include "control/paths.hpp"
#include "control/session.hpp"
#include "control/store.hpp"
#include "daemon/fleet_board.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/log.hpp"

namespace histod::daemon {

struct FleetSettings {
  std::vector<std::string> servers;  ///< to be shown; empty: the node is alone
  std::string root = "/histod";
  control::Member self;
  std::uint64_t min_nodes = 1;
  std::chrono::milliseconds inspect_every{15'000};  ///< the leader, all znodes, when there are few; 0: never
};

/// What a member does for its fleet. On the executor's thread.
class FleetTask {
 public:
  virtual ~FleetTask() = default;
  /// Once, when the znodes of the fleet are there.
  virtual void start() = 0;
  /// Each second from then on.
  virtual void tick() = 0;
};
/// What such a task works with, and does not outlive.
struct FleetParts {
  control::Session& session;
  const control::Paths& paths;
  const control::Membership& membership;
  const control::Election& election;
};

/// A node's part in its fleet: keeps it in session, in the list of members and in line for the lead; says each change
/// once in the log, and shows on the board how things stand. Whatever is refused is tried again each second. All on
/// the executor's thread; its end is the node's leaving, at once if the servers can be reached.
class FleetNode {
 public:
  using NowMs = std::function<std::int64_t()>;  ///< since 1970
  using MakeTask = std::function<std::unique_ptr<FleetTask>(const FleetParts&)>;

  FleetNode(control::Executor& executor, control::OpenStore open, FleetSettings settings, Log& log, FleetBoard& board,
            NowMs now, const MakeTask& make_task = {});
  ~FleetNode();
  FleetNode(const FleetNode&) = delete;
  FleetNode& operator=(const FleetNode&) = delete;

  void start();

 private:
  void hear(control::SessionState state);
  void lay_out();
  void laid_out(std::error_code error);
  void tick();
  void refresh();
  FleetSnapshot look() const;
  std::string trouble() const;
  void tell(const FleetSnapshot& before, const FleetSnapshot& now);
  void tell_state(const FleetSnapshot& now);
  void tell_leader(const FleetSnapshot& before, const FleetSnapshot& now);
  void tell_members(const FleetSnapshot& before, const FleetSnapshot& now);
  void tell_alert();
  void inspect();
  void inspected(const control::Inspection::Intruders& intruders);
  void say(LogLevel level, std::string_view message, LogFields fields);
  void publish(FleetSnapshot snapshot);

  control::Executor& executor_;
  const FleetSettings settings_;
  const control::Paths paths_;
  Log& log_;
  FleetBoard& board_;
  NowMs now_;
  std::shared_ptr<const FleetSnapshot> shown_;
  std::string alert_said_;
  bool laying_out_ = false, set_up_ = false;
  std::uint64_t laid_out_session_ = 0;  ///< number of the session in which the layout was last made
  std::error_code layout_error_;
  std::uint64_t elections_ = 0;
  std::int32_t won_epoch_ = 0;
  control::Session session_;
  control::Membership membership_;
  control::Election election_;
  control::LeaderObserver observer_;
  control::Inspection inspection_;
  bool inspecting_ = false;
  control::Executor::Clock::time_point inspect_next_{};
  control::Inspection::Intruders intruders_;
  std::uint64_t intrusions_ = 0;
  std::unique_ptr<FleetTask> task_;  ///< null: it is a member, and no more
  control::Lifetime lifetime_;
};

}  // namespace histod::daemon
