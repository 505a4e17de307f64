// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "compute/video/live_table.hpp"
#include "compute/video/packed.hpp"
#include "daemon/streams/config.hpp"
#include "daemon/streams/geometry_watch.hpp"
#include "daemon/streams/notes.hpp"
#include "daemon/streams/preview.hpp"
#include "daemon/streams/snapshot.hpp"
#include "net/rtp/receiver.hpp"

namespace histod::daemon::streams {

/// What a stream does with each datagram, without I/O, clock and threads: its luma is counted where it lies, and the
/// table applied there. A picture's table is made of all frames that had ended when it began, and stays the same for
/// all of it, however its packets come. One thread; no allocation but where another size of pictures begins.
class Processor {
 public:
  /// Told that a frame begins, before its table is chosen: what is to hold from the next frame on is changed now.
  class Listener {
   public:
    virtual void frame_begins() = 0;

   protected:
    ~Listener() = default;
  };

  /// `notes` and `previewer` (null: none) outlive this.
  Processor(const StreamConfig& config, Listener& listener, NoteRing& notes, Previewer* previewer);
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  /// True when it is to be sent on, as it is now. `arrival_ns`: of any clock that does not jump.
  bool process(std::span<std::byte> datagram, std::int64_t arrival_ns);
  /// Ends what is open: nothing comes any more.
  void flush();
  /// Tells what was held back for it.
  void each_second();
  /// Whether no picture is being received.
  bool between_pictures() const { return !slots_[0].open && !slots_[1].open; }

  /// Of read_stream() or changed(): cannot fail.
  void configure(const compute::video::LiveOptions& options);
  /// Fills what is known here; the memory of `into` is used again.
  void describe(StreamSnapshot& into) const;
  std::uint64_t frames() const { return frames_whole_ + frames_partial_; }
  std::uint64_t packets() const { return earlier_.sequence.received + receiver_->stats().sequence.received; }
  std::uint32_t ssrc() const { return ssrc_.value_or(0); }
  /// Of all receivers that there were.
  net::rtp::ReceiverStats stats() const;

 private:
  /// A picture that is being received: the newest, or the one before it.
  struct Slot {
    explicit Slot(const compute::video::PackedForm& form) : counter(form), map(form) {}
    compute::video::LumaCounter counter;
    compute::video::LumaMap map;
    std::uint64_t table = 0;  ///< which of the tables `map` is
    std::uint64_t frame = 0;  ///< of which it is a field, or all
    unsigned field = 0;
    bool open = false;
  };

  Slot& slot_of(std::uint64_t picture) { return slots_[picture & 1]; }
  void begin_picture(std::uint64_t number, unsigned field, std::int64_t now_ns);
  void end_picture(const net::rtp::Picture& picture);
  void end_frame();
  bool refuse(std::span<const std::byte> datagram, net::rtp::Fault fault);
  void work(const net::rtp::Received& received, std::span<std::byte> datagram);
  void note_source(const net::rtp::Packet& packet);
  void adopt(GeometryWatch::Size size);
  void make_receiver();

  const StreamConfig config_;
  Listener& listener_;
  NoteRing& notes_;
  NoteGate source_notes_, size_notes_;
  Previewer* const previewer_;
  net::rtp::VideoFormat format_;  ///< as it comes in
  std::optional<net::rtp::Receiver> receiver_;
  net::rtp::ReceiverStats earlier_;  ///< of receivers that are gone
  std::optional<GeometryWatch> watch_;
  std::array<Slot, 2> slots_;
  compute::video::LiveTable table_;
  std::uint64_t tables_ = 1;  ///< that there were, the identity among them
  compute::Histogram frame_counts_;
  std::uint64_t frame_ = 0;                     ///< that began last
  std::optional<std::uint64_t> pending_frame_;  ///< whose counts are in frame_counts_
  unsigned pending_pictures_ = 0, pending_whole_ = 0;
  std::optional<std::uint32_t> ssrc_;
  std::uint8_t payload_type_ = 0;
  std::uint64_t ssrc_changes_ = 0;
  std::uint64_t frames_whole_ = 0, frames_partial_ = 0, format_changes_ = 0;
};

}  // namespace histod::daemon::streams
