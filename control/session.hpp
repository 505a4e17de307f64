// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "control/executor.hpp"
#include "control/store.hpp"

namespace histod::control {

/// CONNECTING --> CONNECTED <--> SUSPENDED --> LOST --> CONNECTED, with a new session
///
/// CONNECTED: the server has answered lately. SUSPENDED: it has not; the session may live, but whoever leads stops now.
/// LOST: the session is over; its ephemerals and watches are gone or will be, and everything is to be set up anew.
enum class SessionState { connecting, connected, suspended, lost };
std::string_view state_name(SessionState state);  ///< in capitals

/// Keeps this node in session. ZooKeeper tells of an expired session only those whom it reaches, so a clock runs here:
/// the session counts as alive for its timeout from the moment at which the last answered heartbeat was *sent*. The
/// server counts from when it arrived, which is later: it gives nothing away before this node knows of its loss,
/// however long messages take, and though the clocks are never compared, if only they run equally fast.
///
/// Lives on the executor's thread. Listeners stay for as long as the session object does.
class Session {
 public:
  using Listener = std::move_only_function<void(SessionState)>;
  struct Counts {
    std::uint64_t sessions = 0, suspensions = 0, losses = 0;
  };

  Session(Executor& executor, OpenStore open, std::chrono::milliseconds reopen_ms = std::chrono::seconds(1));
  ~Session();  ///< ends the session in good order: its ephemerals go at once
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  /// As the clock has it, which may be ahead of what listeners have heard: a process that was stopped asks here first.
  SessionState state() const;
  /// Of the present session; while there is none, one that answers session_lost. Ask for it at each use.
  Store& store() { return *store_; }
  Executor& executor() { return executor_; }
  /// Counts this node's sessions: what was set up in another one is gone.
  std::uint64_t number() const { return counts_.sessions; }
  std::int64_t id() const { return id_; }  ///< as in Stat::ephemeral_owner
  std::chrono::milliseconds timeout() const { return timeout_; }
  /// Hears of every change from now on, and of the present state if there is a connection already.
  void listen(Listener listener);
  /// Why there is no session: unavailable or auth_failed; or nothing, when the servers only do not answer.
  std::error_code trouble() const { return trouble_; }
  Counts counts() const { return counts_; }
  /// A callback that does nothing once the session object is gone.
  template <class F>
  auto guard(F callback) const {
    return object_.guard(std::move(callback));
  }
  /// Runs it in a little while: to try again what got no answer.
  void later(Executor::Task task);

 private:
  void open();
  void close();
  void hear(const StoreEvent& event);
  void beat();
  void tick();
  void end_soon();
  void lose();
  void change(SessionState state);

  Executor& executor_;
  const OpenStore open_;
  const std::chrono::milliseconds reopen_ms_;
  std::vector<Listener> listeners_;
  SessionState state_ = SessionState::connecting;
  bool up_ = false, beating_ = false, ticking_ = false;
  Executor::Clock::time_point lease_end_{};
  std::chrono::milliseconds timeout_{0};
  std::int64_t id_ = 0;
  std::error_code trouble_;
  Counts counts_;
  std::unique_ptr<Store> store_;
  Lifetime lifetime_;  ///< of callbacks that belong to the present session
  Lifetime object_;
};

}  // namespace histod::control
