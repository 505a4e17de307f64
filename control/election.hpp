// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/paths.hpp"
#include "control/record.hpp"
#include "control/session.hpp"

namespace histod::control {

/// Proof of being the leader: every write of a leader is a multi that begins with fence(), so that those of a leader
/// who does not know yet of his end fail, whenever they arrive.
struct Leadership {
  std::int32_t epoch = 0;
  std::string epoch_path;
  Op fence() const { return Check{epoch_path, epoch}; }
};

/// Contends for the lead, in each session with a candidate of its own. Lives on the executor's thread, and not longer
/// than the session object.
class Election {
 public:
  Election(Session& session, Paths paths, RecordFormat format, std::string name);
  Election(const Election&) = delete;
  Election& operator=(const Election&) = delete;

  /// After make_layout(). `changed` is called after each change of leadership().
  void contend(std::function<void()> changed);
  /// Takes the candidate back and contends no more, until contend(): another leads soon.
  void withdraw();
  /// Nothing while the session is not CONNECTED by the clock, though nobody may have taken over yet. Ask before each
  /// act.
  std::optional<Leadership> leadership() const;
  /// A multi of this leadership failed at its fence: somebody else leads.
  void fenced();

 private:
  void connected();
  void clear();
  void drop(const std::string& name);
  void list();
  void listed(const std::vector<std::string>& names);
  void stand();
  void wait_for(const std::string& predecessor);
  void take(const std::string& candidate);
  void bump(const std::string& candidate, std::int32_t version);
  void lead(const std::string& candidate, std::int32_t epoch);
  void step_down();
  void again();
  template <class F>
  auto answered(F then);

  Session& session_;
  const Paths paths_;
  const RecordFormat format_;
  const std::string name_;
  std::function<void()> changed_;
  std::string guid_;  ///< of this session's candidate: a lost answer leaves it findable
  std::uint64_t session_number_ = 0;
  bool contending_ = false, listening_ = false;
  std::set<std::string> strangers_;  ///< paths of what belongs to no session: no node's candidates
  std::optional<Leadership> leadership_;
  Lifetime lifetime_;  ///< of the present attempt's callbacks
  Lifetime object_;
};

/// Who leads, as everybody sees it.
class LeaderObserver {
 public:
  LeaderObserver(Session& session, Paths paths, RecordFormat format);
  LeaderObserver(const LeaderObserver&) = delete;
  LeaderObserver& operator=(const LeaderObserver&) = delete;

  void start(std::function<void()> changed);
  /// The last who took the lead: empty before the first. He leads if he is a member.
  const std::string& leader() const { return leader_; }
  std::int32_t epoch() const { return epoch_; }

 private:
  void read();

  Session& session_;
  const Paths paths_;
  const RecordFormat format_;
  std::function<void()> changed_;
  std::string leader_;
  std::int32_t epoch_ = 0;
  Lifetime lifetime_;
  Lifetime object_;
};

}  // namespace histod::control
