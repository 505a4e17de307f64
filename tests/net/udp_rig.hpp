// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/udp/packet_source.hpp"
#include "tests/net/udp_frames.hpp"

namespace histod::test {

struct PortSize {
  unsigned buffers = 512;
  bool small = false;  ///< its buffers take datagrams of Rig::longest() only, not those that fit into an Ethernet frame
};

/// What surrounds a port: who sends to it, and who gets what it sends on. Nothing of net/udp does either.
class Rig {
 public:
  virtual ~Rig() = default;
  /// Opens the port and sends these to it from source().
  virtual net::udp::PacketSource& open(const PortSize& size, const std::vector<Bytes>& datagrams) = 0;
  /// Sends more; false where all has to be known beforehand (a capture file).
  virtual bool deliver(const std::vector<Bytes>& datagrams) = 0;
  /// The longest datagram that is taken whole.
  virtual std::size_t longest(bool small) const { return small ? 916 : 1472; }
  virtual net::udp::Address source() const = 0;
  virtual net::udp::Target sink() const = 0;
  virtual void close() = 0;
  /// What came to sink(), in order, when so many are there (or none came for long). Closes the port where it must.
  virtual std::vector<Bytes> collect(std::size_t count) = 0;
  virtual bool sends_in_memory_of_its_own() const { return false; }  ///< so the port's buffers cannot run out
  virtual bool loses_when_starved() const { return false; }
};

struct Surroundings {
  std::string name;
  /// Null, and why, where this machine does not allow it.
  std::function<std::unique_ptr<Rig>(std::string& why)> make;
};
void PrintTo(const Surroundings& surroundings, std::ostream* out);

/// One body of tests for all ports; each test program instantiates it for its own.
class PacketPort : public testing::TestWithParam<Surroundings> {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::unique_ptr<Rig> rig_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PacketPort);

std::string surroundings_name(const testing::TestParamInfo<Surroundings>& info);

Bytes copy_of(const net::udp::Packet& packet);
/// Receives in bursts of `burst` until `count` are there, or nothing came for ten seconds.
std::vector<net::udp::Packet> receive(net::udp::PacketSource& port, std::size_t count, std::size_t burst = 32);
/// The same, but gives them back at once.
std::vector<Bytes> receive_bytes(net::udp::PacketSource& port, std::size_t count, std::size_t burst = 32);

}  // namespace histod::test
