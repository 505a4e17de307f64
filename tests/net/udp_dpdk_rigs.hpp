// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/udp/dpdk_port.hpp"
#include "tests/net/udp_rig.hpp"

namespace histod::test {

/// EAL on this thread from the first call to the end of the process: without huge pages, which few machines keep free.
const net::udp::DpdkEal& eal();
/// Throws when it does not open.
net::udp::DpdkPort open_dpdk(const net::udp::DpdkOptions& options);

Surroundings over_net_ring();
Surroundings over_net_pcap();
Surroundings over_net_af_packet(bool v6);

/// A device of DPDK's driver net_ring with one queue, whose two rings are in the test's hands.
class FrameRing {
 public:
  explicit FrameRing(unsigned entries = 1024);
  ~FrameRing();  ///< after the port
  FrameRing(const FrameRing&) = delete;
  FrameRing& operator=(const FrameRing&) = delete;

  std::string device() const;
  void put(const std::vector<Bytes>& frames);
  std::vector<Bytes> take();
  /// Of the memory for the frames; all must be home again.
  bool all_home() const;

 private:
  struct Rings;
  std::unique_ptr<Rings> rings_;
};

/// Two network namespaces of the kernel's with an Ethernet cable between them. This thread lives in the near one.
class Cable {
 public:
  static std::unique_ptr<Cable> lay(std::string& why_not);
  ~Cable();
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;

  static constexpr const char* k_near_device = "histod0";
  static std::string near_ip(bool v6) { return v6 ? "2001:db8::1" : "192.0.2.1"; }
  static std::string far_ip(bool v6) { return v6 ? "2001:db8::2" : "192.0.2.2"; }
  void go_near() const;
  void go_far() const;

 private:
  Cable() = default;
  std::string set_up();

  int home_ = -1, near_ = -1, far_ = -1;
};

}  // namespace histod::test
