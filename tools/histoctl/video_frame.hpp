// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "net/rtp/format.hpp"
#include "net/rtp/payload.hpp"

namespace histod::ctl {

/// What a frame is made of.
class Samples {
 public:
  virtual ~Samples() = default;
  /// A sample of the pixel in column `x` and row `y` of the frame, `depth` bits. Cb and Cr are asked for once for the
  /// pixels that share them, at the upper left one.
  virtual unsigned at(net::rtp::Component component, unsigned x, unsigned y) const = 0;
};

/// A frame as RFC 4175 packs it: pgroups, line by line, and field by field where it is interlaced.
class PackedFrame {
 public:
  /// The fill of the last pgroup of a line repeats the line's last pixel.
  PackedFrame(const net::rtp::Raster& raster, const Samples& samples);

  /// What is to be sent in a segment that a Packetizer of the same raster planned.
  std::span<const std::byte> octets_of(const net::rtp::Segment& segment) const;

  static std::uint64_t octets(const net::rtp::Raster& raster);

 private:
  void pack_line(const Samples& samples, unsigned row_of_field, unsigned field);

  net::rtp::Raster raster_;
  std::vector<std::byte> octets_;
};

}  // namespace histod::ctl
