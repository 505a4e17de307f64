// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where pictures begin and end in a stream of packets. A picture is a frame of progressive video, or a field: what
// shares a timestamp and ends with a marker (RFC 4175, 4.1).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace histod::net::rtp {

struct Picture {
  std::uint64_t number = 0;  ///< counts those that were begun, from 0
  std::uint32_t timestamp = 0;
  std::uint8_t field = 0;
  bool marker = false;  ///< its last packet came
  std::uint64_t packets = 0;
  std::uint64_t pixels = 0;           ///< that came
  std::uint64_t expected_pixels = 0;  ///< of the whole picture

  bool complete() const { return pixels >= expected_pixels; }
  std::uint64_t missing_pixels() const { return complete() ? 0 : expected_pixels - pixels; }
  bool operator==(const Picture&) const = default;
};

/// What a packet did.
struct Placement {
  enum class Place : std::uint8_t {
    newest,    ///< belongs to the picture that comes in
    previous,  ///< belongs to the one before, which still waits for packets
    stale,     ///< belongs to a picture that is over: its pixels count for nothing
  };
  Place place = Place::stale;
  bool begins = false;       ///< the newest picture begins with it
  std::uint64_t number = 0;  ///< of the packet's picture, unless stale

  /// Pictures that ended with it, the older one first.
  std::span<const Picture> ended() const { return std::span(ended_).first(ended_count_); }
  void add_ended(const Picture& picture) { ended_[ended_count_++] = picture; }

 private:
  std::array<Picture, 3> ended_{};
  std::size_t ended_count_ = 0;
};

/// A picture ends when all its pixels are here; or else, being incomplete, when `hold_packets` packets of the next one
/// are here, or all of it, or the one after that begins. Pictures end in the order in which they began. So a picture
/// that lost nothing ends with its last packet, and packets that were reordered over the border of pictures are not
/// lost. One thread, no allocation.
class PictureTracker {
 public:
  explicit PictureTracker(unsigned hold_packets) : hold_packets_(hold_packets) {}

  /// A packet that is new (is_new()). `newest`: no packet with a higher sequence number came before it, which alone
  /// begins a picture; so timestamps may jump in either direction.
  Placement place(std::uint32_t timestamp, unsigned field, bool marker, std::uint32_t pixels, bool newest,
                  std::uint64_t expected_pixels);

  /// What comes from now on belongs to no picture of before: another sender, or other timestamps.
  void forget() { newest_.known = previous_.known = false; }

  /// Ends what is open: the stream is silent, over, or becomes another one.
  Placement flush();

 private:
  struct Slot {
    Picture picture;
    bool open = false;   ///< takes packets
    bool known = false;  ///< a packet may be one of it, be it that the picture is over
  };

  static bool is_of(const Slot& slot, std::uint32_t timestamp, unsigned field) {
    return slot.known && slot.picture.timestamp == timestamp && slot.picture.field == field;
  }
  static void end(Slot& slot, Placement& placement);
  void begin(std::uint32_t timestamp, unsigned field, std::uint64_t expected_pixels, Placement& placement);

  unsigned hold_packets_;
  Slot newest_;
  Slot previous_;
  std::uint64_t begun_ = 0;
};

}  // namespace histod::net::rtp
