// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "daemon/fleet_board.hpp"
#include "net/http/client.hpp"

namespace histod::daemon {

/// The other nodes of the fleet as those who are asked something. Immutable, so every worker may use it.
class Peers {
 public:
  /// `token`: shown to each of them; whoever stands on the board is trusted with it.
  Peers(const FleetBoard& board, std::string token) : board_(board), authorization_("Bearer " + std::move(token)) {}

  /// Gives the request its endpoint, as the board has it now, the token, and a parent of its own in the trace of
  /// `traceparent`; where that is empty, a trace begins. The error is a clause: that there is no such member, that it
  /// is this node, or that its address is none.
  std::expected<void, std::string> address(net::http::PeerRequest& request, std::string_view name,
                                           std::string_view traceparent) const;

 private:
  const FleetBoard& board_;
  const std::string authorization_;
};

}  // namespace histod::daemon
