// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scripted_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <regex>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace histod::test {

std::string ok_answer(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

ScriptedServer::ScriptedServer(Answer answer, std::size_t piece_bytes)
    : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      answer_(std::move(answer)),
      piece_bytes_(piece_bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listening_, generic, bytes) != 0 || ::listen(listening_, 511) != 0 ||
      ::getsockname(listening_, generic, &bytes) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot listen on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  ::shutdown(listening_, SHUT_RDWR);
  acceptor_.join();
  ::close(listening_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : sockets_) ::close(fd);
}

void ScriptedServer::accept_all() {
  while (true) {
    const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
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
    const std::size_t whole = framed ? head.size() + std::stoul(match[1]) : head.size();
    if (head.empty() || received.size() < whole) {
      const ssize_t got = ::recv(fd, some.data(), some.size(), 0);
      if (got <= 0) return;
      received.append(some.data(), static_cast<std::size_t>(got));
      continue;
    }
    const Request request{head, received.substr(head.size(), whole - head.size()), connection, requests_++};
    received.erase(0, whole);
    const Reply reply = answer_(request);
    if (!send(fd, reply)) return;
    if (reply.end == Reply::End::keep) continue;
    const sockaddr nowhere{};
    if (reply.end == Reply::End::reset) (void)::connect(fd, &nowhere, sizeof nowhere);  // disconnects: a reset
    ::shutdown(fd, SHUT_RDWR);
    return;
  }
}

/// False when the client has gone.
bool ScriptedServer::send(int fd, const Reply& reply) {
  for (std::size_t sent = 0; sent < reply.bytes.size();) {
    const ssize_t some =
        ::send(fd, reply.bytes.data() + sent, std::min(piece_bytes_, reply.bytes.size() - sent), MSG_NOSIGNAL);
    if (some <= 0) return false;
    sent += static_cast<std::size_t>(some);
    if (reply.forever && sent == reply.bytes.size()) sent = 0;
    pollfd gone{fd, POLLRDHUP, 0};
    if (reply.pause.count() > 0 && ::poll(&gone, 1, static_cast<int>(reply.pause.count())) > 0) return false;
  }
  return true;
}

}  // namespace histod::test
