// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/udp.h>

#include "net/udp/uring_operation.hpp"
#include "net/udp/uring_port.hpp"

namespace histod::net::udp {

namespace {

constexpr std::size_t k_datagram_max = 65'507;  ///< IPv4's 65,535 less the headers

void say_segment(msghdr& message, std::span<std::byte> control, std::size_t segment) {
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto value = static_cast<std::uint16_t>(segment);
  std::copy_n(reinterpret_cast<const std::byte*>(&value), sizeof(value),
              reinterpret_cast<std::byte*>(CMSG_DATA(header)));
}

}  // namespace

void UringPort::send(std::span<Packet> packets, const Target& target) {
  sockaddr_storage to{};
  const socklen_t to_bytes = to_sockaddr(target.to, to);
  while (!packets.empty()) {
    const std::size_t run = run_length(packets);
    if (packets.front()) queue_send(packets.first(run), to, to_bytes);
    packets = packets.subspan(run);
  }
  ring_.submit();
  complete_all();
}

/// How many of the first packets can be sent as one: all of the same length, but for the last, which may be shorter.
std::size_t UringPort::run_length(std::span<const Packet> packets) const {
  const std::size_t segment = packets.front().payload().size();
  std::size_t run = 1;
  std::size_t bytes = segment;
  while (gso_ && segment > 0 && run < packets.size() && run < k_segments_max) {
    const std::size_t before = packets[run - 1].payload().size(), next = packets[run].payload().size();
    bytes += next;
    if (before < segment || next == 0 || next > segment || bytes > k_datagram_max) break;
    ++run;
  }
  return run;
}

void UringPort::queue_send(std::span<Packet> run, const sockaddr_storage& to, socklen_t to_bytes) {
  if (free_sends_.empty()) {
    ring_.submit();
    complete_all();
  }
  io_uring_sqe* const sqe = free_sends_.empty() ? nullptr : ring_.next();
  if (sqe == nullptr) {
    stats_.send_drops.add(run.size());
    for (Packet& packet : run) packet.reset();
    return;
  }
  const unsigned index = free_sends_.back();
  free_sends_.pop_back();
  Sending& sending = sends_[index];
  std::size_t parts = 0;
  const std::byte* end = nullptr;
  sending.segment = run.front().payload().size();
  sending.packets = 0;
  for (Packet& packet : run) {
    const std::span payload = packet.payload();
    if (payload.data() == end) {
      sending.parts[parts - 1].iov_len += payload.size();
    } else {
      sending.parts[parts++] = {payload.data(), payload.size()};
    }
    end = payload.data() + payload.size();
    sending.buffers[sending.packets++] = static_cast<unsigned>(packet.release(*this));
  }
  sending.to = to;
  sending.message = {&sending.to, to_bytes, sending.parts.data(), parts, nullptr, 0, 0};
  if (run.size() > 1) say_segment(sending.message, sending.control, sending.segment);
  // What does not fit into the socket's queue now fails at once: a send that waits would be overtaken by the next.
  io_uring_prep_sendmsg(sqe, socket_.fd(), &sending.message, MSG_DONTWAIT);
  sqe->user_data = k_uring_send | index;
}

void UringPort::complete_send(unsigned index, int result) {
  Sending& sending = sends_[index];
  if (result >= 0) {
    stats_.sent_packets.add(sending.packets);
    stats_.sent_bytes.add(static_cast<std::uint64_t>(result));
  } else if (sending.packets > 1 && (result == -EINVAL || result == -EIO || result == -EMSGSIZE)) {
    // The way out cannot cut it: the device lacks checksums (EIO), or the datagrams are longer than its MTU (EMSGSIZE,
    // of older kernels EINVAL).
    gso_ = false;
    stats_.uncut.add();
    send_each(sending);
  } else {
    stats_.send_drops.add(sending.packets);
  }
  for (unsigned i = 0; i < sending.packets; ++i) give_back(sending.buffers[i]);
  free_sends_.push_back(index);
}

void UringPort::send_each(Sending& sending) {
  const auto* const to = reinterpret_cast<const sockaddr*>(&sending.to);
  for (const iovec& part : std::span(sending.parts).first(sending.message.msg_iovlen)) {
    auto* at = static_cast<std::byte*>(part.iov_base);
    for (std::size_t left = part.iov_len; left > 0;) {
      const std::size_t bytes = std::min(left, sending.segment);
      const bool sent = ::sendto(socket_.fd(), at, bytes, MSG_DONTWAIT, to, sending.message.msg_namelen) >= 0;
      (sent ? stats_.sent_packets : stats_.send_drops).add();
      if (sent) stats_.sent_bytes.add(bytes);
      at += bytes;
      left -= bytes;
    }
  }
}

}  // namespace histod::net::udp
