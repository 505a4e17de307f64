// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/video_frame.hpp"

#include <algorithm>

namespace histod::ctl {
namespace rtp = net::rtp;
namespace {

/// Lines of pgroups: of 4:2:0 one for two rows.
unsigned lines_of(const rtp::Raster& raster, unsigned field) {
  return (raster.rows_of(field) + raster.pgroup().height - 1) / raster.pgroup().height;
}

unsigned fields_of(const rtp::Raster& raster) { return raster.format().interlaced ? 2 : 1; }

}  // namespace

std::uint64_t PackedFrame::octets(const rtp::Raster& raster) {
  std::uint64_t lines = 0;
  for (unsigned field = 0; field < fields_of(raster); ++field) lines += lines_of(raster, field);
  return lines * raster.line_octets();
}

PackedFrame::PackedFrame(const rtp::Raster& raster, const Samples& samples) : raster_(raster) {
  octets_.reserve(octets(raster));
  for (unsigned field = 0; field < fields_of(raster); ++field) {
    for (unsigned row = 0; row < raster.rows_of(field); row += raster.pgroup().height) pack_line(samples, row, field);
  }
}

void PackedFrame::pack_line(const Samples& samples, unsigned row_of_field, unsigned field) {
  const rtp::VideoFormat& format = raster_.format();
  const auto order = rtp::samples_of(format.sampling, format.depth);
  const unsigned last_row = raster_.rows_of(field) - 1;
  for (unsigned column = 0; column < format.width; column += raster_.pgroup().width) {
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const rtp::Sample& sample : order) {
      const unsigned x = std::min(column + sample.x, format.width - 1);
      const unsigned y = raster_.row_of_frame(std::min(row_of_field + sample.y, last_row), field);
      pending = pending << format.depth | samples.at(sample.component, x, y);
      for (bits += format.depth; bits >= 8; bits -= 8) octets_.push_back(static_cast<std::byte>(pending >> (bits - 8)));
    }
  }
}

std::span<const std::byte> PackedFrame::octets_of(const rtp::Segment& segment) const {
  const unsigned row_of_field = segment.row / raster_.row_step();
  const std::size_t before = segment.field != 0 ? lines_of(raster_, 0) : 0;
  const std::size_t line = before + row_of_field / raster_.pgroup().height;
  const std::size_t begin =
      line * raster_.line_octets() + std::size_t{segment.offset} / raster_.pgroup().width * raster_.pgroup().octets;
  return std::span(octets_).subspan(begin, segment.octets);
}

}  // namespace histod::ctl
