// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/picture.hpp"

namespace histod::net::rtp {

void PictureTracker::end(Slot& slot, Placement& placement) {
  if (!slot.open) return;
  slot.open = false;
  placement.add_ended(slot.picture);
}

void PictureTracker::begin(std::uint32_t timestamp, unsigned field, std::uint64_t expected_pixels,
                           Placement& placement) {
  end(previous_, placement);
  previous_ = newest_;
  newest_ = {.picture = {.number = begun_++,
                         .timestamp = timestamp,
                         .field = static_cast<std::uint8_t>(field),
                         .marker = false,
                         .packets = 0,
                         .pixels = 0,
                         .expected_pixels = expected_pixels},
             .open = true,
             .known = true};
  placement.begins = true;
}

Placement PictureTracker::place(std::uint32_t timestamp, unsigned field, bool marker, std::uint32_t pixels, bool newest,
                                std::uint64_t expected_pixels) {
  Placement placement;
  if (newest && !is_of(newest_, timestamp, field)) begin(timestamp, field, expected_pixels, placement);
  Slot* slot = is_of(newest_, timestamp, field) ? &newest_ : is_of(previous_, timestamp, field) ? &previous_ : nullptr;
  if (slot != nullptr && slot->open) {
    placement.place = slot == &newest_ ? Placement::Place::newest : Placement::Place::previous;
    Picture& picture = slot->picture;
    placement.number = picture.number;
    ++picture.packets;
    picture.pixels += pixels;
    picture.marker = picture.marker || marker;
    // The older one first, so that pictures end in the order in which they began.
    if (slot == &newest_ && (picture.complete() || picture.packets >= hold_packets_)) end(previous_, placement);
    if (picture.complete()) end(*slot, placement);
  }
  return placement;
}

Placement PictureTracker::flush() {
  Placement placement;
  end(previous_, placement);
  end(newest_, placement);
  return placement;
}

}  // namespace histod::net::rtp
