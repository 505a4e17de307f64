// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/net/guard_corpus.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

// The corpus through nginx and HAProxy, which keep their connections to the server open and share them between clients:
// if the two sides disagreed on where a request ends, a client would get the answer to somebody else's request.

namespace histod::test {
namespace {

using namespace std::chrono_literals;

std::string nginx_config(const std::string& folder, std::uint16_t port) {
  return "daemon off;\nmaster_process off;\npid " + folder + "/pid;\nerror_log " + folder +
         "/error.log;\nevents {}\nhttp {\n  access_log off;\n  client_header_timeout 1s;\n  client_body_timeout 1s;\n"
         "  client_body_temp_path " +
         folder + "/body;\n  proxy_temp_path " + folder + "/proxy;\n  fastcgi_temp_path " + folder +
         "/f;\n  uwsgi_temp_path " + folder + "/u;\n  scgi_temp_path " + folder +
         "/s;\n  upstream histod { server 127.0.0.1:" + std::to_string(port) +
         "; keepalive 1; }\n"
         "  server {\n    listen unix:" +
         folder +
         "/socket;\n    location / {\n      proxy_pass http://histod;\n"
         "      proxy_http_version 1.1;\n      proxy_request_buffering off;\n      proxy_read_timeout 2s;\n"
         "      proxy_set_header Connection \"\";\n      proxy_set_header Host $http_host;\n    }\n  }\n}\n";
}

std::string haproxy_config(const std::string& folder, std::uint16_t port) {
  return "defaults\n  mode http\n  timeout connect 2s\n  timeout client 2s\n  timeout server 2s\n  timeout "
         "http-request 1s\n"
         "  http-reuse always\nfrontend in\n  bind unix@" +
         folder +
         "/socket\n  default_backend out\n"
         "backend out\n  server histod 127.0.0.1:" +
         std::to_string(port) + "\n";
}

/// A proxy in front of a server, listening on a Unix socket in a folder of its own.
class Proxy {
 public:
  Proxy(const std::string& kind, std::uint16_t port) {
    char name[] = "/tmp/histod-proxy-XXXXXX";
    folder_ = ::mkdtemp(name);
    const std::string config = folder_ + "/config";
    std::ofstream(config) << (kind == "nginx" ? nginx_config(folder_, port) : haproxy_config(folder_, port));
    std::vector<std::string> words = {"haproxy", "-db", "-f", config};
    if (kind == "nginx") words = {"nginx", "-p", folder_, "-c", config};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    for (const int fd : {1, 2}) {
      ::posix_spawn_file_actions_addopen(&actions, fd, (folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    if (::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) pid_ = -1;
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~Proxy() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  std::string socket() const { return folder_ + "/socket"; }
  /// Waits until it answers.
  bool ready() const {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (pid_ > 0 && std::chrono::steady_clock::now() < end) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return false;
      if (HttpClient(socket()).fd() >= 0) return true;
      std::this_thread::yield();
    }
    return false;
  }
  std::string log() const {
    std::ifstream file(folder_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

/// The paths that the answers name, in the order in which the client gets them; answers of the proxy name none.
std::vector<std::string> answered_paths(const std::string& socket, const std::string& requests) {
  HttpClient client(socket, 5s);
  client.send(requests);
  std::vector<std::string> paths;
  while (const auto reply = client.read()) {
    if (const std::string path = reply->field("x-path"); !path.empty()) paths.push_back(path);
  }
  return paths;
}

class ProxyAgreementTest : public testing::TestWithParam<const char*> {};

TEST_P(ProxyAgreementTest, BothSidesAgreeWhereEveryRequestEnds) {
  TestServer server;
  const Proxy proxy(GetParam(), server.port());
  ASSERT_TRUE(proxy.ready()) << GetParam() << " does not start (is it installed?): " << proxy.log();
  const std::string innocent = get("/innocent", "Connection: close\r\n");
  int number = 0;
  int passed_on = 0;
  for (const GuardCase& guard_case : guard_corpus()) {
    SCOPED_TRACE(guard_case.name);
    server.on_loop([&] { server.handler().handled.clear(); });
    auto answered = answered_paths(proxy.socket(), guard_case.bytes + innocent);
    // Whoever comes next over the same connection to the server gets his own answer.
    const std::string check = "/check-" + std::to_string(++number);
    const auto checked = answered_paths(proxy.socket(), get(check, "Connection: close\r\n"));
    EXPECT_EQ(checked, std::vector{check});
    passed_on += !answered.empty();
    answered.push_back(check);
    server.on_loop([&] { EXPECT_EQ(server.handler().handled, answered); });
  }
  EXPECT_GT(passed_on, 15) << "the proxy lets at least the good ones pass";
}

INSTANTIATE_TEST_SUITE_P(Proxies, ProxyAgreementTest, testing::Values("nginx", "haproxy"));

}  // namespace
}  // namespace histod::test
