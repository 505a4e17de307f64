// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "net/udp/address.hpp"
#include "tests/net/udp_frames.hpp"

namespace histod::test {

/// A plain UDP socket that sends and receives by the oldest calls there are: what ports are compared with.
class PlainSocket {
 public:
  /// Bound to a port of the kernel's choice.
  explicit PlainSocket(const std::string& ip);
  ~PlainSocket();
  PlainSocket(const PlainSocket&) = delete;
  PlainSocket& operator=(const PlainSocket&) = delete;

  int fd() const { return fd_; }
  net::udp::Address address() const;
  bool send(const net::udp::Address& to, const Bytes& bytes) const;
  /// Several datagrams of this size (the last may be shorter) in one call, by the kernel's segmentation.
  bool send_segments(const net::udp::Address& to, const Bytes& bytes, std::uint16_t segment) const;
  /// Nothing when none comes for ten seconds.
  std::optional<Bytes> receive() const;
  std::vector<Bytes> receive(std::size_t count) const;
  bool nothing_there() const;

 private:
  int fd_ = -1;
};

}  // namespace histod::test
