// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

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
  Counter received_bytes, sent_bytes;
  Counter copied_bytes;  ///< payload bytes that net/copy moved in user space
  Counter memory_waits;  ///< bodies that had to wait for a lease
  Counter accept_pauses;
};

}  // namespace http
}  // namespace histod::net
