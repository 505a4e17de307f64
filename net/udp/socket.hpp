// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <utility>
#include <vector>

#include <unistd.h>

#include "net/udp/packet_source.hpp"

namespace histod::net::udp {

/// A multicast group to be a member of.
struct Membership {
  Address group;                    ///< its port does not matter
  std::optional<Address> source{};  ///< only what this one sends to it (source-specific multicast)
  unsigned interface_index = 0;     ///< 0: where the routes say
};

struct SocketOptions {
  Address local{};                        ///< what to bind; port 0: any, see Socket::local()
  std::size_t receive_bytes = 16u << 20;  ///< room for what was not taken yet; what was had: Socket::receive_bytes()
  std::size_t send_bytes = 4u << 20;
  bool timestamps = true;  ///< when the kernel took each datagram in
  bool gro = true;         ///< datagrams of a flow in one piece (Linux 5.0), where the device joins them
  unsigned multicast_interface_index = 0;  ///< where that goes out; 0: where the routes say
  std::vector<Membership> memberships{};
};

/// A bound UDP socket with all that the kernel gives of what was asked for. It blocks: io_uring would fail where it is
/// to wait.
class Socket {
 public:
  static std::expected<Socket, Failure> open(const SocketOptions& options);
  Socket(Socket&& other) noexcept { *this = std::move(other); }
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  int fd() const { return fd_; }
  const Address& local() const { return local_; }
  bool timestamps() const { return timestamps_; }
  bool gro() const { return gro_; }
  bool gso() const { return gso_; }  ///< several datagrams may be sent at once (Linux 4.18)
  /// As the kernel counts it: of what is asked for it grants net.core.rmem_max and doubles it for its own needs, unless
  /// the process has CAP_NET_ADMIN.
  std::size_t receive_bytes() const { return receive_bytes_; }
  /// Datagrams that the kernel dropped here since the socket was opened.
  std::uint64_t drops() const;

 private:
  Socket() = default;
  std::optional<Failure> configure(const SocketOptions& options);
  std::optional<Failure> join(const Membership& membership);

  int fd_ = -1;
  Address local_;
  bool timestamps_ = false;
  bool gro_ = false;
  bool gso_ = false;
  std::size_t receive_bytes_ = 0;
};

}  // namespace histod::net::udp
