// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/stream_player.hpp"

#include <algorithm>
#include <ctime>

#include <sys/prctl.h>

#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace rtp = net::rtp;
namespace {

constexpr std::uint64_t k_ticks_per_second = 90'000;
constexpr long double k_ns_per_second = 1e9L;
/// Waiting more often than this would cost more than the packets do.
constexpr std::chrono::nanoseconds k_wait_least = std::chrono::microseconds(200);
/// By default the kernel may wake a thread 50 us late, to save current.
constexpr unsigned long k_timer_slack_ns = 1'000;
/// A signal is to be noticed soon, however slow the stream is.
constexpr std::chrono::nanoseconds k_wait_most = std::chrono::milliseconds(100);

}  // namespace

StreamPlayer::StreamPlayer(const rtp::Raster& raster, rtp::Packetizer packetizer, rtp::FrameRate rate,
                           std::uint32_t timestamp, PacketSender& sender)
    : packetizer_(std::move(packetizer)),
      rate_(rate),
      fields_(raster.format().interlaced ? 2 : 1),
      timestamp_(timestamp),
      sender_(sender) {
  for (unsigned field = 0; field < fields_; ++field) packets_[field] = packets_of(field);
}

std::uint64_t StreamPlayer::packets_of(unsigned field) const {
  rtp::Packetizer counted = packetizer_;
  std::uint64_t packets = 0;
  counted.begin(0, field);
  while (counted.next()) ++packets;
  return packets;
}

std::chrono::nanoseconds StreamPlayer::due(std::uint64_t picture) const {
  const long double seconds =
      static_cast<long double>(picture) * rate_.denominator / (static_cast<long double>(rate_.numerator) * fields_);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * k_ns_per_second));
}

std::uint32_t StreamPlayer::timestamp(std::uint64_t picture) const {
  const std::uint64_t ticks =
      picture * k_ticks_per_second * rate_.denominator / (std::uint64_t{rate_.numerator} * fields_);
  return timestamp_ + static_cast<std::uint32_t>(ticks);
}

void StreamPlayer::wait(std::chrono::nanoseconds until) {
  for (;;) {
    const std::chrono::nanoseconds now = Clock::now() - start_;
    late_ = std::max(late_, now - until);
    if (now >= until || interrupted()) return;
    const auto left = std::min(until - now, k_wait_most);
    const timespec time{.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000),
                        .tv_nsec = static_cast<long>(left.count() % 1'000'000'000)};
    ::nanosleep(&time, nullptr);
  }
}

Result<void> StreamPlayer::play_picture(const PackedFrame& frame, std::uint64_t picture, unsigned field) {
  const std::chrono::nanoseconds begin = due(picture), period = due(picture + 1) - begin;
  const std::uint64_t packets = packets_[field];
  const auto rounds = static_cast<std::uint64_t>(std::max<std::int64_t>(period / k_wait_least, 1));
  const std::uint64_t at_once = (packets + rounds - 1) / rounds;
  packetizer_.begin(timestamp(picture), field);
  std::uint64_t planned = 0;
  while (const auto plan = packetizer_.next()) {
    if (planned % at_once == 0) {
      if (const auto sent = sender_.flush(); !sent) return sent;
      wait(begin + period * static_cast<std::int64_t>(planned) / static_cast<std::int64_t>(packets));
      if (interrupted()) return fail(Exit::interrupted, "interrupted");
    }
    if (sender_.full()) {
      if (const auto sent = sender_.flush(); !sent) return sent;
    }
    sender_.add(*plan, frame);
    ++planned;
  }
  return sender_.flush();
}

Result<StreamPlayer::Played> StreamPlayer::play(std::span<const PackedFrame> frames, std::uint64_t count) {
  ::prctl(PR_SET_TIMERSLACK, k_timer_slack_ns);
  start_ = Clock::now();
  Played played;
  while (!played.interrupted && (count == 0 || played.frames < count)) {
    const PackedFrame& frame = frames[played.frames % frames.size()];
    for (unsigned field = 0; field < fields_ && !played.interrupted; ++field) {
      const auto sent = play_picture(frame, played.frames * fields_ + field, field);
      played.interrupted = !sent && sent.error().exit == Exit::interrupted;
      if (!sent && !played.interrupted) return std::unexpected(sent.error());
    }
    if (!played.interrupted) ++played.frames;
  }
  if (!played.interrupted) wait(due(played.frames * fields_));  // the last picture's time is not over before
  played.took = Clock::now() - start_;
  played.late = late_;
  return played;
}

}  // namespace histod::ctl
