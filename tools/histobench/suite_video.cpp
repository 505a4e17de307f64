// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <optional>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/suites.hpp"
#include "tools/histobench/video_ring.hpp"
#include "tools/histobench/video_trial.hpp"

namespace histod::bench {

namespace {

constexpr Size k_video_1080p{1920, 1080}, k_video_tiny{384, 216};
constexpr unsigned k_video_rounds_max = 5;
constexpr double k_target = 5;

VideoPlan plan_for(Scale scale) {
  if (scale == Scale::tiny)
    return {.search_s = 0.02,
            .steady_s = 0.1,
            .delay_s = 0.1,
            .first_rate = 100,
            .delay_rate = 50,
            .loss_rates = {200},
            .frames_least = 3,
            .bisections = 1};
  VideoPlan plan{.search_s = 1,
                 .steady_s = 2.2,
                 .delay_s = 1.6,
                 .first_rate = 36,
                 .delay_rate = 25,
                 .loss_rates = {30, 60, 120, 240}};
  if (scale == Scale::quick) plan.search_s = 0.4, plan.steady_s = plan.delay_s = 1;
  return plan;
}

/// One of those that are measured, and what was.
struct Contender {
  std::string name;
  bool ours = false;
  bool joined = false;  ///< datagrams come joined by GRO
  bool sends_on = true;
  VideoMeter::Start start = {};
  std::string missing = {}, wrong = {};
  std::vector<VideoFigures> rounds = {};

  std::vector<double> of(const std::function<double(const VideoFigures&)>& figure) const {
    std::vector<double> out;
    if (!wrong.empty() || !missing.empty()) return out;
    for (const VideoFigures& round : rounds) out.push_back(figure(round));
    return out;
  }
};

/// One still picture, one wire, and all who take turns at it.
class VideoSuite {
 public:
  VideoSuite(const Settings& settings, const Sink& sink);
  void run();

 private:
  void add_contenders();
  void measure(Contender& contender);
  void tell_sender();
  void tell_pair(const Contender& ours, const Contender& peer);
  void tell_alone(const Contender& contender);
  void tell_losses(const Contender& contender);
  void tell_ring();
  Row row(const Contender& ours, std::string what) const {
    return {.work = what + ", " + ours.name, .input = input_.label(), .wrong = ours.wrong, .missing = ours.missing};
  }

  const Settings& settings_;
  const Sink& sink_;
  const VideoPlan plan_;
  const unsigned rounds_;
  const std::vector<int> cpus_ = usable_cpus();
  std::string no_cable_;
  const std::unique_ptr<VideoCable> cable_ = VideoCable::lay(no_cable_);
  const Input input_;
  VideoFrame frame_;
  const VideoPlace place_{cpus_.back(), cable_.get()};
  Daemon daemon_;
  VideoSink sink_socket_;
  sockaddr_in nobody_;
  VideoSender apart_, joined_;
  std::vector<Contender> contenders_;
};

VideoSuite::VideoSuite(const Settings& settings, const Sink& sink)
    : settings_(settings),
      sink_(sink),
      plan_(plan_for(settings.scale)),
      rounds_(std::min(settings.rounds, k_video_rounds_max)),
      input_(gray_inputs(settings, sink, settings.scale == Scale::tiny ? k_video_tiny : k_video_1080p, false).front()),
      frame_(input_),
      daemon_(settings.daemon_program, {"--dpdk", "--dpdk-huge-pages=false"}),
      sink_socket_(frame_, cable_.get(), cpus_.front()),
      nobody_(sink_socket_.address()),
      apart_(frame_, {.cpu = cpus_.front(), .cable = cable_.get(), .segments = cable_ != nullptr}),
      joined_(frame_, {.cpu = cpus_.front(), .cable = cable_.get(), .segments = true}) {
  if (cable_ != nullptr) ::inet_pton(AF_INET, VideoCable::k_nobodys_ip, &nobody_.sin_addr);
  if (cable_ == nullptr) sink_.note("no virtual Ethernet cable, loopback instead, and no DPDK: " + no_cable_);
  if (cpus_.size() == 1) sink_.note("there is one CPU: the sender and what is measured share it");
  sink_.fact("back-end", daemon_.backend());
}

void VideoSuite::add_contenders() {
  const std::string no_gstreamer = gstreamer_missing(), no_dpdk = video_dpdk_version().empty()
                                                                      ? "build with libdpdk-dev"
                                                                  : cable_ == nullptr ? "run as root"
                                                                                      : "";
  if (no_gstreamer.empty()) sink_.fact("GStreamer", gstreamer_version());
  if (!video_dpdk_version().empty()) sink_.fact("DPDK", video_dpdk_version());
  const auto stream = [this](bool dpdk) {
    return
        [this, dpdk](const sockaddr_in& target) { return video_stream(daemon_, dpdk, place_, frame_.size(), target); };
  };
  const auto gstreamer = [this](bool sends_on) {
    return [this, sends_on](const sockaddr_in& target) {
      return video_gstreamer(place_, frame_.size(), frame_.packet_octets(), sends_on ? &target : nullptr);
    };
  };
  contenders_.push_back({.name = "io_uring", .ours = true, .start = stream(false)});
  contenders_.push_back({.name = "DPDK af_packet", .ours = true, .start = stream(true), .missing = no_dpdk});
  contenders_.push_back({.name = "io_uring, GRO", .ours = true, .joined = true, .start = stream(false)});
  for (const bool sends_on : {false, true})
    contenders_.push_back({.name = sends_on ? "GStreamer, sent on" : "GStreamer, thrown away",
                           .sends_on = sends_on,
                           .start = gstreamer(sends_on),
                           .missing = no_gstreamer});
}

void VideoSuite::measure(Contender& contender) {
  if (!contender.missing.empty() || !contender.wrong.empty()) return;
  try {
    if (cable_ != nullptr) cable_->set_joined(contender.joined);
    VideoPlan plan = plan_;
    if (!contender.rounds.empty()) {
      plan.loss_rates.clear();
      plan.first_rate = 0.8 * contender.rounds.back().highest;
    }
    VideoMeter meter(frame_, contender.joined ? joined_ : apart_, sink_socket_, nobody_, plan);
    contender.rounds.push_back(meter.measure(contender.start, contender.sends_on));
  } catch (const Failure& failure) {
    contender.wrong = failure.what();
  }
}

/// What it could send if nobody had to be waited for.
void VideoSuite::tell_sender() {
  for (const bool joined : {false, true}) {
    if (cable_ != nullptr) cable_->set_joined(joined);
    const VideoSent sent = (joined ? joined_ : apart_).send(sink_socket_.address(), 1e6, plan_.frames_least);
    sink_.fact(joined ? "sender, GRO" : "sender",
               fmt::format("{:.0f} frames/s at most", static_cast<double>(sent.frames) / sent.seconds));
  }
}

void VideoSuite::tell_pair(const Contender& ours, const Contender& peer) {
  const auto told = [&](std::string what, const char* unit, Judge judge, double target,
                        const std::function<double(const VideoFigures&)>& figure) {
    Row out = row(ours, std::move(what));
    out.target = target > 0 ? "P11" : "";
    out.peer = peer.name;
    out.unit = unit;
    out.judge = judge;
    out.target_ratio = target;
    if (out.wrong.empty()) out.wrong = peer.wrong.empty() ? "" : "the peer: " + peer.wrong;
    if (out.missing.empty()) out.missing = peer.missing;
    if (out.wrong.empty() && out.missing.empty()) out.values = {ours.of(figure), peer.of(figure)};
    sink_.row(std::move(out));
  };
  told("frames/s", "1/s", Judge::more, k_target, [](const VideoFigures& f) { return f.highest; });
  told("frames/CPU-s", "1/s", Judge::more, k_target, [](const VideoFigures& f) { return f.frames_per_cpu_second; });
  if (!peer.sends_on) return;
  for (std::size_t i = 0; i < k_video_percentiles.size(); ++i)
    told(fmt::format("delay {}", k_video_percentiles[i]), "ms", Judge::faster, 0,
         [i](const VideoFigures& f) { return f.delay_ms[i]; });
}

void VideoSuite::tell_alone(const Contender& ours) {
  if (!ours.missing.empty() || !ours.wrong.empty()) return;
  Row lost = row(ours, "lost at 80 %");
  lost.target = "P11";
  lost.peer = "fewer than one packet";
  lost.unit = "";
  lost.judge = Judge::within;
  lost.target_ratio = 0.5;
  lost.values = {ours.of([](const VideoFigures& f) { return f.lost_at_80; }),
                 std::vector<double>(ours.rounds.size(), 1)};
  sink_.row(std::move(lost));
  Row packets = row(ours, "packets/s");
  packets.unit = "1/s";
  packets.values.ours =
      ours.of([this](const VideoFigures& f) { return f.highest * static_cast<double>(frame_.packets()); });
  sink_.row(std::move(packets));
  for (std::size_t i = 0; i < k_video_percentiles.size(); ++i) {
    Row own = row(ours, fmt::format("by its own clock, {}", k_video_percentiles[i]));
    own.values.ours = ours.of([i](const VideoFigures& f) { return f.own_delay_ms[i]; });
    sink_.row(std::move(own));
  }
  const auto late = std::ranges::count_if(ours.rounds, &VideoFigures::sender_was_late);
  if (late > 0)
    sink_.note(fmt::format("{}: more could not be sent in {} of {} rounds", ours.name, late, ours.rounds.size()));
}

void VideoSuite::tell_losses(const Contender& contender) {
  if (!contender.missing.empty() || !contender.wrong.empty()) return;
  for (std::size_t i = 0; i < plan_.loss_rates.size(); ++i) {
    Row out = row(contender, "");
    out.work = fmt::format("lost at {:.0f}/s, {}", plan_.loss_rates[i], contender.name);
    out.unit = "%";
    const std::optional<double> lost = contender.rounds.front().lost[i];
    if (lost) out.values.ours.push_back(*lost);
    if (out.values.ours.empty())
      sink_.note(out.work + ": so many could not be sent");
    else
      sink_.row(std::move(out));
  }
}

void VideoSuite::tell_ring() {
  const VideoRing ring = video_ring(frame_, place_.cpu, rounds_,
                                    settings_.scale == Scale::tiny ? 3 : static_cast<unsigned>(plan_.delay_rate));
  Row out{.work = "frames/CPU-s, net_ring in process", .input = input_.label(), .unit = "1/s"};
  out.wrong = ring.wrong;
  out.missing = ring.missing;
  out.values.ours = ring.frames_per_cpu_second;
  sink_.row(std::move(out));
}

void VideoSuite::run() {
  add_contenders();
  tell_sender();
  for (unsigned round = 0; round < rounds_; ++round)
    for (Contender& contender : contenders_) measure(contender);
  for (const Contender& ours : contenders_) {
    if (!ours.ours) continue;
    for (const Contender& peer : contenders_)
      if (!peer.ours) tell_pair(ours, peer);
    tell_alone(ours);
  }
  for (const Contender& contender : contenders_) tell_losses(contender);
  tell_ring();
  daemon_.stop();
}

}  // namespace

void run_video_suite(const Settings& settings, const Sink& sink) { VideoSuite(settings, sink).run(); }

}  // namespace histod::bench
