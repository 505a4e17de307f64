// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compute/rule.hpp"
#include "daemon/streams/config.hpp"
#include "daemon/streams/processor.hpp"
#include "net/udp/packet_source.hpp"

/// Frames of 8-bit UYVY and their packets, written down from RFC 3550 and RFC 4175 without net/rtp.
namespace histod::test {

using Bytes = std::vector<std::byte>;

struct DeafListener final : daemon::streams::Processor::Listener {
  void frame_begins() override {}
};

inline void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::byte>(value >> 8));
  out.push_back(static_cast<std::byte>(value));
}
inline void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

struct Picture {
  unsigned width = 16, height = 8;
  Bytes octets;  ///< Cb Y Cr Y, line by line
  std::uint8_t luma(std::size_t pixel) const { return std::to_integer<std::uint8_t>(octets[2 * pixel + 1]); }
};

/// Luma from `low` on, a few levels of it, in no even share; chroma of its own.
inline Picture picture(unsigned seed, unsigned low, unsigned width = 16, unsigned height = 8) {
  Picture out{width, height, {}};
  std::uint32_t state = seed * 2654435761u + 1;
  for (unsigned i = 0; i < width * height; ++i) {
    state = state * 1664525u + 1013904223u;
    out.octets.push_back(static_cast<std::byte>(state >> 24));
    out.octets.push_back(static_cast<std::byte>(low + (state >> 16) % 23 % 17));
  }
  return out;
}

/// What a sender counts on from packet to packet.
struct Sender {
  std::uint32_t ssrc = 0x1234;
  std::uint16_t sequence = 65'530;  ///< wraps soon
  std::uint32_t timestamp = 90'000;
  unsigned lines_each = 2;

  /// A packet with lines [first, first + count) of a picture; `step` 2 and `field`: of interlaced video.
  Bytes packet(const Picture& from, unsigned first, unsigned count, bool marker, unsigned step = 1,
               unsigned field = 0) {
    Bytes out{std::byte{0x80}, static_cast<std::byte>(96 | (marker ? 0x80 : 0))};
    put16(out, sequence++);
    put32(out, timestamp);
    put32(out, ssrc);
    put16(out, 0);
    const unsigned line_octets = from.width * 2;
    for (unsigned i = 0; i < count; ++i) {
      put16(out, line_octets);
      put16(out, (first + i * step) | field << 15);
      put16(out, i + 1 < count ? 0x8000 : 0);
    }
    for (unsigned i = 0; i < count; ++i) {
      const auto line = from.octets.begin() + static_cast<std::ptrdiff_t>((first + i * step) * line_octets);
      out.insert(out.end(), line, line + static_cast<std::ptrdiff_t>(line_octets));
    }
    return out;
  }
  /// All packets of a frame.
  std::vector<Bytes> frame(const Picture& from) {
    std::vector<Bytes> out;
    for (unsigned line = 0; line < from.height; line += lines_each) {
      const unsigned count = std::min(lines_each, from.height - line);
      out.push_back(packet(from, line, count, line + count == from.height));
    }
    timestamp += 3'000;
    return out;
  }
};

/// The table of some frames, counted naively.
inline compute::Lut table_of(compute::Rule rule, const std::vector<Picture>& frames) {
  compute::Histogram counts(256);
  for (const Picture& frame : frames)
    for (std::size_t i = 0; i < std::size_t{frame.width} * frame.height; ++i) ++counts.counts()[frame.luma(i)];
  return compute::make_lut(rule, counts, 256).value();
}

/// A packet with a table applied to the luma of its pixels, which begin at `payload`.
inline Bytes mapped(Bytes packet, std::size_t payload, const compute::Lut& lut) {
  for (std::size_t i = payload + 1; i < packet.size(); i += 2)
    packet[i] = static_cast<std::byte>(lut[std::to_integer<std::size_t>(packet[i])]);
  return packet;
}
inline std::size_t payload_of(unsigned lines) { return 12 + 2 + 6 * lines; }

inline daemon::streams::StreamConfig stream_config(unsigned window, unsigned width = 16, unsigned height = 8) {
  daemon::streams::StreamConfig out;
  out.name = "test";
  out.listen = *net::udp::parse_address("127.0.0.1", 0);
  out.format.width = width;
  out.format.height = height;
  out.live.frames = window;
  return out;
}

/// Datagrams that the test puts in, and those that were sent on.
class FakeSource final : public net::udp::PacketSource {
 public:
  struct Sent {
    Bytes datagram;
    net::udp::Address to;
    std::optional<net::udp::Mac> next_hop;
  };
  void put(Bytes datagram, std::int64_t arrival_ns = 0) { waiting_.push_back({std::move(datagram), arrival_ns}); }
  void put(const std::vector<Bytes>& datagrams) {
    for (const Bytes& datagram : datagrams) put(datagram);
  }

  std::size_t receive(std::span<net::udp::Packet> burst) override {
    for (net::udp::Packet& packet : burst) packet.reset();
    std::size_t count = 0;
    for (; count < std::min(burst.size(), burst_max) && !waiting_.empty(); ++count) {
      lent_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      Datagram& datagram = lent_.back();
      burst[count] = net::udp::Packet(*this, lent_.size() - 1, datagram.octets, {}, datagram.arrival_ns, false);
      stats_.received_packets.add();
      stats_.leases.add();
    }
    if (on_receive) on_receive();
    return count;
  }
  void send(std::span<net::udp::Packet> packets, const net::udp::Target& target) override {
    for (net::udp::Packet& packet : packets) {
      sent.push_back({{packet.payload().begin(), packet.payload().end()}, target.to, target.next_hop});
      packet.release(*this);
      stats_.sent_packets.add();
    }
  }
  bool wait(std::chrono::nanoseconds) override {
    ++waits;
    return !waiting_.empty();
  }
  int wait_fd() const override { return -1; }
  const net::udp::Address& local() const override { return local_; }
  bool kernel_time() const override { return true; }
  void refresh_stats() override {}
  void count_uncut() { stats_.uncut.add(); }

  std::vector<Sent> sent;
  std::size_t burst_max = 64;
  unsigned waits = 0;
  std::function<void()> on_receive;

 private:
  struct Datagram {
    Bytes octets;
    std::int64_t arrival_ns = 0;
  };
  void give_back(std::uintptr_t) override {}
  std::deque<Datagram> waiting_, lent_;
  net::udp::Address local_;
};

}  // namespace histod::test
