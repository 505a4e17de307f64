// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <stdexcept>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "tests/net/udp_dpdk_rigs.hpp"

namespace histod::test {

struct FrameRing::Rings {
  std::string name;
  rte_mempool* pool = nullptr;
  rte_ring* in = nullptr;
  rte_ring* out = nullptr;
};

namespace {

constexpr unsigned k_frames = 1023;

rte_mbuf* next_of(rte_ring* ring) {
  void* frame = nullptr;
  return rte_ring_dequeue(ring, &frame) == 0 ? static_cast<rte_mbuf*>(frame) : nullptr;
}

}  // namespace

FrameRing::FrameRing(unsigned entries) : rings_(std::make_unique<Rings>()) {
  eal();
  static int count = 0;
  Rings& rings = *rings_;
  rings.name = "frames" + std::to_string(count++);
  rings.pool = rte_pktmbuf_pool_create(rings.name.c_str(), k_frames, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  rings.in = rte_ring_create((rings.name + "_in").c_str(), 1024, SOCKET_ID_ANY, 0);
  rings.out = rte_ring_create((rings.name + "_out").c_str(), entries, SOCKET_ID_ANY, 0);
  const bool made = rings.pool != nullptr && rings.in != nullptr && rings.out != nullptr &&
                    rte_eth_from_rings(rings.name.c_str(), &rings.in, 1, &rings.out, 1, 0) >= 0;
  if (!made) throw std::runtime_error("no rings: " + net::udp::dpdk_log());
}

FrameRing::~FrameRing() {
  for (rte_ring* const ring : {rings_->in, rings_->out}) {
    while (rte_mbuf* const frame = next_of(ring)) rte_pktmbuf_free(frame);
    rte_ring_free(ring);
  }
  EXPECT_TRUE(all_home());
  rte_mempool_free(rings_->pool);
}

bool FrameRing::all_home() const { return rte_mempool_full(rings_->pool) == 1; }

std::string FrameRing::device() const { return "net_ring_" + rings_->name; }

void FrameRing::put(const std::vector<Bytes>& frames) {
  for (const Bytes& bytes : frames) {
    rte_mbuf* const frame = rte_pktmbuf_alloc(rings_->pool);
    if (frame == nullptr) throw std::runtime_error("no memory for a frame");
    std::memcpy(rte_pktmbuf_append(frame, static_cast<std::uint16_t>(bytes.size())), bytes.data(), bytes.size());
    if (rte_ring_enqueue(rings_->in, frame) != 0) throw std::runtime_error("the ring is full");
  }
}

std::vector<Bytes> FrameRing::take() {
  std::vector<Bytes> frames;
  while (rte_mbuf* const frame = next_of(rings_->out)) {
    const auto* const at = rte_pktmbuf_mtod(frame, const std::uint8_t*);
    frames.emplace_back(at, at + rte_pktmbuf_data_len(frame));
    EXPECT_EQ(frame->pkt_len, frame->data_len);
    rte_pktmbuf_free(frame);
  }
  return frames;
}

}  // namespace histod::test
