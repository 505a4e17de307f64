// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/histogram.hpp"
#include "compute/planes.hpp"
#include "compute/rule.hpp"

namespace histod::compute {

/// The global equalization of one 8-bit plane whose samples come and go in pieces of any size. The same bytes as
/// equalize(). Used by one thread at a time, but for count() and apply(). Takes memory with the first image, and again
/// with the first large one; from then on none.
class GrayStream {
 public:
  /// `hands`: how many threads may count at one time.
  explicit GrayStream(unsigned hands);
  /// Forgets what was counted. `samples`: about how many will come.
  void begin(std::size_t samples);
  /// One thread at a time for each hand.
  void count(unsigned hand, std::span<const std::byte> samples);
  /// Takes back what was counted and turned out to be no samples.
  void discount(std::span<const std::byte> samples);
  /// As make_lut() for 256 levels, which nothing can make fail.
  void make_table(Rule rule);
  void apply(std::span<std::byte> samples) const;

  const Histogram& histogram() const { return histogram_; }        ///< complete after make_table()
  std::span<const std::uint8_t> table() const { return narrow_; }  ///< its canonical bytes, too

 private:
  struct Hand {
    SampleCounter<std::uint8_t> small;
    std::unique_ptr<SampleCounter<std::uint8_t>> large;  ///< null until an image is large enough
    SampleCounter<std::uint8_t>* used = nullptr;         ///< null until the first samples of an image are seen
  };
  void fold();

  std::vector<Hand> hands_;
  SampleCounter<std::uint8_t> removed_;
  bool large_ = false;
  Histogram histogram_{256};
  Histogram removals_{256};
  Lut lut_;
  std::array<std::uint8_t, 256> narrow_{};
};

}  // namespace histod::compute
