// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/further_targets.hpp"

#include <algorithm>

namespace histod::daemon::streams {

namespace udp = net::udp;

void FurtherTargets::set(std::span<const udp::Address> targets) {
  targets_.clear();
  if (targets.empty()) return;
  if (const bool v6 = targets.front().v6; !socket_ || socket_->local().v6 != v6) {
    udp::SocketOptions options{.receive_bytes = 0, .timestamps = false, .gro = false};
    options.local.v6 = v6;
    if (!interface_.empty())
      options.multicast_interface_index = udp::interface_index(*udp::parse_address(interface_, 0));
    auto socket = udp::Socket::open(options);
    socket_.reset();
    if (socket) socket_ = std::move(*socket);
  }
  for (const udp::Address& address : targets) {
    Target& target = targets_.emplace_back();
    target.bytes = udp::to_sockaddr(address, target.address);
  }
}

void FurtherTargets::send(std::span<const udp::Packet> packets) {
  if (targets_.empty()) return;
  while (!packets.empty()) {
    const auto burst = packets.first(std::min(packets.size(), k_burst));
    for (Target& target : targets_) send_burst(burst, target);
    packets = packets.subspan(burst.size());
  }
}

void FurtherTargets::send_burst(std::span<const udp::Packet> packets, Target& target) {
  if (!socket_) {
    failed_ += packets.size();
    return;
  }
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
    const int taken =
        ::sendmmsg(socket_->fd(), &messages_[done], static_cast<unsigned>(packets.size() - done), MSG_DONTWAIT);
    // It says what is wrong with the first only when that is the first: then this one is gone, and the rest is tried.
    if (taken > 0) sent_ += static_cast<unsigned>(taken);
    if (taken <= 0) ++failed_;
    done += taken > 0 ? static_cast<std::size_t>(taken) : 1;
  }
}

}  // namespace histod::daemon::streams
