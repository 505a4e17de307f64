// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "net/http/websocket.hpp"

namespace histod::net {

/// A counter that one thread writes and any thread reads. Wraps after 2^64.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void sub(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

namespace http {

/// How often something took how long; one thread writes, any thread reads.
struct Durations {
  /// Upper bounds, in nanoseconds.
  static constexpr std::array<std::uint64_t, 16> k_bounds_ns{
      250'000,       500'000,       1'000'000,      2'500'000,     5'000'000,   10'000'000,
      25'000'000,    50'000'000,    100'000'000,    250'000'000,   500'000'000, 1'000'000'000,
      2'500'000'000, 5'000'000'000, 10'000'000'000, 30'000'000'000};
  std::array<Counter, k_bounds_ns.size() + 1> counts;  ///< not cumulated; the last: longer than all bounds
  Counter sum_ns;

  void observe(std::uint64_t ns) {
    counts[static_cast<std::size_t>(std::ranges::lower_bound(k_bounds_ns, ns) - k_bounds_ns.begin())].add();
    sum_ns.add(ns);
  }
};

/// How many kinds of requests there may be: see BodyAdmission.
inline constexpr std::size_t k_request_kinds_max = 8;

/// What one worker's HTTP side counts.
struct Stats {
  Counter connections_opened;
  Counter connections_open;     ///< gauge
  Counter connections_refused;  ///< over the cap
  Counter requests;
  Counter responses_2xx, responses_4xx, responses_5xx;
  Counter guard_refusals;  ///< requests that the header guard refused
  Counter timeouts_header, timeouts_body, timeouts_write;
  Counter tls_failures;
  Counter received_bytes, sent_bytes;  ///< of WebSockets the payload of messages
  Counter copied_bytes;                ///< payload bytes that net/copy moved in user space
  Counter memory_waits;                ///< bodies that had to wait for a lease
  Counter accept_pauses;
  /// Of answered requests, by kind: from the first byte received to the last one sent.
  std::array<Durations, k_request_kinds_max> durations;
  Counter websockets_opened;                                ///< whose handshake was done
  Counter websockets_open;                                  ///< gauge
  std::array<Counter, k_websocket_ends> websockets_closed;  ///< by WebSocketEnd; all of them: opened less open
};

}  // namespace http
}  // namespace histod::net
