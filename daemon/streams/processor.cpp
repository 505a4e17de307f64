// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/processor.hpp"

#include <algorithm>
#include <cassert>

namespace histod::daemon::streams {

namespace rtp = net::rtp;

namespace {

void add(rtp::ReceiverStats& sum, const rtp::ReceiverStats& more) {
  // What was missing of a receiver that is gone does not come any more.
  const std::uint64_t lost = sum.sequence.missing;
  sum.sequence.received += more.sequence.received;
  sum.sequence.lost += lost + more.sequence.lost;
  sum.sequence.missing = more.sequence.missing;
  sum.sequence.reordered += more.sequence.reordered;
  sum.sequence.duplicates += more.sequence.duplicates;
  sum.sequence.late += more.sequence.late;
  sum.sequence.strays += more.sequence.strays;
  sum.sequence.restarts += more.sequence.restarts;
  for (std::size_t i = 0; i < rtp::k_faults; ++i) sum.faults[i] += more.faults[i];
  sum.octets += more.octets;
  sum.pixels += more.pixels;
  sum.stale_packets += more.stale_packets;
  sum.pictures += more.pictures;
  sum.pictures_incomplete += more.pictures_incomplete;
  sum.missing_pixels += more.missing_pixels;
  sum.packet_jitter_ticks = more.packet_jitter_ticks;
  sum.picture_jitter_ticks = more.picture_jitter_ticks;
}

}  // namespace

Processor::Processor(const StreamConfig& config, Listener& listener, NoteRing& notes, Previewer* previewer)
    : config_(config),
      listener_(listener),
      notes_(notes),
      previewer_(previewer),
      format_(config.format),
      slots_{Slot(packed_form(config.format)), Slot(packed_form(config.format))},
      table_(packed_form(config.format).levels(), window_capacity(config.format.depth)),
      frame_counts_(packed_form(config.format).levels()) {
  make_receiver();
  configure(config.live);
}

void Processor::make_receiver() {
  const auto raster = rtp::Raster::make(format_);
  assert(raster);
  receiver_.emplace(*raster, rtp::Receiver::Options{.payload_type = config_.payload_type, .sequence = {}});
  watch_.emplace(format_);
}

bool Processor::process(std::span<std::byte> datagram, std::int64_t arrival_ns) {
  const auto received = receiver_->receive(datagram, static_cast<std::uint64_t>(arrival_ns));
  if (!received) return refuse(datagram, received.error());
  note_source(received->packet);
  const rtp::Placement& placement = received->placement;
  // Those before the packet's own: its slot may be one of theirs. Its own picture may end with it.
  for (const rtp::Picture& picture : placement.ended())
    if (!received->fresh() || picture.number != placement.number) end_picture(picture);
  if (!received->fresh()) return false;
  if (placement.begins) begin_picture(placement.number, received->payload.field(), arrival_ns);
  work(*received, datagram);
  for (const rtp::Picture& picture : placement.ended())
    if (picture.number == placement.number) end_picture(picture);
  if (received->packet.header.marker) {
    if (const auto size = watch_->ended(received->payload.field())) adopt(*size);
  }
  return true;
}

bool Processor::refuse(std::span<const std::byte> datagram, rtp::Fault fault) {
  const auto field = watch_->see_refused(datagram, fault);
  if (!field) return false;
  if (const auto size = watch_->ended(*field)) adopt(*size);
  return false;
}

void Processor::work(const rtp::Received& received, std::span<std::byte> datagram) {
  const std::uint64_t number = received.placement.number;
  Slot& slot = slot_of(number);
  const bool keep = previewer_ != nullptr && previewer_->keeps(number);
  for (const rtp::Segment& segment : received.payload) {
    const std::span<std::byte> groups = segment.of(datagram);
    const compute::video::Extent seen{.columns = segment.pixels, .lines = segment.rows};
    slot.counter.count(groups, seen);
    if (keep) previewer_->keep(segment, groups);
    slot.map.apply(groups, seen);
    watch_->see(segment);
  }
}

void Processor::note_source(const rtp::Packet& packet) {
  const std::uint32_t ssrc = receiver_->ssrc();
  payload_type_ = packet.header.payload_type;
  if (ssrc_ == ssrc) return;
  if (ssrc_) {
    ++ssrc_changes_;
    source_notes_.pass({.kind = Note::Kind::ssrc_changed, .a = *ssrc_, .b = ssrc}, notes_);
  }
  ssrc_ = ssrc;
}

void Processor::begin_picture(std::uint64_t number, unsigned field, std::int64_t now_ns) {
  const Slot& before = slot_of(number + 1);
  Slot& slot = slot_of(number);
  const bool second_field =
      format_.interlaced && field == 1 && before.frame == frame_ && before.field == 0 && frame_ > 0;
  if (!second_field) {
    ++frame_;
    listener_.frame_begins();
  }
  slot.frame = frame_;
  slot.field = field;
  slot.open = true;
  const std::uint64_t table = second_field ? before.table : tables_;
  if (slot.table != table) slot.map.set(second_field ? before.map.lut() : table_.lut());
  slot.table = table;
  if (previewer_ != nullptr) previewer_->begin(number, field, now_ns);
}

void Processor::end_picture(const rtp::Picture& picture) {
  Slot& slot = slot_of(picture.number);
  assert(slot.open);
  slot.open = false;
  if (previewer_ != nullptr && previewer_->keeps(picture.number)) previewer_->end(picture.complete(), slot.map.lut());
  if (pending_frame_ && *pending_frame_ != slot.frame) end_frame();
  pending_frame_ = slot.frame;
  slot.counter.fold_into(frame_counts_);
  ++pending_pictures_;
  if (picture.complete()) ++pending_whole_;
  if (!format_.interlaced || slot.field == 1) end_frame();
}

void Processor::end_frame() {
  const unsigned pictures = format_.interlaced ? 2 : 1;
  ++(pending_whole_ == pictures ? frames_whole_ : frames_partial_);
  pending_frame_.reset();
  pending_pictures_ = pending_whole_ = 0;
  // A frame's pixels are bounded, and so is each of its counts.
  const auto added = table_.add(frame_counts_);
  assert(added);
  ++tables_;
  std::ranges::fill(frame_counts_.counts(), 0);
}

void Processor::flush() {
  const rtp::Placement last = receiver_->flush();
  for (const rtp::Picture& picture : last.ended()) end_picture(picture);
  if (pending_frame_) end_frame();
}

void Processor::each_second() {
  source_notes_.tell_held(notes_);
  size_notes_.tell_held(notes_);
}

/// The window begins anew: frames of another size are of another picture.
void Processor::adopt(GeometryWatch::Size size) {
  rtp::VideoFormat now = format_;
  now.width = size.width;
  now.height = size.height;
  if (!rtp::Raster::make(now)) return;
  flush();
  size_notes_.pass(
      {.kind = Note::Kind::format_changed, .a = format_.width, .b = format_.height, .c = size.width, .d = size.height},
      notes_);
  ++format_changes_;
  format_ = now;
  add(earlier_, receiver_->stats());
  make_receiver();
  table_.reset();
  ++tables_;
  if (previewer_ != nullptr) previewer_->reset(format_);
}

void Processor::configure(const compute::video::LiveOptions& options) {
  const auto configured = table_.configure(options);
  assert(configured);
  ++tables_;
}

net::rtp::ReceiverStats Processor::stats() const {
  rtp::ReceiverStats sum = earlier_;
  add(sum, receiver_->stats());
  // From one receiver to the next, too.
  sum.sequence.ssrc_changes = ssrc_changes_;
  return sum;
}

void Processor::describe(StreamSnapshot& into) const {
  into.format = format_;
  into.heard = ssrc_.has_value();
  into.ssrc = ssrc_.value_or(0);
  into.payload_type = payload_type_;
  into.received = stats();
  into.frames_whole = frames_whole_;
  into.frames_partial = frames_partial_;
  into.format_changes = format_changes_;
  into.scene_cuts = table_.cuts();
  const compute::video::LiveOptions& live = table_.options();
  const bool window = live.smoothing == compute::video::Smoothing::window;
  into.window_frames = window ? live.frames : 1u << live.shift;
  into.window_filled = std::min(into.window_frames, table_.frames_kept());
  const auto counts = table_.counts().counts();
  into.counts.assign(counts.begin(), counts.end());
  into.lut = table_.lut();
}

}  // namespace histod::daemon::streams
