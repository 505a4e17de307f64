// SPDX-License-Identifier: Apache-2.0
#include "net/udp/socket.hpp"

#include <array>
#include <cerrno>

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>

namespace histod::net::udp {

namespace {

Failure failed(std::string what) { return {{errno, std::system_category()}, std::move(what)}; }

template <typename Value>
bool set(int fd, int level, int name, const Value& value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/// The forced form needs CAP_NET_ADMIN and is not bound by net.core.rmem_max.
void ask_for_bytes(int fd, int forced, int plain, std::size_t bytes) {
  const auto value = static_cast<int>(bytes);
  if (!set(fd, SOL_SOCKET, forced, value)) set(fd, SOL_SOCKET, plain, value);
}

std::size_t granted_bytes(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &size) == 0 ? static_cast<std::size_t>(value) : 0;
}

bool set_multicast(int fd, bool v6, unsigned interface_index) {
  const int hops = k_multicast_ttl;
  const auto index = static_cast<int>(interface_index);
  if (v6) return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) && set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
  ip_mreqn request{};
  request.imr_ifindex = index;
  return set(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops) && set(fd, IPPROTO_IP, IP_MULTICAST_IF, request);
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  local_ = other.local_;
  timestamps_ = other.timestamps_;
  gro_ = other.gro_;
  gso_ = other.gso_;
  receive_bytes_ = other.receive_bytes_;
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

std::expected<Socket, Failure> Socket::open(const SocketOptions& options) {
  Socket socket;
  socket.fd_ = ::socket(options.local.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket.fd_ < 0) return std::unexpected(failed("no UDP socket"));
  if (auto failure = socket.configure(options)) return std::unexpected(std::move(*failure));
  return socket;
}

std::optional<Failure> Socket::configure(const SocketOptions& options) {
  constexpr int k_on = 1;
  const Address& local = options.local;
  if (local.v6 && !set(fd_, IPPROTO_IPV6, IPV6_V6ONLY, k_on)) return failed("IPV6_V6ONLY");
  // Several streams may come to one group's port: each socket takes what its address says.
  if (local.is_multicast() && !set(fd_, SOL_SOCKET, SO_REUSEADDR, k_on)) return failed("SO_REUSEADDR");
  ask_for_bytes(fd_, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_bytes);
  ask_for_bytes(fd_, SO_SNDBUFFORCE, SO_SNDBUF, options.send_bytes);
  receive_bytes_ = granted_bytes(fd_);
  timestamps_ = options.timestamps && set(fd_, SOL_SOCKET, SO_TIMESTAMPNS, k_on);
  gro_ = options.gro && set(fd_, IPPROTO_UDP, UDP_GRO, k_on);
  constexpr int k_no_segments = 0;
  gso_ = set(fd_, IPPROTO_UDP, UDP_SEGMENT, k_no_segments);
  if (!set_multicast(fd_, local.v6, options.multicast_interface_index)) {
    return failed("interface or TTL of multicast");
  }
  sockaddr_storage name{};
  socklen_t size = to_sockaddr(local, name);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&name), size) != 0) return failed("cannot bind " + local.text());
  size = sizeof(name);
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) != 0) return failed("getsockname");
  local_ = from_sockaddr(reinterpret_cast<sockaddr*>(&name), size).value_or(local);
  for (const Membership& membership : options.memberships) {
    if (auto failure = join(membership)) return failure;
  }
  return std::nullopt;
}

std::optional<Failure> Socket::join(const Membership& membership) {
  const int level = membership.group.v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  bool joined = false;
  if (membership.source) {
    group_source_req request{};
    request.gsr_interface = membership.interface_index;
    to_sockaddr(membership.group, request.gsr_group);
    to_sockaddr(*membership.source, request.gsr_source);
    joined = set(fd_, level, MCAST_JOIN_SOURCE_GROUP, request);
  } else {
    group_req request{};
    request.gr_interface = membership.interface_index;
    to_sockaddr(membership.group, request.gr_group);
    joined = set(fd_, level, MCAST_JOIN_GROUP, request);
  }
  if (joined) return std::nullopt;
  return failed("cannot join " + membership.group.text());
}

std::uint64_t Socket::drops() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
  socklen_t size = sizeof(values);
  if (::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, values.data(), &size) != 0) return 0;
  return values[SK_MEMINFO_DROPS];
}

}  // namespace histod::net::udp
