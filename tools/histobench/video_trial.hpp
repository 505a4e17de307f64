// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/histobench/video_equalizers.hpp"
#include "tools/histobench/video_sink.hpp"

namespace histod::bench {

/// How long, and at which rates.
struct VideoPlan {
  double search_s = 0, steady_s = 0, delay_s = 0;
  double first_rate = 0;            ///< frames/s that the search for the highest rate begins with
  double delay_rate = 0;            ///< frames/s at which delays are measured
  std::vector<double> loss_rates;   ///< frames/s
  std::uint64_t frames_least = 10;  ///< of a trial
  unsigned bisections = 4;
};

inline constexpr std::array<const char*, 3> k_video_percentiles{"p50", "p99", "p999"};
inline constexpr std::array<double, 3> k_video_parts{0.5, 0.99, 0.999};

/// Of one equalizer, in one round.
struct VideoFigures {
  double highest = 0;            ///< frames/s without loss
  bool sender_was_late = false;  ///< more than that could not be sent
  double frames_per_cpu_second = 0;
  double lost_at_80 = 0;                    ///< packets, at 80 % of the highest rate
  std::array<double, 3> delay_ms{};         ///< in to out, from outside; 0 where nothing is sent on
  std::array<double, 3> own_delay_ms{};     ///< as it says itself; 0 where it says nothing
  std::vector<std::optional<double>> lost;  ///< percent, at each of the plan's rates; none: it could not be sent
};

class VideoMeter {
 public:
  using Start = std::function<std::unique_ptr<VideoEqualizer>(const sockaddr_in& target)>;
  /// `nobody`: where packets may be sent and nobody takes them, so that who would is not measured too.
  VideoMeter(VideoFrame& frame, VideoSender& sender, VideoSink& sink, const sockaddr_in& nobody, const VideoPlan& plan)
      : frame_(frame), sender_(sender), sink_(sink), nobody_(nobody), plan_(plan) {}
  /// Throws Failure: when a picture that comes out is not the oracle's, too.
  VideoFigures measure(const Start& start, bool sends_on);

 private:
  struct Trial {
    VideoSent sent;
    std::uint64_t lost = 0;  ///< packets
    double frames = 0;       ///< that the packets which were not lost are worth
    double cpu_seconds = 0;
  };
  void begin(const Start& start, const sockaddr_in& target);
  Trial trial(double frames_per_second, double seconds);
  VideoEqualizer::Counts settled(std::uint64_t packets, std::uint64_t frames);
  bool loses(double frames_per_second, Trial& last);
  void find_highest(VideoFigures& figures);
  void find_cost(VideoFigures& figures);
  void find_losses(VideoFigures& figures);
  std::vector<double> find_delays(double seconds);
  void check_kept();
  std::uint64_t sent_packets() const { return sender_.packets() - sent_before_; }

  VideoFrame& frame_;
  VideoSender& sender_;
  VideoSink& sink_;
  const sockaddr_in nobody_;
  const VideoPlan plan_;
  std::unique_ptr<VideoEqualizer> equalizer_;
  std::uint64_t sent_before_ = 0;  ///< packets, when it began
};

}  // namespace histod::bench
