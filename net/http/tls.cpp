// SPDX-License-Identifier: Apache-2.0
#include "net/http/tls.hpp"

#include <openssl/ssl.h>

namespace histod::net::http {

namespace ssl = boost::asio::ssl;

namespace {

std::unexpected<std::string> failed(const std::string& what, const boost::system::error_code& error) {
  return std::unexpected(what + ": " + error.message());
}

bool restrict_versions(::SSL_CTX* native) {
  ::SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Idle connections give their record buffers back.
  ::SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  return ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) == 1;
}

}  // namespace

std::expected<std::shared_ptr<ssl::context>, std::string> make_tls_context(const std::string& cert_file,
                                                                           const std::string& key_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  ::SSL_CTX* const native = context->native_handle();
  if (!restrict_versions(native)) return std::unexpected("TLS 1.2 cannot be enforced");
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

std::expected<std::shared_ptr<ssl::context>, std::string> make_tls_client_context(const std::string& authorities_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  if (!restrict_versions(context->native_handle())) return std::unexpected("TLS 1.2 cannot be enforced");
  boost::system::error_code error;
  context->set_verify_mode(ssl::verify_peer, error);
  if (authorities_file.empty()) {
    context->set_default_verify_paths(error);
    if (error) return failed("cannot use the system's certificate authorities", error);
  } else {
    context->load_verify_file(authorities_file, error);
    if (error) return failed("cannot use the certificate authorities of " + authorities_file, error);
  }
  return context;
}

}  // namespace histod::net::http
