// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "net/udp/dpdk_port.hpp"
#include "net/udp/ethernet.hpp"
#include "net/udp/packet_source.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace histod::net::udp {

/// One receive and one transmit queue of a started device. A packet's token is its mbuf.
class DpdkQueue final : public PacketSource {
 public:
  /// `counts_device`: its counters are the device's, for one queue of it.
  DpdkQueue(std::uint16_t port, std::uint16_t queue, const DpdkOptions& options, const Mac& mac, rte_mempool* pool,
            bool counts_device);
  ~DpdkQueue() override;

  std::size_t receive(std::span<Packet> burst) override;
  void send(std::span<Packet> packets, const Target& target) override;
  bool wait(std::chrono::nanoseconds) override { return true; }
  int wait_fd() const override { return -1; }
  const Address& local() const override { return local_; }
  bool kernel_time() const override { return false; }
  void refresh_stats() override;

 private:
  void give_back(std::uintptr_t token) override;
  bool take(rte_mbuf* frame, std::int64_t now_ns, Packet& into);
  bool is_ours(const Address& destination) const;
  void refuse(FrameRefusal refusal);
  rte_mbuf* readdressed(Packet& packet, const Target& target);
  void transmit(std::span<rte_mbuf*> frames, std::uint64_t bytes);
  void look_for_starvation();

  const std::uint16_t port_, queue_;
  const Address local_;
  const std::vector<Address> groups_;
  const Mac mac_;
  rte_mempool* const pool_;
  const bool counts_device_;
  bool starving_ = false;
  std::uint64_t device_missed_ = 0, device_errors_ = 0, device_starved_ = 0;
};

}  // namespace histod::net::udp
