// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/membership.hpp"
#include "control/session.hpp"

namespace histod::daemon {

/// What this node knew of its fleet at one moment. Good for showing; who acts as the leader asks control::Election, and
/// fences what he writes.
struct FleetSnapshot {
  control::SessionState state = control::SessionState::connecting;
  std::int64_t since_ms = 0;         ///< of the state; since 1970
  std::vector<std::string> servers;  ///< empty: the node is alone, with a store in memory
  std::int64_t session_id = 0;       ///< of the latest session; 0 before the first
  std::chrono::milliseconds session_timeout{0};
  std::string self;         ///< this node's name
  bool registered = false;  ///< this node is a member
  bool leads = false;
  std::string leader;  ///< empty: nobody leads
  std::int32_t epoch = 0;
  std::vector<control::Member> members;  ///< by name; while not CONNECTED: as they were last seen
  std::uint64_t min_nodes = 1;
  std::string trouble;          ///< why there is no session, or why this node is no member: a clause, or empty
  std::uint64_t elections = 0;  ///< that this node has won
  /// Znodes under the fleet's root that are not as nodes make them: a clause for each, with its path.
  std::vector<std::string> intruders;
  std::uint64_t intrusions = 0;  ///< how many of them there ever were
  control::Session::Counts sessions;
  std::string alert_told;  ///< the shortage that was last said in the log; a passing one is not
  bool has_left = false;   ///< this node, by itself: nothing of this is true any more

  bool embedded() const { return servers.empty(); }
  bool connected() const { return state == control::SessionState::connected; }
  std::string_view role() const;  ///< leader, member or outside
  std::string shortage() const;   ///< that there are too few members: a sentence without its full stop, or empty
  std::string alert() const;      ///< that, or what else an operator must see to
};

}  // namespace histod::daemon
