// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "control/executor.hpp"
#include "control/store.hpp"

namespace histod::control {

/// What goes wrong, how often, and how often it did. May be changed while stores use it; outlives them.
struct Faults {
  std::chrono::milliseconds delay_max_ms{0};  ///< of each request, reply, watch and event on its way
  unsigned drop_permille = 0;                 ///< requests around which the connection breaks
  unsigned expire_permille = 0;               ///< of the breaks: those that outlast the session
  std::mt19937_64 random{1};

  std::uint64_t dropped = 0, expired = 0;
  std::uint64_t lost_answers = 0;   ///< told connection_loss though it had been done
  std::uint64_t late_writes = 0;    ///< done after connection_loss was told
  std::uint64_t lost_requests = 0;  ///< told connection_loss, and never done
};

/// A store behind a bad network, as bad as ZooKeeper's promises allow and no worse: everything is late by a random
/// time, but in order. When the connection breaks, all requests under way get connection_loss, while the first few of
/// them, nobody knows how many, have been done or will be done later, up to the reconnection; their answers are lost.
/// Watches that fire meanwhile come after the reconnection. A break that outlasts the timeout ends the session, first
/// on the server, later for the client. A store that is destroyed while it is cut off leaves its session to the
/// server's timeout.
OpenStore faulty_opener(Executor& executor, OpenStore inner, Faults& faults);

}  // namespace histod::control
