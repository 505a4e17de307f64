// SPDX-License-Identifier: Apache-2.0
#include "net/http/tls.hpp"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/net/tls_rig.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

using net::http::make_tls_context;
using namespace std::chrono_literals;

class TlsTest : public testing::Test, protected OwnCertificate {
 protected:
  void SetUp() override { ASSERT_TRUE(made_) << "openssl could not make a certificate"; }
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
