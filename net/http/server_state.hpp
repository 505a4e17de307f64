// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <ctime>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/asio.hpp"
#include "net/http/event.hpp"
#include "net/http/header_guard.hpp"
#include "net/http/server.hpp"
#include "net/stats.hpp"

namespace histod::net::http {

/// A connection that waits for memory. Owned by the waiting coroutine.
struct MemoryWait {
  std::size_t bytes = 0;
  Use use = Use::work;
  Event* event = nullptr;
  Lease lease;  ///< filled when it is this one's turn
};

/// What the connections of one server share. Lives as long as the server; used on its thread only.
struct ServerState {
  ServerState(asio::io_context& io_, BufferPool& pool_, Handler& handler_, const Limits& limits_, Stats& stats_);

  void remove(Connection& connection);
  GuardLimits guard_limits() const { return {limits.header_bytes, limits.header_fields, limits.target_bytes}; }
  /// Bodies are served in the order they came: a large one is not starved by small ones that come later.
  void serve_memory_waits();
  void notify_drained();
  /// The Date field's value, made once a second.
  std::string_view date();

  asio::io_context& io;
  BufferPool& pool;
  Handler& handler;
  const Limits limits;
  Stats& stats;
  Counter bytes_in_flight;
  std::vector<Connection*> connections;
  std::deque<MemoryWait*> memory_waits;
  const Registration* registration = nullptr;  ///< null: none
  bool draining = false;
  std::move_only_function<void()> on_drained;

 private:
  std::time_t date_at_ = 0;
  std::string date_;
};

}  // namespace histod::net::http
