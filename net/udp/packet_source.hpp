// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "net/stats.hpp"
#include "net/udp/address.hpp"

namespace histod::net::udp {

class PacketSource;

/// Why a port could not be had: which step failed, and what would cure it where that is known.
struct Failure {
  std::error_code code;
  std::string what;
};

/// Hops that packets may make: of what is sent to a group, and of all else.
inline constexpr std::uint8_t k_multicast_ttl = 16, k_unicast_ttl = 64;

/// Where packets are sent on to.
struct Target {
  Address to;
  /// Of who is next on the way to a unicast address, for DPDK only (the kernel finds out by itself, and a group's is
  /// its own). Without, the packet goes back to who sent it: to the router, say.
  std::optional<Mac> next_hop{};
};

/// One datagram where the kernel or the device put it, as a lease: its bytes may be read and changed until it is sent
/// on or destroyed, which gives the memory back. Move-only; never leaves its port's thread, and never outlives its
/// port.
class Packet {
 public:
  Packet() = default;
  Packet(PacketSource& home, std::uintptr_t token, std::span<std::byte> payload, const Address& source,
         std::int64_t arrival_ns, bool truncated)
      : home_(&home),
        token_(token),
        payload_(payload),
        arrival_ns_(arrival_ns),
        source_(source),
        truncated_(truncated) {}
  Packet(Packet&& other) noexcept { *this = std::move(other); }
  Packet& operator=(Packet&& other) noexcept;
  ~Packet() { reset(); }

  std::span<std::byte> payload() const { return payload_; }
  const Address& source() const { return source_; }
  /// CLOCK_REALTIME: when the kernel took it in, where it tells (PacketSource::kernel_time()), else when it was seen
  /// here.
  std::int64_t arrival_ns() const { return arrival_ns_; }
  bool truncated() const { return truncated_; }  ///< the datagram was longer than the payload that is here
  explicit operator bool() const { return home_ != nullptr; }
  void reset();
  /// For its port: the lease without its duty to go home, which the port then has.
  std::uintptr_t release(const PacketSource& home);

 private:
  PacketSource* home_ = nullptr;
  std::uintptr_t token_ = 0;  ///< what the port knows it by
  std::span<std::byte> payload_;
  std::int64_t arrival_ns_ = 0;
  Address source_;
  bool truncated_ = false;
};

/// What a port counts. Its thread writes, any thread reads.
struct PacketStats {
  Counter received_packets, received_bytes;  ///< datagrams handed out, and their payload
  Counter truncated;                         ///< of these
  Counter dropped;    ///< by the kernel or the device, for its queue was full: as of the last refresh_stats()
  Counter starved;    ///< times that nothing more could be received, for all buffers were out or full
  Counter malformed;  ///< frames whose headers do not add up, and what the device found wrong (DPDK)
  Counter fragments;  ///< of IP datagrams, which are not put together (DPDK)
  Counter foreign;    ///< frames for somebody else: another address or protocol (DPDK)
  Counter errors;     ///< receives that failed in the kernel for another reason
  Counter uncut;      ///< pieces of several datagrams that the way out could not cut: they were sent one by one
  Counter sent_packets, sent_bytes;
  Counter send_drops;  ///< packets that were to be sent on, and that kernel or device did not take
  Counter leases;      ///< gauge: packets that are out
};

/// Datagrams from one UDP address, taken in bursts and sent on in place. A port belongs to one thread, a UringPort to
/// the one that opened it; only its stats() may be read elsewhere. It is polled: receive() never sleeps. Whoever wants
/// to sleep calls wait(), or lets an event loop watch wait_fd(). When it is destroyed all packets must be home
/// (asserted).
class PacketSource {
 public:
  PacketSource() = default;
  virtual ~PacketSource() = default;
  PacketSource(const PacketSource&) = delete;
  PacketSource& operator=(const PacketSource&) = delete;

  /// Fills the front of `burst` (whose packets it gives back) with what is there, in order of arrival; how many.
  virtual std::size_t receive(std::span<Packet> burst) = 0;
  /// Sends them on, in this order, from local(), as they are now; they are empty afterwards. Never waits: what kernel
  /// or device does not take is dropped and counted, for a late picture is worth less than the next one. A truncated
  /// packet is sent as the shorter datagram that it became.
  virtual void send(std::span<Packet> packets, const Target& target) = 0;
  /// Sleeps until there may be something to receive; false after `at_most` (rounded up to the clock's tick). A port
  /// that cannot sleep (wait_fd() is -1) returns at once, true.
  virtual bool wait(std::chrono::nanoseconds at_most) = 0;
  /// Readable when there may be something to receive; -1: the port has to be polled.
  virtual int wait_fd() const = 0;
  virtual const Address& local() const = 0;
  virtual bool kernel_time() const = 0;
  /// Asks kernel or device for what they count (a system call).
  virtual void refresh_stats() = 0;
  const PacketStats& stats() const { return stats_; }

 protected:
  PacketStats stats_;

 private:
  friend class Packet;
  virtual void give_back(std::uintptr_t token) = 0;
};

inline Packet& Packet::operator=(Packet&& other) noexcept {
  if (this == &other) return *this;
  reset();
  home_ = std::exchange(other.home_, nullptr);
  token_ = other.token_;
  payload_ = std::exchange(other.payload_, {});
  arrival_ns_ = other.arrival_ns_;
  source_ = other.source_;
  truncated_ = other.truncated_;
  return *this;
}

inline void Packet::reset() {
  if (PacketSource* const home = std::exchange(home_, nullptr)) {
    payload_ = {};
    home->stats_.leases.sub();
    home->give_back(token_);
  }
}

inline std::uintptr_t Packet::release(const PacketSource& home) {
  assert(home_ == &home);
  std::exchange(home_, nullptr)->stats_.leases.sub();
  payload_ = {};
  return token_;
}

}  // namespace histod::net::udp
