// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/election.hpp"
#include "control/membership.hpp"
#include "control/roster.hpp"
#include "daemon/jobs/engine.hpp"
#include "daemon/log.hpp"
#include "daemon/peer_link.hpp"

namespace histod::daemon {

/// Takes a reply from another thread home to the executor's; nothing happens once `lifetime` is over.
template <class T, class F>
jobs::Reply<T> at_executor(control::Executor& executor, const control::Lifetime& lifetime, F then) {
  return [&executor, then = lifetime.guard(std::move(then))](jobs::Outcome<T> outcome) mutable {
    executor.post([then = std::move(then), outcome = std::move(outcome)]() mutable { then(std::move(outcome)); });
  };
}

/// Whose jobs are whose, when nodes die and come back. The leader retires who is away for too long; whoever keeps
/// copies of a retired node's jobs takes them over; and a node that finds itself retired lets go of what others have
/// taken over before it is one of the fleet again. Copies that nobody needs any more are dropped, and missing ones are
/// made. Lives on the fleet's thread.
class Custody {
 public:
  struct Settings {
    std::string identity;
    std::chrono::milliseconds takeover_after{60'000};
    bool copies = true;  ///< this node's jobs are to have one elsewhere
  };
  enum class Whereabouts : std::uint8_t {
    member,     ///< it can be asked
    away,       ///< it may come back with what it has
    retired,    ///< what it had is others'
    returning,  ///< a member again, that has not let go yet of what others have taken over
  };
  struct Node {
    std::string name;
    Whereabouts where = Whereabouts::away;
  };

  Custody(control::Session& session, const control::Paths& paths, const control::Membership& membership,
          const control::Election& election, jobs::Engine& engine, PeerLink& link, Log& log, Settings settings);
  Custody(const Custody&) = delete;
  Custody& operator=(const Custody&) = delete;

  /// After make_layout().
  void start();
  /// Each second.
  void tick();
  /// What is said below holds for the present session.
  bool complete() const { return roster_.complete(); }
  Node find(const std::string& identity) const;
  /// Names of the other members.
  std::vector<std::string> others() const;
  const std::string& identity() const { return settings_.identity; }

 private:
  struct Return;
  struct Doubles;
  const control::Member* member(const std::string& identity) const;
  void retire_absent();
  void look_after_copies();
  void ask_owner(const std::string& name, std::vector<std::string> ids);
  void make_copies();
  void copy_next(std::vector<jobs::JobRecord> left);
  void come_back();
  void ask_next(const std::shared_ptr<Return>& home);
  void let_go(const std::shared_ptr<Return>& home);
  void adopt(const std::string& owner, const std::string& name, std::vector<std::string> ids);
  void doubt(const std::vector<std::string>& ids);
  void look_for_doubles();
  void ask_for_doubles(const std::shared_ptr<Doubles>& doubles);
  void part_with(const std::string& identity, const std::string& name, std::vector<std::string> ids);
  template <class T, class F>
  jobs::Reply<T> here(F then) {
    return at_executor<T>(session_.executor(), lifetime_, std::move(then));
  }

  control::Session& session_;
  const control::Membership& membership_;
  const control::Election& election_;
  jobs::Engine& engine_;
  PeerLink& link_;
  Log& log_;
  const Settings settings_;
  std::map<std::string, control::Executor::Clock::time_point> absent_since_;  ///< by identity; while this node leads
  control::Executor::Clock::time_point swept_at_{}, copied_at_{}, compared_at_{};
  std::chrono::seconds compare_after_;
  bool roster_changed_ = false, returning_ = false, copying_ = false, more_to_copy_ = false;
  std::set<std::string> doubtful_;  ///< own jobs that another node may have, too
  bool comparing_ = false;
  control::Roster roster_;
  control::Lifetime lifetime_;
};

}  // namespace histod::daemon
