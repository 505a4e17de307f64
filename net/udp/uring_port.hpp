// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

#include "net/udp/buffers.hpp"
#include "net/udp/packet_source.hpp"
#include "net/udp/ring.hpp"
#include "net/udp/socket.hpp"

namespace histod::net::udp {

struct UringOptions {
  SocketOptions socket{};
  /// Receive buffers, at most 32,768. With GRO each is 64 KiB of addresses, of which what was used costs RAM.
  unsigned buffers = 1024;
  std::size_t datagram_bytes = 2048;  ///< without GRO: what is longer comes truncated
  unsigned ring_depth = 64;
  bool multishot = true;  ///< false: as on a kernel that cannot
};

/// Datagrams from a UDP socket by a ring of its own. One multishot recvmsg (Linux 6.0) puts each datagram, with its
/// source and time, into one of a ring of buffers (5.19) without a system call for each; where the kernel cannot, plain
/// recvmsg operations stand in the ring instead. What is sent on goes through the same ring, datagrams of one length in
/// one piece (GSO), wherever they lie. Nothing is copied here in user space.
class UringPort final : public PacketSource {
 public:
  static std::expected<std::unique_ptr<UringPort>, Failure> open(const UringOptions& options);
  ~UringPort() override;

  std::size_t receive(std::span<Packet> burst) override;
  void send(std::span<Packet> packets, const Target& target) override;
  bool wait(std::chrono::nanoseconds at_most) override;
  int wait_fd() const override { return ring_.get()->ring_fd; }
  const Address& local() const override { return socket_.local(); }
  bool kernel_time() const override { return socket_.timestamps(); }
  void refresh_stats() override;

  bool multishot() const { return multishot_; }
  const Socket& socket() const { return socket_; }
  /// What the kernel did not give, each with what that costs; empty: nothing is missing.
  std::vector<std::string> absent() const;

 private:
  /// What is in a buffer and was not handed out yet: one datagram, or several of equal length and a last shorter one.
  struct Arrived {
    unsigned buffer = 0;
    std::size_t offset = 0;
    std::size_t left = 0;
    std::size_t segment = 0;
    std::int64_t at_ns = 0;
    Address source{};
    bool truncated = false;
  };
  struct Plain {
    msghdr message{};
    iovec payload{};
    bool waiting = false;
  };
  static constexpr std::size_t k_segments_max = 64;  ///< of the kernel, for one send
  struct Sending {
    msghdr message{};
    std::array<iovec, k_segments_max> parts{};  ///< those that lie behind one another are one
    std::array<unsigned, k_segments_max> buffers{};
    sockaddr_storage to{};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    unsigned packets = 0;
    std::size_t segment = 0;
  };

  UringPort(const UringOptions& options, Socket socket, Ring ring, Buffers buffers);
  void give_back(std::uintptr_t token) override;
  std::error_code provide_buffers();
  void offer(unsigned buffer);
  bool start();
  void arm();
  void arm_multishot();
  void arm_plain();
  void complete_all();
  void complete(const io_uring_cqe& cqe);
  void complete_multishot(const io_uring_cqe& cqe);
  void complete_plain(unsigned buffer, int result);
  void arrived(unsigned buffer, const msghdr& message, std::size_t bytes);
  void starved();
  Packet hand_out(Arrived& from);
  void queue_send(std::span<Packet> run, const sockaddr_storage& to, socklen_t to_bytes);
  void complete_send(unsigned index, int result);
  void send_each(Sending& sending);
  std::size_t run_length(std::span<const Packet> packets) const;
  Arrived& front() { return arrived_[first_arrived_]; }

  const unsigned ring_depth_;
  bool multishot_;
  Socket socket_;
  const std::size_t receive_bytes_wanted_;
  bool gso_;
  Buffers buffers_;
  Mapping provided_memory_;
  Ring ring_;  ///< after all that the kernel writes to
  io_uring_buf_ring* provided_ = nullptr;
  unsigned provided_entries_ = 0;
  msghdr shape_{};  ///< of what multishot puts into a buffer
  bool armed_ = false;
  int start_error_ = 0;
  bool starving_ = false;
  unsigned offered_ = 0;  ///< buffers that the kernel may fill
  std::vector<Plain> plain_;
  std::vector<unsigned> idle_;    ///< without multishot: buffers at home
  std::vector<Arrived> arrived_;  ///< a queue with room for all buffers
  std::size_t first_arrived_ = 0, arrivals_ = 0;
  std::vector<Sending> sends_;
  std::vector<unsigned> free_sends_;
  std::int64_t now_ns_ = 0;
};

}  // namespace histod::net::udp
