// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>

#include "net/buffer_pool.hpp"
#include "net/http/asio.hpp"
#include "net/http/stream.hpp"
#include "net/stats.hpp"

namespace histod::net::http {

/// What Beast's WebSocket reads from and writes to: a connection's stream, plain or TLS, behind the bytes that came
/// together with the request.
class WebSocketLayer {
 public:
  using executor_type = tcp::socket::executor_type;

  /// `early` holds `early_bytes` from its beginning on, and goes home when they are read.
  WebSocketLayer(Stream& stream, Lease early, std::size_t early_bytes, Counter& copied_bytes)
      : stream_(stream), early_(std::move(early)), early_bytes_(early_bytes), copied_bytes_(copied_bytes) {
    if (early_bytes_ == 0) early_.reset();
  }
  WebSocketLayer(const WebSocketLayer&) = delete;

  executor_type get_executor() { return stream_.socket().get_executor(); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (early_) {
      const auto begin = [this](auto handler, const Buffers& into) {
        const std::size_t bytes = take_early(into);
        asio::post(get_executor(),
                   boost::beast::bind_front_handler(std::move(handler), boost::system::error_code(), bytes));
      };
      return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(begin, token, buffers);
    }
    if (stream_.tls()) return stream_.tls_layer().async_read_some(buffers, std::forward<Token>(token));
    return stream_.socket().async_read_some(buffers, std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (stream_.tls()) return stream_.tls_layer().async_write_some(buffers, std::forward<Token>(token));
    return stream_.socket().async_write_some(buffers, std::forward<Token>(token));
  }

  /// Ends whatever goes on, now and later, plain or TLS: reads see the end, and writes fail.
  void cut() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

 private:
  template <class Buffers>
  std::size_t take_early(const Buffers& into) {
    const auto left = std::as_const(early_).bytes().subspan(early_from_, early_bytes_ - early_from_);
    const std::size_t bytes = asio::buffer_copy(into, asio::const_buffer(left.data(), left.size()));
    copied_bytes_.add(bytes);
    early_from_ += bytes;
    if (early_from_ == early_bytes_) early_.reset();
    return bytes;
  }

  Stream& stream_;
  Lease early_;
  std::size_t early_from_ = 0;
  std::size_t early_bytes_;
  Counter& copied_bytes_;
};

/// For Beast: the connection itself takes its leave of the client (Connection::linger), when the session is over.
template <class Handler>
void async_teardown(boost::beast::role_type, WebSocketLayer& layer, Handler&& handler) {
  asio::post(layer.get_executor(),
             boost::beast::bind_front_handler(std::forward<Handler>(handler), boost::system::error_code()));
}
inline void beast_close_socket(WebSocketLayer& layer) { layer.cut(); }

}  // namespace histod::net::http
