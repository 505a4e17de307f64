// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/video_cable.hpp"
#include "tools/histobench/video_frame.hpp"
#include "tools/histobench/video_sender.hpp"

namespace histod::bench {

/// What packets go into, and equalized out of. It runs from the beginning to the end of its life.
class VideoEqualizer {
 public:
  struct Counts {
    std::uint64_t packets = 0, frames = 0;  ///< that were taken in, since it began
    double cpu_seconds = 0;                 ///< of the threads that do it
  };

  VideoEqualizer() = default;
  virtual ~VideoEqualizer() = default;
  VideoEqualizer(const VideoEqualizer&) = delete;
  VideoEqualizer& operator=(const VideoEqualizer&) = delete;

  virtual sockaddr_in address() const = 0;
  /// `sent`: packets, since it began.
  virtual Counts counts(std::uint64_t sent) = 0;
  /// Of one that polls, and is therefore always busy: how long it had packets in hand for each frame, within the last
  /// second that had frames.
  virtual std::optional<double> busy_seconds_per_frame() { return std::nullopt; }
  /// What it says itself of the time from in to out.
  virtual std::optional<double> delay_ms(const char* /*percentile*/) { return std::nullopt; }
  /// The last thing: the frame that it kept, where it sends nothing.
  virtual cv::Mat stop_and_take_last() { return {}; }
};

/// Where all of them are put: the measured CPU, and what is at either end of the cable.
struct VideoPlace {
  int cpu = 0;
  const VideoCable* cable = nullptr;  ///< null: loopback
  const char* ip() const { return cable == nullptr ? "127.0.0.1" : VideoCable::k_near_ip; }
};

/// A stream of a histod: of the daemon as it is shipped, by its API.
std::unique_ptr<VideoEqualizer> video_stream(Daemon& daemon, bool dpdk, const VideoPlace& place, Size size,
                                             const sockaddr_in& target);

/// GStreamer's program; `target` null: what comes out goes nowhere.
std::unique_ptr<VideoEqualizer> video_gstreamer(const VideoPlace& place, Size size, std::size_t packet_octets,
                                                const sockaddr_in* target);
std::string gstreamer_missing();  ///< how to get it; empty: it is there
std::string gstreamer_version();

}  // namespace histod::bench
