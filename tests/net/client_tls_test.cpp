// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "net/http/client.hpp"
#include "net/http/tls.hpp"
#include "tests/net/client_rig.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/scripted_server.hpp"

namespace histod::test {
namespace {

using namespace std::chrono_literals;
using net::http::make_tls_client_context;
using net::http::make_tls_context;

/// A certificate authority, made by the openssl command line, and what it has signed.
class ClientTls : public testing::Test {
 public:
  ClientTls() {
    char name[] = "/tmp/histod-client-tls-XXXXXX";
    folder_ = ::mkdtemp(name);
    made_ =
        openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=authority -keyout " +
                file("ca.key") + " -out " + file("ca.pem"));
  }
  ~ClientTls() override { std::filesystem::remove_all(folder_); }

 protected:
  void SetUp() override { ASSERT_TRUE(made_) << "openssl could not make an authority"; }
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  bool openssl(const std::string& arguments) const {
    return std::system(("openssl " + arguments + " 2>>" + folder_ + "/log").c_str()) == 0;
  }

  /// A server whose certificate is for these ("DNS:name,IP:address").
  TestServerOptions server_for(const std::string& names, const std::string& more = "-days 1") const {
    std::ofstream(file("names")) << "subjectAltName=" << names << "\n";
    EXPECT_TRUE(openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node -keyout " +
                        file("key.pem") + " -out " + file("request.pem")));
    EXPECT_TRUE(openssl("x509 -req -in " + file("request.pem") + " -CA " + file("ca.pem") + " -CAkey " +
                        file("ca.key") + " -CAcreateserial -extfile " + file("names") + " " + more + " -out " +
                        file("cert.pem")));
    TestServerOptions options;
    auto context = make_tls_context(file("cert.pem"), file("key.pem"));
    EXPECT_TRUE(context);
    if (context) options.tls = *context;
    return options;
  }
  net::http::ClientOptions trusting() const {
    auto context = make_tls_client_context(file("ca.pem"));
    EXPECT_TRUE(context);
    return {.tls = context ? *context : nullptr};
  }
  static net::http::PeerRequest to_tls(const std::string& host, std::uint16_t port, std::string_view body = {}) {
    auto request = to(port, "POST", "/echo", body);
    request.endpoint = {true, host, port};
    return request;
  }

  std::string folder_;
  bool made_ = false;
};

TEST_F(ClientTls, AsksPeersWhoseCertificateIsTheirs) {
  TestServer server(server_for("DNS:localhost,IP:127.0.0.1"));
  ClientRig rig(trusting());
  for (const char* host : {"localhost", "127.0.0.1"}) {
    for (const std::size_t bytes : {0u, 1u, 70'000u, 3'000'000u}) {
      const std::string body = noise(bytes);
      const Outcome out = rig.ask(to_tls(host, server.port(), body));
      ASSERT_EQ(out.status, 200u) << out.error.text;
      EXPECT_TRUE(out.body == body);
    }
  }
  EXPECT_EQ(server.stats().connections_opened.get(), 2u) << "one for each name";
  EXPECT_EQ(rig.stats.reused.get(), 6u);
}

TEST_F(ClientTls, RefusesCertificatesOfOthers) {
  const struct {
    const char *names, *days, *says;
  } cases[] = {{"DNS:elsewhere.example", "-days 1", "mismatch"},
               {"IP:127.0.0.2", "-days 1", "mismatch"},
               {"DNS:localhost", "-days 1", "mismatch"},
               {"IP:127.0.0.1", "-days -1", "expired"}};
  for (const auto& one : cases) {
    TestServer server(server_for(one.names, one.days));
    ClientRig rig(trusting());
    const Outcome out = rig.ask(to_tls("127.0.0.1", server.port()));
    EXPECT_EQ(out.kind(), "tls") << one.names;
    EXPECT_NE(out.error.text.find(one.says), std::string::npos) << out.error.text;
    EXPECT_FALSE(out.error.sent) << "not a byte for the wrong one";
    EXPECT_TRUE(server.eventually([&] { return server.handler().admitted.empty(); }));
  }
}

TEST_F(ClientTls, RefusesAnAuthorityThatIsNotTrusted) {
  TestServer server(server_for("IP:127.0.0.1"));
  auto system = make_tls_client_context("");
  ASSERT_TRUE(system);
  ClientRig rig({.tls = *system});
  const Outcome out = rig.ask(to_tls("127.0.0.1", server.port()));
  EXPECT_EQ(out.kind(), "tls");
  EXPECT_NE(out.error.text.find("certificate"), std::string::npos) << out.error.text;
  ClientRig without;
  EXPECT_EQ(without.ask(to_tls("127.0.0.1", server.port())).kind(), "tls") << "no context at all";
}

TEST_F(ClientTls, ASilentOrForeignPeerIsNoPeer) {
  ScriptedServer plain([](const auto&) { return ok_answer(""); });  // waits for a request that never comes
  ClientRig rig(trusting());
  auto request = to_tls("127.0.0.1", plain.port());
  request.deadlines.connect = 50ms;
  EXPECT_EQ(rig.ask(std::move(request)).kind(), "timed_out_connect");
  TestServer speaks_http;  // answers 400
  EXPECT_EQ(rig.ask(to_tls("127.0.0.1", speaks_http.port())).kind(), "tls");
}

TEST_F(ClientTls, ASilentPeerIsCutAndAClosedConnectionTriedAgain) {
  auto options = server_for("IP:127.0.0.1");
  options.limits.idle_timeout = 30ms;
  TestServer silent(options);
  ClientRig rig(trusting());
  auto request = to_tls("127.0.0.1", silent.port());
  request.target = "/later";
  request.deadlines.stall = 50ms;
  EXPECT_EQ(rig.ask(std::move(request)).kind(), "timed_out_stall");
  TestServer server(options);
  EXPECT_EQ(rig.ask(to_tls("127.0.0.1", server.port(), "one")).body, "one");
  ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 0; }));
  request = to_tls("127.0.0.1", server.port(), "two");
  request.idempotent = true;
  EXPECT_EQ(rig.ask(std::move(request)).body, "two");
}

TEST_F(ClientTls, CanBeCancelledAfterAnyTurnOfTheLoop) {
  TestServer server(server_for("IP:127.0.0.1"));
  const std::string body = noise(200'000);
  bool answered = false;
  for (int turns = 0; !answered; ++turns) {
    ClientRig rig(trusting());
    std::optional<Outcome> out;
    auto call = rig.begin(to_tls("127.0.0.1", server.port(), body), out);
    for (int i = 0; i < turns && !out; ++i) rig.turn();
    answered = out.has_value();
    call.cancel();
    rig.wait(out);
    EXPECT_EQ(out->kind(), answered ? "answer" : "cancelled") << turns;
    ASSERT_LT(turns, 2'000);
  }
}

TEST_F(ClientTls, ContextErrorsNameTheFile) {
  const auto absent = make_tls_client_context(file("absent.pem"));
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().find("absent.pem"), std::string::npos);
  std::ofstream(file("junk.pem")) << "no certificate";
  EXPECT_FALSE(make_tls_client_context(file("junk.pem")));
}

}  // namespace
}  // namespace histod::test
