// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "net/http/asio.hpp"
#include "net/http/client.hpp"
#include "net/http/header_guard.hpp"
#include "net/http/stream.hpp"

namespace histod::net::http {

/// What the exchanges of one client share; used on its thread only.
struct ClientState {
  ClientState(asio::io_context& io_, BufferPool& pool_, ClientOptions options_, ClientStats& stats_);

  /// The connection to that endpoint that waited least; none when there is none that still looks good.
  std::optional<Stream> take(const Endpoint& endpoint);
  void keep(const Endpoint& endpoint, Stream stream);
  void add(Exchange& exchange);
  void remove(Exchange& exchange);
  void close_idle();
  GuardLimits guard_limits() const { return {options.header_bytes, options.header_fields, options.header_bytes}; }

  asio::io_context& io;
  BufferPool& pool;
  const ClientOptions options;
  ClientStats& stats;
  std::vector<Exchange*> exchanges;
  bool closed = false;                ///< nothing is asked any more
  std::weak_ptr<ClientState> myself;  ///< for the sweeper, which may come when nobody is left

 private:
  struct Idle {
    Endpoint endpoint;
    Stream stream;
    Clock::time_point until;
  };
  using Position = std::list<Idle>::iterator;
  Position drop(Position at);
  void schedule_sweep();
  void sweep();

  std::list<Idle> idle_;  ///< the one that has waited longest first
  asio::steady_timer sweeper_;
  bool sweeping_ = false;
};

}  // namespace histod::net::http
