// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_ring.hpp"

#include <array>
#include <cstring>
#include <ctime>
#include <future>
#include <memory>

#include <fmt/format.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_udp.h>

#include "daemon/streams/loop.hpp"
#include "net/udp/dpdk_port.hpp"
#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace udp = net::udp;
namespace streams = daemon::streams;

namespace {

constexpr unsigned k_ring_entries = 4096, k_frames_out = 2 * k_ring_entries - 1;
constexpr std::size_t k_batch = 1024;  ///< packets: no more than what fits the second-level cache, as of a card
constexpr std::uint16_t k_port = 5004;
constexpr const char *k_here = "192.0.2.1", *k_there = "192.0.2.2", *k_name = "video";

struct Headers {
  rte_ether_hdr ethernet;
  rte_ipv4_hdr ip;
  rte_udp_hdr udp;
};
static_assert(sizeof(Headers) == 42, "as on the wire");

std::uint32_t ipv4_of(const char* text) {
  std::uint32_t value = 0;
  const auto address = udp::parse_address(text, 0);
  std::memcpy(&value, address->ip.data(), sizeof value);
  return value;
}

Headers headers_for(std::size_t octets) {
  Headers headers{};
  headers.ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
  headers.ip.version_ihl = 0x45;
  headers.ip.total_length =
      rte_cpu_to_be_16(static_cast<std::uint16_t>(sizeof headers.ip + sizeof headers.udp + octets));
  headers.ip.time_to_live = 64;
  headers.ip.next_proto_id = 17;
  headers.ip.src_addr = ipv4_of(k_there);
  headers.ip.dst_addr = ipv4_of(k_here);
  headers.ip.hdr_checksum = rte_ipv4_cksum(&headers.ip);
  headers.udp.src_port = headers.udp.dst_port = rte_cpu_to_be_16(k_port);
  headers.udp.dgram_len = rte_cpu_to_be_16(static_cast<std::uint16_t>(sizeof headers.udp + octets));
  return headers;
}

/// The two rings, and the packets in them.
class Rings {
 public:
  explicit Rings(std::size_t octets) : headers_(headers_for(octets)) {
    pool_ = rte_pktmbuf_pool_create("video_pool", k_frames_out, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    in_ = rte_ring_create("video_in", k_ring_entries, SOCKET_ID_ANY, 0);
    out_ = rte_ring_create("video_out", k_ring_entries, SOCKET_ID_ANY, 0);
    const bool made =
        pool_ != nullptr && in_ != nullptr && out_ != nullptr && rte_eth_from_rings(k_name, &in_, 1, &out_, 1, 0) >= 0;
    if (!made) throw Failure("no rings: " + udp::dpdk_log());
  }
  ~Rings() {
    for (rte_ring* const ring : {in_, out_}) {
      while (rte_mbuf* const frame = next_of(ring)) rte_pktmbuf_free(frame);
      rte_ring_free(ring);
    }
    rte_mempool_free(pool_);
  }
  Rings(const Rings&) = delete;
  Rings& operator=(const Rings&) = delete;

  void put(std::span<const std::byte> packet) {
    rte_mbuf* const frame = rte_pktmbuf_alloc(pool_);
    if (frame == nullptr) throw Failure("no memory for a packet");
    auto* const at = rte_pktmbuf_append(frame, static_cast<std::uint16_t>(sizeof headers_ + packet.size()));
    std::memcpy(at, &headers_, sizeof headers_);
    std::memcpy(at + sizeof headers_, packet.data(), packet.size());
    if (rte_ring_enqueue(in_, frame) != 0) throw Failure("the ring is full");
  }
  bool waiting() const { return rte_ring_empty(in_) == 0; }
  void take_all(VideoCanvas& canvas, std::size_t& packets) {
    while (rte_mbuf* const frame = next_of(out_)) {
      const std::span bytes(rte_pktmbuf_mtod(frame, const std::byte*), rte_pktmbuf_data_len(frame));
      VideoCanvas::Place place;
      if (canvas.add(bytes.subspan(sizeof headers_), place)) ++packets;
      rte_pktmbuf_free(frame);
    }
  }

 private:
  static rte_mbuf* next_of(rte_ring* ring) {
    void* frame = nullptr;
    return rte_ring_dequeue(ring, &frame) == 0 ? static_cast<rte_mbuf*>(frame) : nullptr;
  }

  const Headers headers_;
  rte_mempool* pool_ = nullptr;
  rte_ring *in_ = nullptr, *out_ = nullptr;
};

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

streams::StreamConfig config_for(const VideoFrame& frame) {
  streams::StreamConfig config;
  config.name = "ring";
  config.listen = *udp::parse_address(k_here, k_port);
  config.backend = streams::Backend::dpdk;
  config.format.width = static_cast<unsigned>(frame.size().width);
  config.format.height = static_cast<unsigned>(frame.size().height);
  config.live.frames = 1;
  config.targets = {*udp::parse_address(k_there, k_port)};
  config.preview.per_second = 0;
  return config;
}

/// `number` frames from the first on; how long the loop's thread took for them.
double play(VideoFrame& frame, std::uint64_t first, unsigned number, streams::Loop& loop, Rings& rings) {
  double seconds = 0;
  for (std::uint64_t one = first; one < first + number; ++one) {
    VideoCanvas canvas(frame.size());
    std::size_t out = 0;
    for (std::size_t at = 0; at < frame.packets(); at += k_batch) {
      const std::size_t count = std::min(k_batch, frame.packets() - at);
      const auto packets = frame.numbered(one, at, count);
      for (std::size_t i = 0; i < count; ++i)
        rings.put(packets.subspan(i * frame.packet_octets(), frame.packet_octets()));
      const double began = thread_seconds();
      while (rings.waiting()) loop.step();
      seconds += thread_seconds() - began;
      rings.take_all(canvas, out);
    }
    if (out != frame.packets()) throw Failure(fmt::format("{} of {} packets came out", out, frame.packets()));
    const std::string wrong = one == 0 ? "" : video_difference(canvas.pixels(), frame.equalized());
    if (!wrong.empty()) throw Failure(wrong);
  }
  return seconds;
}

std::vector<double> run(VideoFrame& frame, int cpu, unsigned rounds, unsigned frames) {
  const auto eal = udp::DpdkEal::start(
      {.cpu = static_cast<unsigned>(cpu), .pci = {}, .huge_pages = false, .memory_mib = 128, .file_prefix = {}});
  if (!eal) throw Failure(eal.error().what);
  Rings rings(frame.packet_octets());
  udp::DpdkOptions options;
  options.device = fmt::format("net_ring_{}", k_name);
  options.local = *udp::parse_address(k_here, k_port);
  auto port = udp::DpdkPort::open(*eal, options);
  if (!port) throw Failure(port.error().what);
  streams::StreamBoard board;
  streams::NoteRing notes;
  std::vector<double> out;
  {
    streams::Loop loop(config_for(frame), {port->queue(0), board, notes, nullptr}, streams::system_clocks());
    std::uint64_t number = 0;
    play(frame, number, 2, loop, rings);  // the first goes through unchanged: there was none before it
    number += 2;
    for (unsigned round = 0; round < rounds; ++round, number += frames)
      out.push_back(frames / play(frame, number, frames, loop, rings));
    loop.finish();
  }
  return out;
}

}  // namespace

VideoRing video_ring(VideoFrame& frame, int cpu, unsigned rounds, unsigned frames) {
  VideoRing out;
  try {
    // EAL keeps the thread that starts it on its CPU.
    out.frames_per_cpu_second = std::async(std::launch::async, [&] { return run(frame, cpu, rounds, frames); }).get();
  } catch (const Failure& failure) {
    out.wrong = failure.what();
  }
  return out;
}

std::string video_dpdk_version() { return udp::dpdk_version(); }

}  // namespace histod::bench
