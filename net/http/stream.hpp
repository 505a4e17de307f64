// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "net/http/asio.hpp"
#include "net/registered.hpp"

namespace histod::net::http {

/// A connected socket, plain or TLS, behind one set of calls. None of these is a coroutine: each starts one operation.
class Stream {
 public:
  using Buffers = std::array<asio::const_buffer, 2>;

  Stream(tcp::socket socket, std::shared_ptr<asio::ssl::context> tls);
  Stream(Stream&&) = default;
  Stream& operator=(Stream&&) = delete;  ///< Asio 1.26 leaks the TLS session of the one that is assigned to

  bool tls() const { return tls_.has_value(); }
  tcp::socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }
  asio::ssl::stream<tcp::socket>& tls_layer() { return *tls_; }
  /// Plain text only: completes when there is something to read, without holding memory for it.
  Done wait_readable() { return socket().async_wait(tcp::socket::wait_read, k_await); }
  /// Bytes that one operation moves at most: the kernel goes on copying for as long as the other side keeps up, and all
  /// other connections of the worker would wait for the end of a large body.
  static constexpr std::size_t k_bytes_at_once = 512 * 1024;

  /// `registration` may be null.
  Transferred read_some(std::span<std::byte> into, const Registration* registration);
  Transferred write_some(const Buffers& buffers);
  Done handshake() { return tls_->async_handshake(asio::ssl::stream_base::server, k_await); }
  /// As a client: the peer must have a certificate for `host`, a name or a numeric address.
  Done handshake_with(const std::string& host);
  /// Why the peer's certificate was refused; empty when it was not.
  std::string certificate_trouble();
  Done shutdown_tls() { return tls_->async_shutdown(k_await); }
  void cancel();
  void close();
  /// Takes at most `bytes_max` of what has arrived and drops it; 0 at the end, -1 with errno EAGAIN when none is there.
  long discard(std::size_t bytes_max);
  /// Whether the client has closed its side, or the connection is broken.
  bool peer_gone();
  /// Whether the other side is still there and has sent nothing unasked. TLS has messages of its own: not looked at.
  bool quiet();
  /// Plain text only: whether something has come that was not read.
  bool has_input();

 private:
  std::shared_ptr<asio::ssl::context> context_;
  std::optional<tcp::socket> plain_;
  std::optional<asio::ssl::stream<tcp::socket>> tls_;
};

}  // namespace histod::net::http
