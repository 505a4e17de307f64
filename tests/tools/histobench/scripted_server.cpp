// SPDX-License-Identifier: Apache-2.0
#include "tests/tools/histobench/scripted_server.hpp"

#include <algorithm>
#include <array>
#include <regex>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace histod::test {

std::string ok_answer(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

ScriptedServer::ScriptedServer(Answer answer, std::size_t piece_bytes)
    : answer_(std::move(answer)), piece_bytes_(piece_bytes), acceptor_([this] { accept_all(); }) {}

ScriptedServer::~ScriptedServer() {
  ::shutdown(listening_.fd, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : sockets_) ::close(fd);
}

void ScriptedServer::accept_all() {
  while (true) {
    const int fd = ::accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex_);
    sockets_.push_back(fd);
    threads_.emplace_back([this, fd, connection = connections_++] { serve(fd, connection); });
  }
}

void ScriptedServer::serve(int fd, int connection) {
  static const std::regex length("Content-Length: (\\d+)");
  std::string received;
  std::array<char, 65536> some{};
  while (true) {
    const std::size_t end = received.find("\r\n\r\n");
    std::smatch match;
    const std::string head = end == std::string::npos ? "" : received.substr(0, end + 4);
    const bool framed = std::regex_search(head, match, length);
    const std::size_t whole = framed ? head.size() + std::stoul(match[1]) : 0;
    if (head.empty() || received.size() < whole) {
      const ssize_t got = ::recv(fd, some.data(), some.size(), 0);
      if (got <= 0) return;
      received.append(some.data(), static_cast<std::size_t>(got));
      continue;
    }
    const Request request{head, received.substr(head.size(), whole - head.size()), connection, requests_++};
    received.erase(0, whole);
    const std::string answer = answer_(request);
    std::size_t sent = 0;
    while (sent < answer.size()) {
      const ssize_t some_sent =
          ::send(fd, answer.data() + sent, std::min(piece_bytes_, answer.size() - sent), MSG_NOSIGNAL);
      if (some_sent <= 0) return;
      sent += static_cast<std::size_t>(some_sent);
    }
    if (answer.empty() || answer.find("Connection: close") != std::string::npos) {
      ::shutdown(fd, SHUT_RDWR);
      return;
    }
  }
}

}  // namespace histod::test
