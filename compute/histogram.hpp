// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/error.hpp"

namespace histod::compute {

/// Counts of one channel: 256 bins for 8-bit samples, 65 536 for 16-bit; in video also 1024 and 4096, which have no
/// canonical bytes. Counts are u64, so that sums commute and never overflow (2^64 pixels); this is what makes results
/// independent of threads, nodes and retries.
class Histogram {
 public:
  explicit Histogram(std::uint32_t bins = 256);

  std::uint32_t bins() const { return static_cast<std::uint32_t>(counts_.size()); }
  std::span<std::uint64_t> counts() { return counts_; }
  std::span<const std::uint64_t> counts() const { return counts_; }
  std::uint64_t operator[](std::uint32_t bin) const { return counts_[bin]; }

  /// Both must have the same number of bins.
  void merge(const Histogram& other);
  /// `other` must have been merged in before: no bin may become negative.
  void subtract(const Histogram& other);
  std::uint64_t total() const;

  /// Canonical form: magic "HHST", u32 version = 1, u32 bins, then the counts, all little-endian.
  std::vector<std::byte> to_bytes() const;
  static Result<Histogram> from_bytes(std::span<const std::byte> bytes);

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  std::vector<std::uint64_t> counts_;
};

}  // namespace histod::compute
