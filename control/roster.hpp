// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "control/catalog.hpp"
#include "control/mirror.hpp"
#include "control/paths.hpp"
#include "control/record.hpp"
#include "control/session.hpp"

namespace histod::control {

/// A node by the identity of its spool, whether it is a member now or not.
struct Standing {
  std::string name;      ///< by which it last was a member
  bool retired = false;  ///< others take over what it had accepted
  std::int32_t version = 0;
  bool operator==(const Standing&) const = default;
};

/// All nodes that ever were in the fleet, and which of them are given up: the one decision, for a dead node and all of
/// its jobs at once, by which work changes hands. Lives on the executor's thread, and not longer than the session
/// object.
class Roster {
 public:
  /// An empty identity, or one that is no name, is refused by an assertion.
  Roster(Session& session, Paths paths, RecordFormat format, std::string identity, std::string name);
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;

  /// After make_layout(). Enters this node, unless it is there. `changed` is called after each change of what is said
  /// below.
  void start(std::function<void()> changed);
  /// By identity; those whose record cannot be read here are missing.
  const std::map<std::string, Standing, std::less<>>& all() const { return all_; }
  /// All of it has been read in the present session, and this node is there.
  bool complete() const { return mirror_.complete() && all_.contains(identity_); }

  /// From the leader, once a node has been away for long. bad_version: it has changed since, or somebody else leads.
  void retire(const std::string& identity, const Leadership& leader, Reply<void> reply);
  /// This node itself, after it has given up what others have taken over. bad_version: it has been retired anew.
  void reinstate(Reply<void> reply);

 private:
  void enter();
  void read();
  void write(const std::string& identity, bool retired, const Fence& fence, Reply<void> reply);

  Session& session_;
  const Paths paths_;
  const RecordFormat format_;
  const std::string identity_, name_;
  std::function<void()> changed_;
  std::map<std::string, Standing, std::less<>> all_;
  bool entering_ = false;
  Mirror mirror_;
  Lifetime lifetime_;
};

}  // namespace histod::control
