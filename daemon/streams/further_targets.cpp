// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/further_targets.hpp"

#include <algorithm>

#include <unistd.h>

namespace histod::daemon::streams {

namespace {

constexpr int k_send_bytes = 4 << 20;

}  // namespace

FurtherTargets::~FurtherTargets() {
  if (fd_ >= 0) ::close(fd_);
}

bool FurtherTargets::set(std::span<const net::udp::Address> targets) {
  targets_.clear();
  if (targets.empty()) return true;
  const bool v6 = targets.front().v6;
  if (fd_ < 0 || v6 != v6_) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    v6_ = v6;
    if (fd_ < 0) return false;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &k_send_bytes, sizeof k_send_bytes);
  }
  for (const net::udp::Address& address : targets) {
    Target& target = targets_.emplace_back();
    target.bytes = net::udp::to_sockaddr(address, target.address);
  }
  return true;
}

void FurtherTargets::send(std::span<const net::udp::Packet> packets) {
  if (targets_.empty()) return;
  while (!packets.empty()) {
    const auto burst = packets.first(std::min(packets.size(), k_burst));
    for (Target& target : targets_) send_burst(burst, target);
    packets = packets.subspan(burst.size());
  }
}

void FurtherTargets::send_burst(std::span<const net::udp::Packet> packets, Target& target) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::span<std::byte> payload = packets[i].payload();
    payloads_[i] = {payload.data(), payload.size()};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_name = &target.address;
    messages_[i].msg_hdr.msg_namelen = target.bytes;
    messages_[i].msg_hdr.msg_iov = &payloads_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
  for (std::size_t done = 0; done < packets.size();) {
    const int taken = ::sendmmsg(fd_, &messages_[done], static_cast<unsigned>(packets.size() - done), MSG_DONTWAIT);
    // It says what is wrong with the first only when that is the first: then this one is gone, and the rest is tried.
    if (taken > 0) sent_ += static_cast<unsigned>(taken);
    if (taken <= 0) ++failed_;
    done += taken > 0 ? static_cast<std::size_t>(taken) : 1;
  }
}

}  // namespace histod::daemon::streams
