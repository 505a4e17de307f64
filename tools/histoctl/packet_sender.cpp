// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/packet_sender.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace {

constexpr int k_socket_buffer_bytes = 4 << 20;

/// No room at the moment, or a packet filter's will: the packet is lost as in a network.
bool loses_one_packet(int error) {
  return error == ENOBUFS || error == ENOMEM || error == EPERM || error == ECONNREFUSED;
}

Failure failure_of_errno(int error, const std::string& host) {
  if (error == EMSGSIZE) return fail(Exit::some_failed, "packets are too large for the network (--mtu)").error();
  const bool away = error == ENETUNREACH || error == EHOSTUNREACH || error == EADDRNOTAVAIL || error == ENETDOWN;
  return fail(away ? Exit::unreachable : Exit::some_failed,
              fmt::format("cannot send to {}: {}", one_line(host), std::strerror(error)))
      .error();
}

}  // namespace

PacketSender::PacketSender(int fd, const sockaddr_storage& address, socklen_t address_bytes)
    : fd_(fd),
      address_(address),
      address_bytes_(address_bytes),
      headers_(k_batch_max * k_header_octets_max),
      vectors_(k_batch_max * k_vectors_max),
      messages_(k_batch_max) {}

PacketSender::PacketSender(PacketSender&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      address_(other.address_),
      address_bytes_(other.address_bytes_),
      headers_(std::move(other.headers_)),
      vectors_(std::move(other.vectors_)),
      messages_(std::move(other.messages_)),
      waiting_(std::exchange(other.waiting_, 0)),
      counts_(other.counts_) {}

PacketSender::~PacketSender() {
  if (fd_ >= 0) ::close(fd_);
}

Result<PacketSender> PacketSender::open(const HostPort& to, const Options& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &found);
  if (code != 0) {
    return fail(Exit::unreachable, fmt::format("{}: {}", one_line(to.host), ::gai_strerror(code)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Exit::some_failed, fmt::format("cannot open a socket: {}", std::strerror(errno)));
  sockaddr_storage address{};
  std::memcpy(&address, found->ai_addr, found->ai_addrlen);
  PacketSender out(fd, address, found->ai_addrlen);
  // The kernel gives less where its limit is lower: then it is waited for more often.
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &k_socket_buffer_bytes, sizeof k_socket_buffer_bytes);
  if (const auto set = out.set_multicast(options); !set) return std::unexpected(set.error());
  return out;
}

bool PacketSender::multicast() const {
  if (ipv6()) return reinterpret_cast<const sockaddr_in6&>(address_).sin6_addr.s6_addr[0] == 0xff;
  return ntohl(reinterpret_cast<const sockaddr_in&>(address_).sin_addr.s_addr) >> 28 == 0xe;
}

std::string PacketSender::numeric_host() const {
  std::array<char, NI_MAXHOST> text{};
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address_), address_bytes_, text.data(),
                static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST);
  return text.data();
}

Result<void> PacketSender::set_multicast(const Options& options) const {
  if (options.ttl > 0) {
    const int hops = static_cast<int>(options.ttl);
    const int level = ipv6() ? IPPROTO_IPV6 : IPPROTO_IP;
    ::setsockopt(fd_, level, ipv6() ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, &hops, sizeof hops);
  }
  if (options.interface.empty()) return {};
  in_addr interface{};
  if (ipv6() || ::inet_pton(AF_INET, options.interface.c_str(), &interface) != 1) {
    return fail(Exit::usage, "--interface: wants an IPv4 address here, and an IPv4 group to send to");
  }
  if (::setsockopt(fd_, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) == 0) return {};
  return fail(Exit::some_failed, fmt::format("--interface: {}: {}", options.interface, std::strerror(errno)));
}

void PacketSender::add(const net::rtp::Packetizer::Plan& plan, const PackedFrame& frame) {
  assert(!full() && plan.header.size() <= k_header_octets_max && plan.segments.size() < k_vectors_max);
  std::byte* const header = &headers_[waiting_ * k_header_octets_max];
  iovec* const vectors = &vectors_[waiting_ * k_vectors_max];
  std::ranges::copy(plan.header, header);
  vectors[0] = {header, plan.header.size()};
  for (std::size_t i = 0; i < plan.segments.size(); ++i) {
    const auto octets = frame.octets_of(plan.segments[i]);
    vectors[i + 1] = {const_cast<std::byte*>(octets.data()), octets.size()};
  }
  msghdr& message = messages_[waiting_].msg_hdr;
  message = {};
  message.msg_iov = vectors;
  message.msg_iovlen = plan.segments.size() + 1;
  ++waiting_;
}

Result<void> PacketSender::flush() {
  for (std::size_t i = 0; i < waiting_; ++i) {
    messages_[i].msg_hdr.msg_name = &address_;
    messages_[i].msg_hdr.msg_namelen = address_bytes_;
  }
  for (std::size_t at = 0; at < waiting_;) {
    const int sent = ::sendmmsg(fd_, &messages_[at], static_cast<unsigned>(waiting_ - at), 0);
    for (int i = 0; i < sent; ++i) counts_.octets += messages_[at + static_cast<std::size_t>(i)].msg_len;
    if (sent > 0) {
      counts_.packets += static_cast<std::uint64_t>(sent);
      at += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR && interrupted()) return fail(Exit::interrupted, "interrupted");
    if (errno == EINTR) continue;
    if (!loses_one_packet(errno)) return std::unexpected(failure_of_errno(errno, numeric_host()));
    counts_.error = errno;
    ++counts_.failed;
    ++at;
  }
  waiting_ = 0;
  return {};
}

}  // namespace histod::ctl
