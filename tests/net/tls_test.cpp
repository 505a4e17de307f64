// SPDX-License-Identifier: Apache-2.0
#include "net/http/tls.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

using net::http::make_tls_context;
using namespace std::chrono_literals;

/// A directory of its own with a self-signed certificate, made by the openssl command line.
class TlsTest : public testing::Test {
 public:
  TlsTest() {
    char name[] = "/tmp/histod-tls-XXXXXX";
    folder_ = ::mkdtemp(name);
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost -keyout " +
        key() + " -out " + certificate() + " 2>" + folder_ + "/log";
    made_ = std::system(command.c_str()) == 0;
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

 protected:
  void SetUp() override { ASSERT_TRUE(made_) << "openssl could not make a certificate"; }
  std::string certificate() const { return folder_ + "/cert.pem"; }
  std::string key() const { return folder_ + "/key.pem"; }
  TestServerOptions options() const {
    TestServerOptions options;
    auto context = make_tls_context(certificate(), key());
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

TEST_F(TlsTest, ServesRequestsOverTls) {
  TestServer server(options());
  TlsClient client(server.port());
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.version(), "TLSv1.3");
  const std::string body = noise(300'000) + "the end";
  ASSERT_TRUE(client.send(post("/echo", body) + get("/hello")));
  const std::string replies = client.read_until("hello");
  EXPECT_NE(replies.find(body), std::string::npos) << replies.size() << " bytes: " << replies.substr(0, 300);
  EXPECT_NE(replies.find("X-Path: /hello"), std::string::npos);
  ASSERT_TRUE(client.send(get("/hello", "Connection: close\r\n")));
  EXPECT_TRUE(client.read_until("").ends_with("hello"));
  EXPECT_TRUE(client.closed_cleanly()) << "the client is told of the end, so that nobody can cut a response short";
}

TEST_F(TlsTest, SpeaksTls12ButNothingOlder) {
  TestServer server(options());
  TlsClient old(server.port(), TLS1_2_VERSION);
  ASSERT_TRUE(old.connected());
  EXPECT_EQ(old.version(), "TLSv1.2");
  ASSERT_TRUE(old.send(get("/hello")));
  EXPECT_TRUE(old.read_until("hello").ends_with("hello"));
  TlsClient older(server.port(), TLS1_1_VERSION);
  EXPECT_FALSE(older.connected());
  EXPECT_TRUE(server.eventually([&] { return server.stats().tls_failures.get() == 1; }));
}

TEST_F(TlsTest, PlainTextOnATlsPortEndsAlone) {
  TestServer server(options());
  HttpClient plain(server.port());
  ASSERT_TRUE(plain.send(get("/hello")));
  plain.read_to_end();
  EXPECT_TRUE(server.eventually([&] { return server.stats().tls_failures.get() == 1; }));
  TlsClient client(server.port());
  EXPECT_TRUE(client.connected());
}

TEST_F(TlsTest, ASilentHandshakeTimesOut) {
  auto with_timeout = options();
  with_timeout.limits.header_timeout = 50ms;
  TestServer server(with_timeout);
  HttpClient silent(server.port());
  EXPECT_TRUE(silent.closed_by_peer());
  EXPECT_EQ(server.stats().tls_failures.get(), 1u);
}

TEST_F(TlsTest, DrainsTlsConnections) {
  TestServer server(options());
  TlsClient idle(server.port());
  TlsClient busy(server.port());
  ASSERT_TRUE(busy.send(get("/later")));
  ASSERT_TRUE(server.wait_pending(1));
  server.start_drain();
  server.answer_pending("finished");
  EXPECT_TRUE(busy.read_until("finished").ends_with("finished"));
  EXPECT_EQ(idle.read_until(""), "");
}

TEST_F(TlsTest, ContextErrorsNameTheFile) {
  const auto no_certificate = make_tls_context(folder_ + "/absent.pem", key());
  ASSERT_FALSE(no_certificate);
  EXPECT_NE(no_certificate.error().find("absent.pem"), std::string::npos);
  const auto no_key = make_tls_context(certificate(), folder_ + "/log");
  ASSERT_FALSE(no_key);
  EXPECT_NE(no_key.error().find("/log"), std::string::npos);
  std::ofstream(folder_ + "/junk.pem") << "no certificate";
  EXPECT_FALSE(make_tls_context(folder_ + "/junk.pem", key()));
  const std::string command =
      "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out " + folder_ + "/other.pem 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_FALSE(make_tls_context(certificate(), folder_ + "/other.pem"));
}

}  // namespace
}  // namespace histod::test
