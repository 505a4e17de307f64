// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "net/udp/dpdk_eal.hpp"
#include "net/udp/packet_source.hpp"

namespace histod::net::udp {

struct DpdkOptions {
  /// The PCI address of a device that was allowed when EAL started, or a virtual one with its arguments, which is made
  /// here unless there is one of that name: "net_af_packet0,iface=eth1". One port for a device.
  std::string device;
  Address local{};                 ///< of which datagrams are taken, and from which they are sent on: not "any"
  std::vector<Address> groups{};   ///< multicast addresses that are taken too, at local's UDP port
  unsigned queues = 1;             ///< one for each worker; the device spreads flows over them
  unsigned buffers = 4096;         ///< frames of each queue that may be out, waiting, or being filled by the device
  std::size_t frame_bytes = 2048;  ///< the longest frame that is taken whole
  unsigned descriptors = 1024;     ///< of each queue's ring in the device; it rounds as it must
};

/// A device that DPDK drives, and a PacketSource for each of its queues, each for one thread. Frames stay where the
/// device put them (mbufs). ARP, ICMP and IGMP are the kernel's: net_af_packet shares the kernel's interface, where
/// also the kernel sees each datagram, and would answer it with "port unreachable" did no socket or packet filter take
/// it; a card that is all DPDK's needs a second port, or a rule in its switch, for them.
class DpdkPort {
 public:
  static std::expected<DpdkPort, Failure> open(const DpdkEal& eal, const DpdkOptions& options);
  DpdkPort(DpdkPort&&) noexcept;
  DpdkPort& operator=(DpdkPort&&) noexcept;
  ~DpdkPort();  ///< stops the device; all packets must be home (asserted)

  PacketSource& queue(unsigned index);
  unsigned queues() const;
  std::string driver() const;
  /// What the device cannot, each with what that costs; empty: nothing is missing.
  std::vector<std::string> absent() const;

 private:
  class Device;
  explicit DpdkPort(std::unique_ptr<Device> device);
  std::unique_ptr<Device> device_;
};

}  // namespace histod::net::udp
