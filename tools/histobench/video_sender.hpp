// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <netinet/in.h>

#include "tools/histobench/video_cable.hpp"
#include "tools/histobench/video_frame.hpp"

namespace histod::bench {

/// What was sent in one go.
struct VideoSent {
  std::uint64_t first_frame = 0, frames = 0, packets = 0;
  double seconds = 0;
  bool late = false;                ///< it did not come to the rate that was asked for
  std::size_t chunk = 0;            ///< packets that were handed to the kernel at once
  std::vector<std::int64_t> at_ns;  ///< CLOCK_REALTIME: when each chunk was

  /// When packet `index` of the n-th of these frames was sent.
  std::int64_t at(std::size_t frame, std::size_t index, std::size_t frame_packets) const {
    return at_ns[frame * ((frame_packets + chunk - 1) / chunk) + index / chunk];
  }
};

/// Plays a frame again and again, in time: an open loop. One stream, whose numbers go on from call to call.
class VideoSender {
 public:
  struct Way {
    int cpu = 0;                        ///< of the thread that sends
    const VideoCable* cable = nullptr;  ///< null: over loopback
    bool segments = true;               ///< chunks are handed over in one piece (GSO), else packet by packet
  };
  VideoSender(VideoFrame& frame, const Way& way) : frame_(frame), way_(way) {}
  /// Throws Failure. `chunk_max` 0: as many as the kernel takes at once.
  VideoSent send(const sockaddr_in& to, double frames_per_second, std::uint64_t frames, std::size_t chunk_max = 0);
  std::uint64_t packets() const { return packets_; }  ///< that were ever sent

 private:
  VideoSent play(const sockaddr_in& to, double frames_per_second, std::uint64_t frames, std::size_t chunk);
  void send_chunk(int fd, const sockaddr_in& to, std::span<const std::byte> packets) const;

  VideoFrame& frame_;
  const Way way_;
  std::uint64_t next_frame_ = 0, packets_ = 0;
};

/// The calling thread runs there alone.
void run_on_cpu(int cpu);
/// CPUs that this process may use, in order.
std::vector<int> usable_cpus();

/// A UDP socket; closed at the end of its life.
struct UdpSocket {
  explicit UdpSocket(const VideoCable* cable = nullptr);  ///< at its far end; null: here. Throws Failure
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  /// At a free port of that address.
  sockaddr_in bind(const char* ip) const;
  int fd = -1;
};

}  // namespace histod::bench
