// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/loop.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include <time.h>

#include "daemon/wall_clock.hpp"

namespace histod::daemon::streams {

namespace {

constexpr std::int64_t k_ms = 1'000'000, k_second_ns = 1'000 * k_ms;
constexpr std::chrono::milliseconds k_wait{20};
constexpr std::int64_t k_publish_ns = 100 * k_ms;
constexpr std::int64_t k_silence_ns = k_second_ns;
constexpr std::int64_t k_clock_step_ns = 50 * k_ms;      ///< more was a clock that was set
constexpr std::int64_t k_post_patience_ns = 200 * k_ms;  ///< frames that never begin hold no change up
constexpr unsigned k_recent_s = 10;

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * k_second_ns + now.tv_nsec;
}

}  // namespace

Clocks system_clocks() {
  return {[] { return read_clock(CLOCK_MONOTONIC); }, [] { return read_clock(CLOCK_REALTIME); }};
}

std::string_view name_of(StreamState state) {
  switch (state) {
    case StreamState::waiting:
      return "waiting";
    case StreamState::running:
      return "running";
    case StreamState::silent:
      return "silent";
    case StreamState::failed:
      break;
  }
  return "failed";
}

StreamSnapshot StreamBoard::read_short() const {
  const std::lock_guard lock(mutex_);
  StreamSnapshot out;
  // All but the two vectors.
  const auto copy = [&](auto... member) { ((out.*member = snapshot_.*member), ...); };
  using S = StreamSnapshot;
  copy(&S::state, &S::since_ms, &S::format, &S::heard, &S::ssrc, &S::payload_type, &S::received, &S::dropped, &S::sent,
       &S::send_failed, &S::leases, &S::frames_whole, &S::frames_partial, &S::format_changes, &S::scene_cuts);
  copy(&S::packets_per_second, &S::frames_per_second, &S::bits_per_second, &S::delays, &S::recent_delays, &S::core_busy,
       &S::window_frames, &S::window_filled);
  return out;
}

Loop::Loop(const StreamConfig& config, const Parts& parts, Clocks clocks)
    : parts_(parts),
      clocks_(clocks),
      processor_(config, *this, parts.notes, parts.previewer),
      further_(config.interface),
      real_ahead_ns_(clocks.real_ns() - clocks.steady_ns()),
      since_ms_(wall_clock_ms()),
      second_began_ns_(clocks.steady_ns()) {
  set_targets(config.targets, config.next_hop);
  set_preview(config.preview);
  publish();
}

Loop::~Loop() = default;

void Loop::set_targets(const std::vector<net::udp::Address>& targets, const std::optional<net::udp::Mac>& next_hop) {
  send_on();
  targets_.clear();
  if (!targets.empty()) targets_.push_back({.to = targets.front(), .next_hop = next_hop});
  further_.set(std::span(targets).subspan(targets.empty() ? 0 : 1));
}

void Loop::set_preview(const PreviewConfig& preview) {
  if (parts_.previewer != nullptr) parts_.previewer->configure(preview);
}

bool Loop::post(Mailbox::Message&& message) {
  if (!mailbox_.post(std::move(message))) return false;
  posted_.store(true, std::memory_order_release);
  return true;
}

void Loop::read_mailbox() {
  if (!posted_.exchange(false, std::memory_order_acquire)) return;
  posted_seen_ns_ = 0;
  mailbox_.drain();
}

void Loop::frame_begins() { read_mailbox(); }

void Loop::step() {
  const std::int64_t began_ns = clocks_.steady_ns();
  const std::size_t count = parts_.source.receive(burst_);
  if (count > 0) {
    take(count);
    const std::int64_t now_ns = clocks_.steady_ns();
    busy_ns_ += now_ns - began_ns;
    look_at_packets(now_ns);
    look_at_time(now_ns);
  } else {
    look_at_time(began_ns);
    if (processor_.between_pictures()) read_mailbox();
    parts_.source.wait(k_wait);
  }
}

/// Arrivals are of the clock that people set: previews and jitter are told of them by the one that does not jump. A
/// small step matters to neither, and may be this thread that was held up between the two.
void Loop::look_at_clocks() {
  const std::int64_t ahead_ns = clocks_.real_ns() - clocks_.steady_ns();
  if (std::abs(ahead_ns - real_ahead_ns_) > k_clock_step_ns) real_ahead_ns_ = ahead_ns;
}

void Loop::take(std::size_t count) {
  look_at_clocks();
  for (std::size_t i = 0; i < count; ++i) {
    net::udp::Packet& packet = burst_[i];
    const std::int64_t arrival_ns = packet.arrival_ns();
    // A change of targets sends what is in hand to those before.
    if (!processor_.process(packet.payload(), arrival_ns - real_ahead_ns_)) {
      packet.reset();
      continue;
    }
    arrivals_[onward_count_] = arrival_ns;
    onward_[onward_count_++] = std::move(packet);
  }
  send_on();
}

void Loop::send_on() {
  const auto packets = std::span(onward_).first(std::exchange(onward_count_, 0));
  if (packets.empty()) return;
  if (targets_.empty()) {
    for (net::udp::Packet& packet : packets) packet.reset();
    return;
  }
  further_.send(packets);
  parts_.source.send(packets, targets_.front());
  const std::int64_t now_ns = clocks_.real_ns();
  for (const std::int64_t arrival_ns : std::span(arrivals_).first(packets.size())) {
    const auto delay_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ns - arrival_ns));
    delays_.add(delay_ns);
    recent_.add(delay_ns);
  }
}

/// What is no packet of the stream breaks no silence.
void Loop::look_at_packets(std::int64_t now_ns) {
  const std::uint64_t packets = processor_.packets();
  if (packets == std::exchange(packets_, packets)) return;
  last_packet_ns_ = now_ns;
  if (state_ == StreamState::running) return;
  parts_.notes.push({.kind = Note::Kind::resumed, .a = processor_.ssrc()});
  enter(StreamState::running);
}

void Loop::look_at_time(std::int64_t now_ns) {
  if (posted_.load(std::memory_order_relaxed)) {
    if (posted_seen_ns_ == 0) posted_seen_ns_ = now_ns;
    if (now_ns - posted_seen_ns_ > k_post_patience_ns) read_mailbox();
  }
  if (state_ == StreamState::running && now_ns - last_packet_ns_ > k_silence_ns) {
    processor_.flush();
    enter(StreamState::silent);
    const auto silence_ms = static_cast<std::uint64_t>((now_ns - last_packet_ns_) / k_ms);
    parts_.notes.push({.kind = Note::Kind::silent, .a = silence_ms});
  }
  if (now_ns - second_began_ns_ >= k_second_ns) each_second(now_ns);
  if (now_ns < publish_next_ns_) return;
  publish_next_ns_ = now_ns + k_publish_ns;
  publish();
}

void Loop::each_second(std::int64_t now_ns) {
  const auto elapsed = static_cast<double>(now_ns - std::exchange(second_began_ns_, now_ns));
  const net::rtp::ReceiverStats now = processor_.stats();
  const net::rtp::ReceiverStats before = std::exchange(second_stats_, now);
  const std::uint64_t frames = processor_.frames(), frames_before = std::exchange(second_frames_, frames);
  const auto rate = [elapsed](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - from) * 1e9 / elapsed;
  };
  packets_per_second_ = rate(before.sequence.received, now.sequence.received);
  frames_per_second_ = rate(frames_before, frames);
  bits_per_second_ = 8 * rate(before.octets, now.octets);
  core_busy_ = static_cast<double>(std::exchange(busy_ns_, 0)) / elapsed;
  if (const std::uint64_t lost = now.sequence.lost - before.sequence.lost; lost > 0)
    parts_.notes.push({.kind = Note::Kind::loss, .a = lost, .b = now.sequence.lost});
  processor_.each_second();
  look_at_quota();
  parts_.source.refresh_stats();
  if (parts_.source.stats().uncut.get() > 0 && !std::exchange(uncut_told_, true))
    parts_.notes.push({.kind = Note::Kind::uncut});
  if (++seconds_ % k_recent_s != 0) return;
  recent_before_ = recent_;
  recent_.clear();
}

void Loop::look_at_quota() {
  if (near_quota_ ? core_busy_ >= k_core_quota_again : core_busy_ < k_core_quota) return;
  near_quota_ = !near_quota_;
  parts_.notes.push({.kind = near_quota_ ? Note::Kind::near_quota : Note::Kind::off_quota,
                     .a = static_cast<std::uint64_t>(core_busy_ * 1000),
                     .b = static_cast<std::uint64_t>(k_core_quota * 1000)});
}

void Loop::enter(StreamState state) {
  state_ = state;
  since_ms_ = wall_clock_ms();
  publish();
}

void Loop::publish() {
  snapshot_.state = state_;
  snapshot_.since_ms = since_ms_;
  processor_.describe(snapshot_);
  const net::udp::PacketStats& stats = parts_.source.stats();
  snapshot_.dropped = stats.dropped.get();
  snapshot_.sent = stats.sent_packets.get() + further_.sent();
  snapshot_.send_failed = stats.send_drops.get() + further_.failed();
  snapshot_.leases = stats.leases.get();
  snapshot_.port = {.starved = stats.starved.get(),
                    .truncated = stats.truncated.get(),
                    .malformed = stats.malformed.get(),
                    .fragments = stats.fragments.get(),
                    .foreign = stats.foreign.get(),
                    .errors = stats.errors.get(),
                    .uncut = stats.uncut.get()};
  snapshot_.packets_per_second = packets_per_second_;
  snapshot_.frames_per_second = frames_per_second_;
  snapshot_.bits_per_second = bits_per_second_;
  snapshot_.core_busy = core_busy_;
  snapshot_.delays = delays_;
  snapshot_.recent_delays = recent_;
  snapshot_.recent_delays.add(recent_before_);
  parts_.board.publish(snapshot_);
}

void Loop::finish() {
  send_on();
  processor_.flush();
  processor_.each_second();
  read_mailbox();
  mailbox_.close();
  mailbox_.drain();
  publish();
}

}  // namespace histod::daemon::streams
