// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/sequence.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace histod::net::rtp {

SequenceTracker::SequenceTracker(const Options& options) : options_(options), bits_(options.window_packets / 64) {
  assert(std::has_single_bit(options.window_packets) && options.window_packets >= 64 &&
         options.window_packets <= 32768 && options.min_sequential >= 1);
}

Arrival SequenceTracker::observe(std::uint32_t ssrc, std::uint16_t sequence_number, std::uint16_t extended) {
  if (!begun_) return begin(ssrc, sequence_number, extended);
  if (ssrc != ssrc_) {
    if (believed(ssrc, sequence_number)) {
      ++stats_.ssrc_changes;
      return begin(ssrc, sequence_number, extended);
    }
    ++stats_.strays;
    return Arrival::stray;
  }
  const std::int64_t index = index_of(sequence_number, extended);
  const std::int64_t ahead = index - highest_;
  const bool too_far = ahead > static_cast<std::int64_t>(options_.dropout_packets_max);
  if (too_far || ahead <= -static_cast<std::int64_t>(options_.window_packets)) {
    if (believed(ssrc, sequence_number)) {
      ++stats_.restarts;
      return begin(ssrc, sequence_number, extended);
    }
    ++(too_far ? stats_.strays : stats_.late);
    return too_far ? Arrival::stray : Arrival::late;
  }
  suspect_packets_ = 0;
  if (ahead <= 0) return behind(index);
  advance(index);
  ++stats_.received;
  return ahead == 1 ? Arrival::next : Arrival::gap;
}

std::int64_t SequenceTracker::index_of(std::uint16_t sequence_number, std::uint16_t extended) {
  const auto low = static_cast<std::int16_t>(sequence_number - static_cast<std::uint16_t>(highest_));
  const std::uint32_t whole = std::uint32_t{extended} << 16 | sequence_number;
  const std::int64_t by_both = highest_ + static_cast<std::int32_t>(whole - static_cast<std::uint32_t>(highest_));
  if (extended_ == Extended::unknown && extended != first_extended_) extended_ = Extended::used;
  if (extended_ == Extended::used) return by_both;
  const std::int64_t by_low = highest_ + low;
  if (extended_ == Extended::unused) return by_low;
  // So far the high half is what it was. What is further back than the window may be what both halves together say.
  if (low <= -static_cast<std::int64_t>(options_.window_packets)) return by_both;
  if (low > 0 && static_cast<std::uint16_t>(by_low >> 16) != first_extended_) extended_ = Extended::unused;
  return by_low;
}

bool SequenceTracker::believed(std::uint32_t ssrc, std::uint16_t sequence_number) {
  const bool follows = suspect_packets_ > 0 && suspect_ssrc_ == ssrc && suspect_next_ == sequence_number;
  suspect_packets_ = follows ? suspect_packets_ + 1 : 1;
  suspect_ssrc_ = ssrc;
  suspect_next_ = static_cast<std::uint16_t>(sequence_number + 1);
  return suspect_packets_ >= options_.min_sequential;
}

Arrival SequenceTracker::begin(std::uint32_t ssrc, std::uint16_t sequence_number, std::uint16_t extended) {
  stats_.lost += stats_.missing;
  stats_.missing = 0;
  std::ranges::fill(bits_, ~std::uint64_t{0});
  begun_ = true;
  ssrc_ = ssrc;
  first_ = highest_ = std::int64_t{extended} << 16 | sequence_number;
  extended_ = Extended::unknown;
  first_extended_ = extended;
  suspect_packets_ = 0;
  ++stats_.received;
  return Arrival::first;
}

Arrival SequenceTracker::behind(std::int64_t index) {
  if (index < first_) {
    ++stats_.late;
    return Arrival::late;
  }
  if (test(index)) {
    ++stats_.duplicates;
    return Arrival::duplicate;
  }
  set(index);
  --stats_.missing;
  ++stats_.reordered;
  ++stats_.received;
  return Arrival::reordered;
}

void SequenceTracker::advance(std::int64_t index) {
  const auto window = static_cast<std::int64_t>(options_.window_packets);
  if (index - highest_ >= window) {
    // All of the window leaves it, and what lies between never was in it.
    stats_.lost += stats_.missing + static_cast<std::uint64_t>(index - highest_ - window);
    stats_.missing = options_.window_packets - 1;
    std::ranges::fill(bits_, 0);
  } else {
    for (std::int64_t entering = highest_ + 1; entering <= index; ++entering) {
      if (!test(entering)) {
        ++stats_.lost;
        --stats_.missing;
      }
      if (entering == index) break;
      clear(entering);
      ++stats_.missing;
    }
  }
  set(index);
  highest_ = index;
}

}  // namespace histod::net::rtp
