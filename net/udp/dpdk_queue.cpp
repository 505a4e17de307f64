// SPDX-License-Identifier: Apache-2.0
#include "net/udp/dpdk_queue.hpp"

#include <algorithm>
#include <bit>
#include <ctime>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace histod::net::udp {

namespace {

constexpr std::size_t k_burst = 64;
constexpr std::size_t k_udp_bytes = 8;

std::int64_t real_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

std::span<std::byte> bytes_of(rte_mbuf* frame) {
  return {rte_pktmbuf_mtod(frame, std::byte*), rte_pktmbuf_data_len(frame)};
}

/// By how much a device's counter grew; the device may have set it back.
std::uint64_t growth(std::uint64_t& before, std::uint64_t now) {
  const std::uint64_t by = now < before ? now : now - before;
  before = now;
  return by;
}

}  // namespace

DpdkQueue::DpdkQueue(std::uint16_t port, std::uint16_t queue, const DpdkOptions& options, const Mac& mac,
                     rte_mempool* pool, bool counts_device)
    : port_(port),
      queue_(queue),
      local_(options.local),
      groups_(options.groups),
      mac_(mac),
      pool_(pool),
      counts_device_(counts_device) {}

DpdkQueue::~DpdkQueue() { assert(stats_.leases.get() == 0); }

void DpdkQueue::give_back(std::uintptr_t token) {
  starving_ = false;
  rte_pktmbuf_free(std::bit_cast<rte_mbuf*>(token));
}

std::size_t DpdkQueue::receive(std::span<Packet> burst) {
  for (Packet& packet : burst) packet.reset();
  std::size_t count = 0;
  while (count < burst.size()) {
    std::array<rte_mbuf*, k_burst> frames;
    const auto asked = static_cast<std::uint16_t>(std::min(frames.size(), burst.size() - count));
    const std::uint16_t got = rte_eth_rx_burst(port_, queue_, frames.data(), asked);
    if (got == 0) break;
    const std::int64_t now_ns = real_time_ns();
    for (rte_mbuf* const frame : std::span(frames).first(got)) count += take(frame, now_ns, burst[count]) ? 1 : 0;
    if (got < asked) return count;
  }
  if (count == 0) look_for_starvation();
  return count;
}

/// A device without a buffer to fill looks like one to which nothing comes.
void DpdkQueue::look_for_starvation() {
  if (starving_ || stats_.leases.get() == 0 || rte_mempool_empty(pool_) == 0) return;
  starving_ = true;
  stats_.starved.add();
}

bool DpdkQueue::take(rte_mbuf* frame, std::int64_t now_ns, Packet& into) {
  const std::span bytes = bytes_of(frame);
  const auto parsed = parse_udp_frame(bytes);
  const bool bad_checksum = (frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
  if (!parsed || bad_checksum || !is_ours(parsed->destination)) {
    refuse(!parsed ? parsed.error() : bad_checksum ? FrameRefusal::malformed : FrameRefusal::foreign);
    rte_pktmbuf_free(frame);
    return false;
  }
  const FrameLayout& layout = parsed->layout;
  frame->l2_len = layout.ip & 0x7f;
  frame->l3_len = (layout.udp - layout.ip) & 0x1ff;
  const std::span payload = bytes.subspan(layout.payload, layout.payload_bytes);
  into = Packet(*this, std::bit_cast<std::uintptr_t>(frame), payload, parsed->source, now_ns, parsed->truncated);
  stats_.received_packets.add();
  stats_.received_bytes.add(payload.size());
  if (parsed->truncated) stats_.truncated.add();
  stats_.leases.add();
  return true;
}

bool DpdkQueue::is_ours(const Address& destination) const {
  const auto same_ip = [&](const Address& one) { return one.v6 == destination.v6 && one.ip == destination.ip; };
  return destination.port == local_.port && (same_ip(local_) || std::ranges::any_of(groups_, same_ip));
}

void DpdkQueue::refuse(FrameRefusal refusal) {
  switch (refusal) {
    case FrameRefusal::foreign:
      return stats_.foreign.add();
    case FrameRefusal::fragment:
      return stats_.fragments.add();
    case FrameRefusal::malformed:
      return stats_.malformed.add();
  }
}

/// Null, and counted, when it cannot be sent there.
rte_mbuf* DpdkQueue::readdressed(Packet& packet, const Target& target) {
  FrameLayout layout{.payload_bytes = packet.payload().size(), .v6 = packet.source().v6};
  auto* const frame = std::bit_cast<rte_mbuf*>(packet.release(*this));
  if (target.to.v6 != layout.v6) {
    stats_.send_drops.add();
    rte_pktmbuf_free(frame);
    return nullptr;
  }
  layout.ip = frame->l2_len;
  layout.udp = layout.ip + frame->l3_len;
  layout.payload = layout.udp + k_udp_bytes;
  const bool group = target.to.is_multicast();
  Hop hop{
      .from_mac = mac_, .to_mac = {}, .from = local_, .to = target.to, .ttl = group ? k_multicast_ttl : k_unicast_ttl};
  hop.to_mac = group ? multicast_mac(target.to) : target.next_hop ? *target.next_hop : source_mac(bytes_of(frame));
  const std::size_t bytes = readdress(bytes_of(frame), layout, hop);
  if (frame->next != nullptr) rte_pktmbuf_free(std::exchange(frame->next, nullptr));
  frame->nb_segs = 1;
  frame->data_len = static_cast<std::uint16_t>(bytes);
  frame->pkt_len = static_cast<std::uint32_t>(bytes);
  frame->ol_flags = 0;
  return frame;
}

void DpdkQueue::send(std::span<Packet> packets, const Target& target) {
  starving_ = false;
  while (!packets.empty()) {
    std::array<rte_mbuf*, k_burst> frames;
    std::size_t count = 0;
    const std::size_t taken = std::min(packets.size(), frames.size());
    std::uint64_t bytes = 0;
    for (Packet& packet : packets.first(taken)) {
      if (!packet) continue;
      const std::size_t payload_bytes = packet.payload().size();
      if (rte_mbuf* const frame = readdressed(packet, target)) {
        frames[count++] = frame;
        bytes += payload_bytes;
      }
    }
    transmit(std::span(frames).first(count), bytes);
    packets = packets.subspan(taken);
  }
}

void DpdkQueue::transmit(std::span<rte_mbuf*> frames, std::uint64_t bytes) {
  const std::uint16_t sent = rte_eth_tx_burst(port_, queue_, frames.data(), static_cast<std::uint16_t>(frames.size()));
  stats_.sent_packets.add(sent);
  for (rte_mbuf* const frame : frames.subspan(sent)) {
    stats_.send_drops.add();
    bytes -= frame->pkt_len - frame->l2_len - frame->l3_len - k_udp_bytes;
    rte_pktmbuf_free(frame);
  }
  stats_.sent_bytes.add(bytes);
}

void DpdkQueue::refresh_stats() {
  rte_eth_stats device{};
  if (!counts_device_ || rte_eth_stats_get(port_, &device) != 0) return;
  stats_.dropped.add(growth(device_missed_, device.imissed));
  stats_.malformed.add(growth(device_errors_, device.ierrors));
  stats_.starved.add(growth(device_starved_, device.rx_nombuf));
}

}  // namespace histod::net::udp
