// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "net/rtp/packetizer.hpp"
#include "tools/histoctl/failure.hpp"
#include "tools/histoctl/stream_values.hpp"
#include "tools/histoctl/video_frame.hpp"

namespace histod::ctl {

/// Sends packets by UDP, many with one call of the kernel, to somebody who need not be there: the socket is not
/// connected, so that "nobody listens" is no error.
class PacketSender {
 public:
  struct Options {
    unsigned ttl = 0;       ///< of multicast; 0: the kernel's, 1
    std::string interface;  ///< IPv4 address of the interface for multicast; empty: where the routes say
  };
  struct Counts {
    std::uint64_t packets = 0;
    std::uint64_t octets = 0;  ///< of RTP packets
    std::uint64_t failed = 0;  ///< packets that the kernel did not take
    int error = 0;             ///< errno of the last of them
  };
  static constexpr std::size_t k_batch_max = 64;

  /// Exit::unreachable for a name that has no address.
  static Result<PacketSender> open(const HostPort& to, const Options& options);
  PacketSender(PacketSender&& other) noexcept;
  PacketSender& operator=(PacketSender&&) = delete;
  ~PacketSender();

  bool ipv6() const { return address_.ss_family == AF_INET6; }
  bool multicast() const;
  std::string numeric_host() const;

  /// Takes the header; of the pixels it keeps where they are. At most k_batch_max may wait.
  void add(const net::rtp::Packetizer::Plan& plan, const PackedFrame& frame);
  bool full() const { return waiting_ == k_batch_max; }
  /// Sends what waits. Waits for the kernel where that must be; packets that it has no room for are counted and gone.
  /// Exit::interrupted; Exit::unreachable; or what is wrong with all packets.
  Result<void> flush();

  const Counts& counts() const { return counts_; }

 private:
  static constexpr std::size_t k_vectors_max = 1 + net::rtp::Packetizer::k_segments_max;
  static constexpr std::size_t k_header_octets_max =
      net::rtp::k_fixed_header_octets + net::rtp::payload_header_octets(net::rtp::Packetizer::k_segments_max);

  PacketSender(int fd, const sockaddr_storage& address, socklen_t address_bytes);
  Result<void> set_multicast(const Options& options) const;

  int fd_ = -1;
  sockaddr_storage address_{};
  socklen_t address_bytes_ = 0;
  std::vector<std::byte> headers_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
  std::size_t waiting_ = 0;
  Counts counts_;
};

}  // namespace histod::ctl
