// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace histod::daemon::streams {

/// How long packets took, in buckets that are an eighth of their octave wide: percentiles are right to 12.5 %, from
/// half a microsecond to a minute. One thread; no allocation.
class DelayHistogram {
 public:
  static constexpr unsigned k_octave_min = 9;   ///< below 2^9 ns everything is one bucket
  static constexpr unsigned k_octave_max = 36;  ///< and beyond 2^36
  static constexpr unsigned k_parts = 8;        ///< of an octave
  static constexpr std::size_t k_buckets = (k_octave_max - k_octave_min) * k_parts + 2;

  void add(std::uint64_t ns) {
    ++counts_[bucket_of(ns)];
    ++total_;
    sum_ns_ += ns;
  }
  void add(const DelayHistogram& other) {
    for (std::size_t i = 0; i < k_buckets; ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    sum_ns_ += other.sum_ns_;
  }
  void clear() { *this = {}; }
  std::uint64_t total() const { return total_; }
  std::uint64_t sum_ns() const { return sum_ns_; }

  /// The upper bound of the bucket that the permille-th of a thousand is in; 0 when there are none.
  std::uint64_t at_permille(unsigned permille) const {
    if (total_ == 0) return 0;
    const std::uint64_t rank = std::max<std::uint64_t>(1, (total_ * permille + 999) / 1000);
    std::uint64_t below = 0;
    std::size_t bucket = 0;
    while ((below += counts_[bucket]) < rank) ++bucket;
    return upper_ns(bucket);
  }
  /// Those of less than 2^octave ns.
  std::uint64_t below_octave(unsigned octave) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i <= (octave - k_octave_min) * k_parts; ++i) sum += counts_[i];
    return sum;
  }

  static std::size_t bucket_of(std::uint64_t ns) {
    if (ns < (1ull << k_octave_min)) return 0;
    if (ns >= (1ull << k_octave_max)) return k_buckets - 1;
    const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 1;
    return 1 + (octave - k_octave_min) * k_parts + (ns >> (octave - 3) & (k_parts - 1));
  }
  static std::uint64_t upper_ns(std::size_t bucket) {
    if (bucket == 0) return 1ull << k_octave_min;
    if (bucket >= k_buckets - 1) return 1ull << k_octave_max;
    const std::uint64_t octave = k_octave_min + (bucket - 1) / k_parts, part = (bucket - 1) % k_parts;
    return (k_parts + part + 1) << (octave - 3);
  }

 private:
  std::array<std::uint64_t, k_buckets> counts_{};
  std::uint64_t total_ = 0, sum_ns_ = 0;
};

}  // namespace histod::daemon::streams
