// SPDX-License-Identifier: Apache-2.0
#include "net/http/stream.hpp"

#include <algorithm>
#include <cerrno>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
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

Done Stream::handshake_with(const std::string& host) {
  ::SSL* const ssl = tls_->native_handle();
  ::SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  boost::system::error_code not_numeric;
  asio::ip::make_address(host, not_numeric);
  if (not_numeric) {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    ::X509_VERIFY_PARAM_set_hostflags(::SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ::SSL_set1_host(ssl, host.c_str());
  } else {
    ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), host.c_str());
  }
  return tls_->async_handshake(asio::ssl::stream_base::client, k_await);
}

std::string Stream::certificate_trouble() {
  const long result = ::SSL_get_verify_result(tls_->native_handle());
  return result == X509_V_OK ? std::string() : ::X509_verify_cert_error_string(result);
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

bool Stream::has_input() {
  char byte = 0;
  return ::recv(socket().native_handle(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

bool Stream::quiet() { return !peer_gone() && (tls() || !has_input()); }

bool Stream::peer_gone() {
  if (!socket().is_open()) return true;
  char byte = 0;
  const auto got = ::recv(socket().native_handle(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace histod::net::http
