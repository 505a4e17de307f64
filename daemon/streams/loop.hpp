// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/mailbox.hpp"
#include "daemon/streams/further_targets.hpp"
#include "daemon/streams/processor.hpp"
#include "net/udp/packet_source.hpp"

namespace histod::daemon::streams {

/// What a stream's loop asks the time of; nanoseconds.
struct Clocks {
  std::int64_t (*steady_ns)();  ///< does not jump
  std::int64_t (*real_ns)();    ///< that of Packet::arrival_ns()
};
Clocks system_clocks();

/// The core of a stream is to be busy no more than this: beyond, a burst of packets finds no room, and they are lost.
inline constexpr double k_core_quota = 0.8;
inline constexpr double k_core_quota_again = 0.7;  ///< below that it may be told of again

/// A stream's packets from its port and back to it, a burst at a time. All but what says otherwise belongs to the
/// thread that calls step().
class Loop final : private Processor::Listener {
 public:
  struct Parts {
    net::udp::PacketSource& source;
    StreamBoard& board;
    NoteRing& notes;
    Previewer* previewer = nullptr;  ///< null: none
  };
  static constexpr std::size_t k_mailbox_messages = 64;  ///< changes that wait for a frame to begin

  Loop(const StreamConfig& config, const Parts& parts, Clocks clocks);
  ~Loop();

  /// Takes in what is there, and sends it on; sleeps for a moment where there is nothing.
  void step();
  /// The last thing: what is in hand is ended and told.
  void finish();

  /// Any thread: runs between two frames, with the loop's thread as its own. False: too many wait.
  [[nodiscard]] bool post(Mailbox::Message&& message);
  // For those messages.
  void configure(const compute::video::LiveOptions& options) { processor_.configure(options); }
  void set_targets(const std::vector<net::udp::Address>& targets, const std::optional<net::udp::Mac>& next_hop);
  void set_preview(const PreviewConfig& preview);
  void publish();

 private:
  static constexpr std::size_t k_burst = 64;

  void frame_begins() override;
  void read_mailbox();
  void take(std::size_t count);
  void look_at_clocks();
  void send_on();
  void look_at_packets(std::int64_t now_ns);
  void look_at_time(std::int64_t now_ns);
  void each_second(std::int64_t now_ns);
  void look_at_quota();
  void enter(StreamState state);

  const Parts parts_;
  const Clocks clocks_;
  Processor processor_;
  FurtherTargets further_;
  std::int64_t real_ahead_ns_;             ///< of the clock that does not jump
  std::vector<net::udp::Target> targets_;  ///< at most one: the others are further_'s
  std::array<net::udp::Packet, k_burst> burst_, onward_;
  std::array<std::int64_t, k_burst> arrivals_{};
  std::size_t onward_count_ = 0;
  Mailbox mailbox_{k_mailbox_messages, Mailbox::Unwatched()};
  std::atomic<bool> posted_{false};
  std::int64_t posted_seen_ns_ = 0;

  StreamSnapshot snapshot_;  ///< to be published; its memory goes round
  StreamState state_ = StreamState::waiting;
  std::int64_t since_ms_;
  DelayHistogram delays_, recent_, recent_before_;
  std::int64_t last_packet_ns_ = 0, busy_ns_ = 0;
  std::uint64_t packets_ = 0;  ///< that were received, as of last_packet_ns_
  std::int64_t publish_next_ns_ = 0, second_began_ns_ = 0;
  unsigned seconds_ = 0;
  net::rtp::ReceiverStats second_stats_;
  std::uint64_t second_frames_ = 0;
  double packets_per_second_ = 0, frames_per_second_ = 0, bits_per_second_ = 0, core_busy_ = 0;
  bool near_quota_ = false, uncut_told_ = false;
};

}  // namespace histod::daemon::streams
