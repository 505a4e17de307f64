// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/udp/packet_source.hpp"
#include "net/udp/socket.hpp"

namespace histod::daemon::streams {

/// Sends packets to more than the one target that gets them in place, by a socket of the kernel's: a system call for up
/// to 64 packets, no copy in user space. Never waits: what does not fit into the socket's queue is counted and gone.
class FurtherTargets {
 public:
  /// `interface`: the address of the one that leads to groups; empty: where the routes say.
  explicit FurtherTargets(std::string interface) : interface_(std::move(interface)) {}

  /// Opens a socket when there are any; those before are forgotten. Without a socket to be had all sends fail.
  void set(std::span<const net::udp::Address> targets);
  void send(std::span<const net::udp::Packet> packets);
  std::uint64_t sent() const { return sent_; }
  std::uint64_t failed() const { return failed_; }

 private:
  static constexpr std::size_t k_burst = 64;
  struct Target {
    sockaddr_storage address{};
    socklen_t bytes = 0;
  };
  void send_burst(std::span<const net::udp::Packet> packets, Target& target);

  const std::string interface_;
  std::optional<net::udp::Socket> socket_;
  std::vector<Target> targets_;
  std::array<mmsghdr, k_burst> messages_{};
  std::array<iovec, k_burst> payloads_{};
  std::uint64_t sent_ = 0, failed_ = 0;
};

}  // namespace histod::daemon::streams
