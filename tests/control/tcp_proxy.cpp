// SPDX-License-Identifier: Apache-2.0
#include "tests/control/tcp_proxy.hpp"

#include <cstddef>
#include <cstdlib>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace histod::control::tests {

namespace {

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

int listen_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = address_of("127.0.0.1", 0);
  socklen_t bytes = sizeof address;
  const bool listens = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), bytes) == 0 && ::listen(fd, 16) == 0;
  if (!listens) std::abort();  // loopback is full
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes);
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

TcpProxy::TcpProxy(const std::string& targets) : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  std::istringstream list(targets);
  for (std::string target; std::getline(list, target, ',');) {
    const std::size_t colon = target.rfind(':');
    std::uint16_t port = 0;
    const int listener = listen_on_loopback(port);
    gates_.push_back(
        {listener, target.substr(0, colon), static_cast<std::uint16_t>(std::stoi(target.substr(colon + 1)))});
    address_ += (address_.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(port));
  }
  thread_ = std::jthread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stopping_ = true;
  ::eventfd_write(wake_, 1);
  thread_.join();
  for (const Gate& gate : gates_) ::close(gate.listener);
  for (const Pipe& pipe : pipes_) {
    for (const int end : pipe.ends) ::close(end);
  }
  ::close(wake_);
}

void TcpProxy::cut(Cut cut) {
  cut_ = cut;
  ::eventfd_write(wake_, 1);
}

bool TcpProxy::forwards(std::size_t from) const {
  const Cut cut = cut_;
  return cut == Cut::none || cut == (from == 0 ? Cut::answers : Cut::requests);
}

void TcpProxy::run() {
  while (!stopping_) {
    std::vector<pollfd> polled{{wake_, POLLIN, 0}};
    for (const Gate& gate : gates_) polled.push_back({gate.listener, POLLIN, 0});
    for (const Pipe& pipe : pipes_) {
      for (std::size_t i = 0; i < 2; ++i) polled.push_back({forwards(i) ? pipe.ends[i] : -1, POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), -1);
    eventfd_t woken = 0;
    ::eventfd_read(wake_, &woken);
    std::size_t next = 1 + gates_.size();
    for (Pipe& pipe : pipes_) {
      for (std::size_t i = 0; i < 2; ++i, ++next) {
        if (polled[next].revents != 0 && !pipe.broken) forward(pipe, i);
      }
    }
    for (std::size_t i = 0; i < gates_.size(); ++i) {
      if (polled[1 + i].revents != 0) accept(gates_[i]);
    }
    pipes_.remove_if([](const Pipe& pipe) { return pipe.broken; });
  }
}

void TcpProxy::accept(const Gate& gate) {
  Pipe pipe;
  pipe.ends[0] = ::accept4(gate.listener, nullptr, nullptr, SOCK_CLOEXEC);
  pipe.ends[1] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in target = address_of(gate.host, gate.port);
  if (::connect(pipe.ends[1], reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0) {
    pipes_.push_back(pipe);
    return;
  }
  for (const int end : pipe.ends) ::close(end);
}

void TcpProxy::forward(Pipe& pipe, std::size_t from) {
  std::array<char, 65'536> buffer;
  const ssize_t got = ::recv(pipe.ends[from], buffer.data(), buffer.size(), 0);
  if (got > 0 && ::send(pipe.ends[1 - from], buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got) return;
  for (const int end : pipe.ends) ::close(end);
  pipe.broken = true;
}

}  // namespace histod::control::tests
