// SPDX-License-Identifier: Apache-2.0
#include "net/http/stream.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace histod::net::http {

Stream::Stream(tcp::socket socket, std::shared_ptr<asio::ssl::context> tls) : context_(std::move(tls)) {
  if (context_) {
    tls_.emplace(std::move(socket), *context_);
  } else {
    plain_.emplace(std::move(socket));
  }
}

Transferred Stream::read_some(std::span<std::byte> into, const Registration* registration) {
  into = into.first(std::min(into.size(), k_bytes_at_once));
  const asio::mutable_buffer buffer(into.data(), into.size());
  if (tls_) return tls_->async_read_some(buffer, k_await);
  if (registration) {
    // One buffer on the raw socket is what Asio turns into READ_FIXED.
    const asio::mutable_registered_buffer fixed = registration->front(into);
    if (fixed.size() > 0) return plain_->async_read_some(fixed, k_await);
  }
  return plain_->async_read_some(buffer, k_await);
}

Transferred Stream::write_some(const Buffers& buffers) {
  Buffers some = buffers;
  some[1] = asio::buffer(some[1], k_bytes_at_once);
  return tls_ ? tls_->async_write_some(some, k_await) : plain_->async_write_some(some, k_await);
}

void Stream::cancel() {
  boost::system::error_code ignored;
  socket().cancel(ignored);
}

void Stream::close() {
  boost::system::error_code ignored;
  socket().close(ignored);
}

long Stream::discard(std::size_t bytes_max) {
  return ::recv(socket().native_handle(), nullptr, bytes_max, MSG_DONTWAIT | MSG_TRUNC);
}

bool Stream::peer_gone() {
  if (!socket().is_open()) return true;
  char byte = 0;
  const auto got = ::recv(socket().native_handle(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace histod::net::http
