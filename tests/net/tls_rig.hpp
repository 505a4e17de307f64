// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "net/http/tls.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {

/// A directory of its own with a self-signed certificate, made by the openssl command line.
class OwnCertificate {
 public:
  OwnCertificate() {
    char name[] = "/tmp/histod-tls-XXXXXX";
    folder_ = ::mkdtemp(name);
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost -keyout " +
        key() + " -out " + certificate() + " 2>" + folder_ + "/log";
    made_ = std::system(command.c_str()) == 0;
  }
  ~OwnCertificate() { std::filesystem::remove_all(folder_); }

  std::string certificate() const { return folder_ + "/cert.pem"; }
  std::string key() const { return folder_ + "/key.pem"; }
  TestServerOptions options() const {
    TestServerOptions options;
    auto context = net::http::make_tls_context(certificate(), key());
    EXPECT_TRUE(context);
    if (context) options.tls = *context;
    return options;
  }

  std::string folder_;
  bool made_ = false;
};

/// A blocking TLS client over the plain test client's socket.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, int version_max = TLS1_3_VERSION)
      : client_(port), context_(::SSL_CTX_new(::TLS_client_method()), ::SSL_CTX_free) {
    ::SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    ::SSL_CTX_set_max_proto_version(context_.get(), version_max);
    ::SSL_CTX_set_security_level(context_.get(), 0);
    ssl_.reset(::SSL_new(context_.get()));
    ::SSL_set_fd(ssl_.get(), client_.fd());
    connected_ = retried([&] { return ::SSL_connect(ssl_.get()); }) == 1;
    ::ERR_clear_error();
  }
  bool connected() const { return connected_; }
  std::string version() const { return ::SSL_get_version(ssl_.get()); }
  bool send(std::string_view bytes) {
    const auto size = static_cast<int>(bytes.size());
    return retried([&] { return ::SSL_write(ssl_.get(), bytes.data(), size); }) == size;
  }
  /// Reads until `end` has come or the connection ends.
  std::string read_until(std::string_view end) {
    std::string out;
    char chunk[16'384];
    while (!out.ends_with(end) || end.empty()) {
      const int got = retried([&] { return ::SSL_read(ssl_.get(), chunk, sizeof chunk); });
      if (got <= 0) break;
      out.append(chunk, static_cast<std::size_t>(got));
    }
    return out;
  }
  /// That many bytes, or fewer at the end of the connection.
  std::string read_bytes(std::size_t bytes) {
    std::string out(bytes, '\0');
    std::size_t filled = 0;
    while (filled < bytes) {
      const auto left = static_cast<int>(bytes - filled);
      const int got = retried([&] { return ::SSL_read(ssl_.get(), out.data() + filled, left); });
      if (got <= 0) break;
      filled += static_cast<std::size_t>(got);
    }
    return out.substr(0, filled);
  }
  HttpClient& below() { return client_; }
  bool closed_cleanly() { return ::SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN; }

 private:
  /// io_uring interrupts the blocking calls of whichever thread has begun an operation: here, of the one that made
  /// the server.
  int retried(auto call) {
    int result = 0;
    do {
      errno = 0;
      result = call();
    } while (result <= 0 && errno == EINTR);
    return result;
  }

  HttpClient client_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, ::SSL_free};
  bool connected_ = false;
};

}  // namespace histod::test
