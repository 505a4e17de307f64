// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "net/rtp/packetizer.hpp"
#include "net/rtp/sdp.hpp"
#include "tools/histoctl/failure.hpp"
#include "tools/histoctl/packet_sender.hpp"
#include "tools/histoctl/video_frame.hpp"

namespace histod::ctl {

/// Plays frames as a camera would: in time, whatever becomes of the packets (an open loop). The packets of a picture
/// are spread evenly over its time; whoever is behind sends at once, until it is in time again.
class StreamPlayer {
 public:
  using Clock = std::chrono::steady_clock;
  struct Played {
    std::uint64_t frames = 0;  ///< whole ones
    std::chrono::nanoseconds took{};
    std::chrono::nanoseconds late{};  ///< the most that packets were behind their time
    bool interrupted = false;
  };

  /// `timestamp` is the first picture's, in 1/90000 s.
  StreamPlayer(const net::rtp::Raster& raster, net::rtp::Packetizer packetizer, net::rtp::FrameRate rate,
               std::uint32_t timestamp, PacketSender& sender);

  /// `count` frames, beginning again behind the last; 0: until a signal comes. Once for a player.
  Result<Played> play(std::span<const PackedFrame> frames, std::uint64_t count);

  /// When a picture is due: its number counts frames, or fields of interlaced video.
  std::chrono::nanoseconds due(std::uint64_t picture) const;
  std::uint32_t timestamp(std::uint64_t picture) const;

 private:
  Result<void> play_picture(const PackedFrame& frame, std::uint64_t picture, unsigned field);
  std::uint64_t packets_of(unsigned field) const;
  /// Waits until then, and notes how late it is.
  void wait(std::chrono::nanoseconds until);

  net::rtp::Packetizer packetizer_;
  net::rtp::FrameRate rate_;
  unsigned fields_;
  std::uint32_t timestamp_;
  PacketSender& sender_;
  std::uint64_t packets_[2] = {};  ///< of a picture, by field
  Clock::time_point start_;
  std::chrono::nanoseconds late_{};
};

}  // namespace histod::ctl
