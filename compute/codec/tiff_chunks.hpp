// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <limits>
#include <mutex>
#include <vector>

#include "compute/codec/tiff_page.hpp"

/// Strips and tiles are coded each by itself, so the arena's threads take them in turn, those of all pages in one row.
namespace histod::compute::codec::tiff {

/// The chunks of several pages in the order of the file.
class ChunkList {
 public:
  struct Place {
    std::size_t page = 0;
    std::uint64_t chunk = 0;  ///< its index in that page
  };

  void add_page(std::uint64_t chunks) { ends_.push_back(size() + chunks); }
  std::uint64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  Place at(std::uint64_t index) const;

 private:
  std::vector<std::uint64_t> ends_;  ///< of each page
};

/// Chunks that are worked on at the same time, at most, on however many threads: each hand has `hand_bytes` of memory,
/// which must be counted before anybody knows the arena.
std::size_t hands_max(std::uint64_t chunks, std::size_t hand_bytes);

/// Of all that fails, what comes first in the file: what one thread would have met.
class FirstFailure {
 public:
  /// Whether something before `index` has failed already, so that nothing can come of it any more.
  bool is_before(std::uint64_t index) const { return index_.load(std::memory_order_relaxed) < index; }
  void note(std::uint64_t index, Error error);
  Result<void> result();

 private:
  static constexpr std::uint64_t k_none = std::numeric_limits<std::uint64_t>::max();
  std::atomic<std::uint64_t> index_ = k_none;
  std::mutex mutex_;
  Error error_;
};

}  // namespace histod::compute::codec::tiff
