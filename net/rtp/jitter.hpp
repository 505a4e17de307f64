// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace histod::net::rtp {

/// How unevenly packets come, against their timestamps: the estimate of RFC 3550, 6.4.1 and A.8, in integers. Of all
/// packets of a video stream it is mostly how a picture's packets, which share a timestamp, are spread over time; of
/// each picture's first packets it is how evenly pictures come.
class InterarrivalJitter {
 public:
  /// `arrival_ns` is of any clock that does not jump.
  void observe(std::uint64_t arrival_ns, std::uint32_t timestamp) {
    // 90000 ticks a second are 9 in 100000 ns; in two parts, so that no product is over 64 bits.
    const std::uint64_t ticks = arrival_ns / 100'000 * 9 + arrival_ns % 100'000 * 9 / 100'000;
    const std::uint32_t transit = static_cast<std::uint32_t>(ticks) - timestamp;
    if (transit_) {
      const auto difference = static_cast<std::int32_t>(transit - *transit_);
      const std::uint32_t distance =
          difference < 0 ? 0u - static_cast<std::uint32_t>(difference) : static_cast<std::uint32_t>(difference);
      scaled_ += distance - ((scaled_ + 8) >> 4);
    }
    transit_ = transit;
  }

  /// Another source: the estimate begins again.
  void reset() { *this = {}; }

  /// In units of 1/90000 s.
  std::uint32_t ticks() const { return static_cast<std::uint32_t>(scaled_ >> 4); }

 private:
  std::optional<std::uint32_t> transit_;
  std::uint64_t scaled_ = 0;  ///< 16 times the estimate
};

}  // namespace histod::net::rtp
