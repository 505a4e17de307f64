// SPDX-License-Identifier: Apache-2.0
#include "net/http/tls.hpp"

#include <openssl/ssl.h>

namespace histod::net::http {

namespace ssl = boost::asio::ssl;

namespace {

std::unexpected<std::string> failed(const std::string& what, const boost::system::error_code& error) {
  return std::unexpected(what + ": " + error.message());
}

}  // namespace

std::expected<std::shared_ptr<ssl::context>, std::string> make_tls_context(const std::string& cert_file,
                                                                           const std::string& key_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  ::SSL_CTX* const native = context->native_handle();
  if (::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1)
    return std::unexpected("TLS 1.2 cannot be enforced");
  ::SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Idle connections give their record buffers back.
  ::SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  boost::system::error_code error;
  context->use_certificate_chain_file(cert_file, error);
  if (error) return failed("cannot use the certificate " + cert_file, error);
  context->use_private_key_file(key_file, ssl::context::pem, error);
  if (error) return failed("cannot use the private key " + key_file, error);
  if (::SSL_CTX_check_private_key(native) != 1) {
    return std::unexpected("the private key " + key_file + " does not belong to the certificate " + cert_file);
  }
  return context;
}

}  // namespace histod::net::http
