// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "net/buffer_pool.hpp"
#include "net/http/message.hpp"

namespace histod::net {
class Registration;
}

namespace histod::net::http {

/// Every bound of a connection, with its unit.
struct Limits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t header_fields = 100;
  std::size_t target_bytes = 8 * 1024;
  std::size_t chunk_header_bytes = 256;
  std::size_t connections = 4'096;  ///< per worker; one more is answered 503 and closed
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds stall_timeout{10'000};  ///< no progress at all while a body is read or a response written
  std::uint64_t body_rate_min_bytes_per_s =
      64 * 1024;  ///< averaged from the body's first byte, after a grace of stall_timeout
  std::chrono::milliseconds memory_wait{2'000};  ///< how long a body waits, unread, for a lease before 503
};

/// Single-writer counters: written by the worker's thread, read by anyone (relaxed).
struct Stats;

/// All HTTP connections of one worker. Lives on the worker's io_context and is used on its thread only, except for
/// bytes_in_flight().
class Server {
 public:
  Server(boost::asio::io_context& io, BufferPool& pool, Handler& handler, const Limits& limits, Stats& stats);
  ~Server();  ///< all connections must be closed: drain, then run the io_context until drained() calls back

  /// Plain connections read into what is registered with READ_FIXED. Before the first adopt(); the registration
  /// outlives all connections.
  void use_registered(const Registration& registration);
  /// Takes over a connected socket. `tls`: null for plain text.
  void adopt(int fd, std::shared_ptr<boost::asio::ssl::context> tls);
  /// Idle connections close now, busy ones after the response in hand; `on_drained` is called once, when none is left.
  void drain(std::move_only_function<void()> on_drained);
  /// Closes whatever is left, at the end of the grace time.
  void abort();
  /// Bytes of bodies being received and responses being sent; readable from any thread.
  std::uint64_t bytes_in_flight() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Accepts on one address and hands the raw descriptors on. Lives on one io_context.
class Listener {
  struct State;

 public:
  using OnAccept = std::function<void(int fd)>;  ///< owns fd; called on the io_context's thread

  /// `address` is a numeric IPv4 or IPv6 address; port 0 takes a free one (see port()).
  static std::expected<std::unique_ptr<Listener>, std::error_code> open(boost::asio::io_context& io,
                                                                        const std::string& address, std::uint16_t port,
                                                                        OnAccept on_accept);
  /// Takes over a listening socket (systemd socket activation).
  static std::expected<std::unique_ptr<Listener>, std::error_code> adopt(boost::asio::io_context& io, int fd,
                                                                         OnAccept on_accept);
  explicit Listener(std::unique_ptr<State> state);  ///< for open() and adopt()
  ~Listener();
  std::uint16_t port() const;
  std::uint64_t accept_pauses() const;  ///< readable from any thread
  void stop();  ///< no more accepts; on EMFILE and the like accepting pauses for 100 ms and is counted, never spins

 private:
  std::unique_ptr<State> state_;
};

/// The back-end that Asio was compiled with: "io_uring" or "epoll".
const char* io_backend();

}  // namespace histod::net::http
