// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <vector>

#include "tools/histobench/video_cable.hpp"
#include "tools/histobench/video_frame.hpp"
#include "tools/histobench/video_sender.hpp"

namespace histod::bench {

/// Where packets go that come out. It does not look at them, and costs next to nothing, but for the time between
/// begin() and end().
class VideoSink {
 public:
  /// `cable` null: on loopback.
  VideoSink(const VideoFrame& frame, const VideoCable* cable, int cpu);
  const sockaddr_in& address() const { return address_; }

  struct Seen {
    std::uint32_t frame = 0;   ///< how many had ended before
    std::uint32_t packet = 0;  ///< of those that were sent, the one that has this one's last pixel
    std::int64_t at_ns = 0;    ///< CLOCK_REALTIME: when the kernel took it in
  };
  struct Got {
    std::uint64_t frames = 0, octets = 0, strangers = 0;  ///< octets of pixels
    std::vector<Seen> seen;                               ///< each packet
    cv::Mat last;                                         ///< picture
  };
  void begin();
  /// When `frames` pictures are in, or nothing came for a while.
  Got end(std::uint64_t frames);

 private:
  Got read();
  void take(std::span<const std::byte> datagram, std::size_t segment, std::int64_t at_ns, VideoCanvas& canvas,
            Got& got) const;
  void set_room(int bytes) const;

  const VideoFrame& frame_;
  const int cpu_;
  UdpSocket socket_;
  sockaddr_in address_{};
  std::atomic<std::uint64_t> frames_wanted_{0};
  std::future<Got> reading_;
};

/// How long each packet took, from in to out, in milliseconds and rising. Empty when frames are missing: then nobody
/// knows.
std::vector<double> delays_ms(const VideoSent& sent, const VideoSink::Got& got, std::size_t frame_packets);

}  // namespace histod::bench
