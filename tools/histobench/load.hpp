// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace histod::bench {

/// The same request again and again, on several keep-alive connections, from one thread.
struct Load {
  std::uint16_t port = 0;
  std::string target;
  std::string authorization;
  std::span<const std::byte> body;
  std::span<const std::byte> expected;  ///< the answer: each one's length is compared, and every 64th's bytes
  unsigned connections = 32;
  /// The open loop's thread goes before all others, where the kernel lets it: one that waits for a CPU behind what it
  /// asked for measures itself, by up to a tick of the kernel's (4 ms). For rates at which it sleeps nearly always: at
  /// higher ones it would take the server's CPU.
  bool punctual = false;
};

struct LoadResult {
  std::vector<double> latencies_ms;
  double per_second = 0;  ///< answers while requests were sent
  std::string wrong;      ///< what was wrong with the first answer that was; empty: none
};

/// Each connection asks as soon as it has its answer: how many requests a second there can be. Goes on for that time,
/// and until there was one answer.
LoadResult closed_loop(const Load& load, double seconds);

/// Requests come at a constant rate, whatever the answers do, and wait in line when no connection is free. Latency
/// counts from when a request was to be sent: a server that stalls is charged for all that came meanwhile. Waits for
/// the last answer; throws Failure when none comes for ten seconds. The calling thread has real-time priority
/// meanwhile, where the kernel grants it.
LoadResult open_loop(const Load& load, double per_second, double seconds);

}  // namespace histod::bench
