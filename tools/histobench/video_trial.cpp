// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_trial.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/measure.hpp"

namespace histod::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double k_step = 1.6;  ///< of the search, up and down
constexpr unsigned k_steps_down_max = 8, k_steps_up_max = 16, k_attempts = 2, k_delay_attempts = 4;
constexpr double k_steady = 0.8;          ///< of the highest rate
constexpr std::size_t k_delay_chunk = 8;  ///< packets that are sent at once while delays are measured
constexpr std::chrono::milliseconds k_look_again{15}, k_settle_patience{350};

}  // namespace

/// What is on its way arrives; what is lost does not.
VideoEqualizer::Counts VideoMeter::settled(std::uint64_t packets, std::uint64_t frames) {
  VideoEqualizer::Counts before{};
  for (auto changed = Clock::now();;) {
    const auto now = equalizer_->counts(sent_packets());
    if (now.packets >= packets && now.frames >= frames) return now;
    if (now.packets != before.packets || now.frames != before.frames) changed = Clock::now();
    if (Clock::now() - changed > k_settle_patience) return now;
    before = now;
    std::this_thread::sleep_for(k_look_again);
  }
}

VideoMeter::Trial VideoMeter::trial(double frames_per_second, double seconds) {
  const auto frames = std::max(plan_.frames_least, static_cast<std::uint64_t>(frames_per_second * seconds));
  const auto before = equalizer_->counts(sent_packets());
  Trial out{.sent = sender_.send(equalizer_->address(), frames_per_second, frames)};
  const auto after = settled(before.packets + out.sent.packets, before.frames + frames);
  out.lost = out.sent.packets - std::min(out.sent.packets, after.packets - before.packets);
  const std::uint64_t whole = std::min(frames, after.frames - before.frames);
  if (out.lost == 0) out.lost = (frames - whole) * frame_.packets();  // somewhere, and nobody counted them
  out.frames = static_cast<double>(out.sent.packets - out.lost) / static_cast<double>(frame_.packets());
  out.cpu_seconds = after.cpu_seconds - before.cpu_seconds;
  return out;
}

/// Something else on the machine may have been in the way: what was lost once must be lost again, and who was late must
/// be late again.
bool VideoMeter::loses(double frames_per_second, Trial& last) {
  for (unsigned attempt = 0; attempt < k_attempts; ++attempt) {
    last = trial(frames_per_second, plan_.search_s);
    if (last.lost == 0 && !last.sent.late) return false;
  }
  return last.lost > 0;
}

void VideoMeter::find_highest(VideoFigures& figures) {
  double good = 0, bad = 0, rate = plan_.first_rate;
  const auto found = [&](double asked, const Trial& trial) {
    good = asked;
    figures.highest = static_cast<double>(trial.sent.frames) / trial.sent.seconds;
    figures.sender_was_late = trial.sent.late;
  };
  Trial last;
  for (unsigned step = 0; step < k_steps_up_max && !figures.sender_was_late; ++step, rate *= k_step) {
    if (loses(rate, last)) {
      bad = rate;
      break;
    }
    found(rate, last);
  }
  for (unsigned step = 0; good == 0; ++step) {
    if (step == k_steps_down_max) throw Failure(fmt::format("packets are lost at {:.2f} frames/s, too", bad));
    if (loses(bad / k_step, last))
      bad /= k_step;
    else
      found(bad / k_step, last);
  }
  for (unsigned i = 0; i < plan_.bisections && bad > 0; ++i) {
    const double middle = (good + bad) / 2;
    if (loses(middle, last))
      bad = middle;
    else
      found(middle, last);
  }
}

void VideoMeter::find_cost(VideoFigures& figures) {
  const Trial steady = trial(k_steady * figures.highest, plan_.steady_s);
  const auto busy = equalizer_->busy_seconds_per_frame();
  figures.lost_at_80 = static_cast<double>(steady.lost);
  figures.frames_per_cpu_second = busy ? 1 / *busy : steady.frames / std::max(steady.cpu_seconds, 1e-6);
}

void VideoMeter::find_losses(VideoFigures& figures) {
  for (const double rate : plan_.loss_rates) {
    const Trial one = trial(rate, plan_.search_s);
    const double percent = 100 * static_cast<double>(one.lost) / static_cast<double>(one.sent.packets);
    figures.lost.push_back(one.sent.late ? std::nullopt : std::optional(percent));
  }
}

/// And that the last picture is the oracle's.
std::vector<double> VideoMeter::find_delays(double seconds) {
  const auto frames = std::max(plan_.frames_least, static_cast<std::uint64_t>(plan_.delay_rate * seconds));
  std::size_t packets_out = 0;
  for (unsigned attempt = 0; attempt < k_delay_attempts; ++attempt) {
    const auto before = equalizer_->counts(sent_packets());
    sink_.begin();
    const VideoSent sent = sender_.send(equalizer_->address(), plan_.delay_rate, frames, k_delay_chunk);
    const VideoSink::Got got = sink_.end(frames);
    const auto after = settled(before.packets + sent.packets, before.frames + frames);
    if (got.strangers > 0) throw Failure(fmt::format("{} datagrams that come out are no packets", got.strangers));
    std::vector<double> delays = delays_ms(sent, got, frame_.packets());
    packets_out = got.seen.size();
    // GStreamer makes whole frames of what it has.
    if (after.packets - before.packets < sent.packets) continue;
    const std::size_t frame_octets = frame_.sent().total() * frame_.sent().elemSize();
    if (delays.empty() || got.octets != frames * frame_octets) continue;
    if (std::string wrong = video_difference(got.last, frame_.equalized()); !wrong.empty()) throw Failure(wrong);
    return delays;
  }
  throw Failure(fmt::format("of {} frames of {} packets at {:.0f} frames/s only {} packets come out", frames,
                            frame_.packets(), plan_.delay_rate, packets_out));
}

void VideoMeter::check_kept() {
  for (unsigned attempt = 0; trial(plan_.delay_rate, 0).lost > 0; ++attempt)
    if (attempt == k_delay_attempts)
      throw Failure(fmt::format("packets are lost at {:.0f} frames/s", plan_.delay_rate));
  const std::string wrong = video_difference(equalizer_->stop_and_take_last(), frame_.equalized());
  if (!wrong.empty()) throw Failure(wrong);
}

void VideoMeter::begin(const Start& start, const sockaddr_in& target) {
  equalizer_.reset();  // it may have a port that the next one wants, and the CPU
  sent_before_ = sender_.packets();
  equalizer_ = start(target);
}

VideoFigures VideoMeter::measure(const Start& start, bool sends_on) {
  VideoFigures figures;
  if (sends_on) {
    begin(start, sink_.address());
    const std::vector<double> delays = find_delays(plan_.delay_s);
    for (std::size_t i = 0; i < figures.delay_ms.size(); ++i) {
      figures.delay_ms[i] = quantile(delays, k_video_parts[i]);
      figures.own_delay_ms[i] = equalizer_->delay_ms(k_video_percentiles[i]).value_or(0);
    }
  }
  begin(start, nobody_);
  find_highest(figures);
  find_cost(figures);
  find_losses(figures);
  if (sends_on) {
    begin(start, sink_.address());
    find_delays(0);
  } else {
    check_kept();
  }
  equalizer_.reset();
  return figures;
}

}  // namespace histod::bench
