// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which packets of a stream came, which are missing, and which came twice, late or out of order: exactly, with a
// bounded window of memory. After RFC 3550, A.1, but for bitmaps in the place of its estimates.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace histod::net::rtp {

enum class Arrival : std::uint8_t {
  first,      ///< accounting begins with it: of the stream, of another SSRC, of restarted numbers
  next,       ///< the one behind the newest
  gap,        ///< ahead of it: those between are missing
  reordered,  ///< one of the missing
  duplicate,  ///< was here already
  late,       ///< before the first, or older than the window: nobody knows whether it was here
  stray,      ///< of another SSRC, or far ahead, and not yet believed
};

/// Whether a packet's pixels are here for the first time.
constexpr bool is_new(Arrival arrival) { return arrival <= Arrival::reordered; }
/// Whether it is the newest so far.
constexpr bool is_newest(Arrival arrival) { return arrival <= Arrival::gap; }

/// Packets, over all SSRCs and restarts. What was sent, from the first that came to the newest: received + lost +
/// missing. All that was observed: received + duplicates + late + strays.
struct SequenceStats {
  std::uint64_t received = 0;  ///< each once
  std::uint64_t lost = 0;      ///< did not come while they were in the window
  std::uint64_t missing = 0;   ///< gauge: in the window, and may yet come
  std::uint64_t reordered = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t late = 0;
  std::uint64_t strays = 0;
  std::uint64_t ssrc_changes = 0;
  std::uint64_t restarts = 0;  ///< of the sequence numbers, the SSRC being the same

  bool operator==(const SequenceStats&) const = default;
};

/// One thread. Memory is taken when it is made: a bit for each packet of the window.
class SequenceTracker {
 public:
  struct Options {
    std::size_t window_packets = 1024;            ///< a power of two, 64 to 32768
    std::uint64_t dropout_packets_max = 1 << 24;  ///< what is further ahead is believed only with its successors
    unsigned min_sequential =
        2;  ///< packets in sequence that make another SSRC or restarted numbers believed, at least 1
  };

  explicit SequenceTracker(const Options& options);

  /// `extended` is the high half of the sequence number as RFC 4175, 4.2, has it. Many senders leave it at one value,
  /// mostly 0: it is used once it changes, and never where the low half wraps and it does not. Without it, a pause of
  /// more than 32767 packets is taken for a shorter one.
  Arrival observe(std::uint32_t ssrc, std::uint16_t sequence_number, std::uint16_t extended);

  const SequenceStats& stats() const { return stats_; }
  std::uint32_t ssrc() const { return ssrc_; }

 private:
  enum class Extended : std::uint8_t { unknown, used, unused };

  std::int64_t index_of(std::uint16_t sequence_number, std::uint16_t extended);
  Arrival begin(std::uint32_t ssrc, std::uint16_t sequence_number, std::uint16_t extended);
  Arrival behind(std::int64_t index);
  void advance(std::int64_t index);
  bool believed(std::uint32_t ssrc, std::uint16_t sequence_number);

  bool test(std::int64_t index) const { return (bits_[slot(index) / 64] >> (slot(index) % 64) & 1) != 0; }
  void set(std::int64_t index) { bits_[slot(index) / 64] |= std::uint64_t{1} << (slot(index) % 64); }
  void clear(std::int64_t index) { bits_[slot(index) / 64] &= ~(std::uint64_t{1} << (slot(index) % 64)); }
  std::size_t slot(std::int64_t index) const { return static_cast<std::size_t>(index) & (options_.window_packets - 1); }

  Options options_;
  SequenceStats stats_;
  std::vector<std::uint64_t> bits_;  ///< of those in the window and not missing
  bool begun_ = false;
  std::uint32_t ssrc_ = 0;
  std::int64_t first_ = 0;    ///< index of the first; an index is the sequence number, counted on without wrapping
  std::int64_t highest_ = 0;  ///< the newest
  Extended extended_ = Extended::unknown;
  std::uint16_t first_extended_ = 0;
  std::uint32_t suspect_ssrc_ = 0;
  std::uint16_t suspect_next_ = 0;
  unsigned suspect_packets_ = 0;
};

}  // namespace histod::net::rtp
