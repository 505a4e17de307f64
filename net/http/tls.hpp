// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

namespace histod::net::http {

/// A server's context: TLS 1.2 and 1.3, the certificate chain and its key from PEM files. The error names the file and
/// what is wrong with it.
std::expected<std::shared_ptr<boost::asio::ssl::context>, std::string> make_tls_context(const std::string& cert_file,
                                                                                        const std::string& key_file);

/// A client's context: TLS 1.2 and 1.3, the other side trusted only by the authorities in the PEM file; by the
/// system's where that is empty.
std::expected<std::shared_ptr<boost::asio::ssl::context>, std::string> make_tls_client_context(
    const std::string& authorities_file);

}  // namespace histod::net::http
