// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "net/rtp/fault.hpp"
#include "net/rtp/format.hpp"
#include "net/rtp/payload.hpp"

namespace histod::daemon::streams {

/// Notices by their pixels' places that pictures have another size than was said: RTP itself does not tell. A picture's
/// size is how far its segments reach; it counts when the picture ended with its marker, and two in a row must agree.
/// One thread, no allocation.
class GeometryWatch {
 public:
  struct Size {
    unsigned width = 0, height = 0;
    bool operator==(const Size&) const = default;
  };

  explicit GeometryWatch(const net::rtp::VideoFormat& format) : format_(format) {}

  /// A packet of the stream.
  void see(const net::rtp::Segment& segment) {
    const unsigned last = segment.row + (segment.rows - 1u) * segment.row_step;
    reach({segment.offset + unsigned{segment.pixels}, last + 1});
  }
  /// A datagram that was refused: where its pixels are too far out they count, too. Its field, when it had a marker.
  std::optional<unsigned> see_refused(std::span<const std::byte> datagram, net::rtp::Fault fault);
  /// What was seen last ended its picture. What the size has become, when it has.
  std::optional<Size> ended(unsigned field);

 private:
  void reach(Size size) {
    reached_.width = std::max(reached_.width, size.width);
    reached_.height = std::max(reached_.height, size.height);
  }

  net::rtp::VideoFormat format_;
  Size reached_, candidate_;
};

}  // namespace histod::daemon::streams
