// SPDX-License-Identifier: Apache-2.0
#include "tests/net/udp_sockets.hpp"

#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace histod::test {

using net::udp::Address;

namespace {

struct Raw {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Raw raw(const std::string& ip, std::uint16_t port) {
  Raw raw;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&raw.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&raw.storage);
  if (::inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    raw.bytes = sizeof(*v4);
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    raw.bytes = sizeof(*v6);
  }
  return raw;
}

Raw raw(const Address& address) {
  std::string ip = address.text();
  ip.resize(ip.rfind(':'));
  if (address.v6) ip = ip.substr(1, ip.size() - 2);
  return raw(ip, address.port);
}

}  // namespace

PlainSocket::PlainSocket(const std::string& ip) {
  const Raw own = raw(ip, 0);
  fd_ = ::socket(own.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const int room = 4 << 20;
  if (::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
  }
  if (fd_ < 0 || ::bind(fd_, own.get(), own.bytes) != 0) throw std::runtime_error("no socket on " + ip);
}

PlainSocket::~PlainSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Address PlainSocket::address() const {
  sockaddr_storage name{};
  socklen_t bytes = sizeof(name);
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &bytes);
  return net::udp::from_sockaddr(reinterpret_cast<sockaddr*>(&name), bytes).value();
}

bool PlainSocket::send(const Address& to, const Bytes& bytes) const {
  const Raw there = raw(to);
  return ::sendto(fd_, bytes.data(), bytes.size(), 0, there.get(), there.bytes) == static_cast<ssize_t>(bytes.size());
}

bool PlainSocket::send_segments(const Address& to, const Bytes& bytes, std::uint16_t segment) const {
  const Raw there = raw(to);
  const int size = segment;
  ::setsockopt(fd_, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
  const bool sent =
      ::sendto(fd_, bytes.data(), bytes.size(), 0, there.get(), there.bytes) == static_cast<ssize_t>(bytes.size());
  const int none = 0;
  ::setsockopt(fd_, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none));
  return sent;
}

std::optional<Bytes> PlainSocket::receive() const {
  Bytes bytes(65536);
  const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (got < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

std::vector<Bytes> PlainSocket::receive(std::size_t count) const {
  std::vector<Bytes> all;
  while (all.size() < count) {
    auto one = receive();
    if (!one) break;
    all.push_back(std::move(*one));
  }
  return all;
}

bool PlainSocket::nothing_there() const {
  char byte = 0;
  return ::recv(fd_, &byte, 1, MSG_DONTWAIT) < 0;
}

}  // namespace histod::test
