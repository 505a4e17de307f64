// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a stream of uncompressed video looks like (RFC 4175, 4.3 and 6.1): sampling, depth, pgroups, lines and fields.
// Pure values; any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "net/rtp/fault.hpp"

namespace histod::net::rtp {

/// RFC 4175, 6.1, parameter "sampling". There is no monochrome: gray is the Y of the YCbCr samplings.
enum class Sampling : std::uint8_t { ycbcr_422, ycbcr_420, rgb, rgba };

/// "YCbCr-4:2:2" and so on, as SDP writes them.
std::string_view name_of(Sampling sampling);
std::optional<Sampling> sampling_of(std::string_view name);

/// How the lines of interlaced video are numbered. RFC 4175 does not say. `frame`: by their place in the frame, so that
/// the first field has the even numbers (GStreamer). `field`: each field from 0 (ffmpeg; SMPTE ST 2110-20, 6.1.4). A
/// description seldom tells. Read as `frame`, a stream numbered by field has Fault::line_not_of_field from its second
/// line on; read as `field`, one numbered by frame has Fault::line_beyond_frame from the middle of each field on.
enum class LineNumbering : std::uint8_t { frame, field };

/// One stream's pictures. `width` and `height` are those of the frame, in pixels, for interlaced video too.
struct VideoFormat {
  Sampling sampling = Sampling::ycbcr_422;
  unsigned depth = 8;  ///< bits of a sample: 8, 10, 12, 16
  unsigned width = 0;
  unsigned height = 0;
  bool interlaced = false;
  LineNumbering line_numbering = LineNumbering::frame;

  bool operator==(const VideoFormat&) const = default;
};

/// The smallest group of samples that ends on an octet, and is never cut (RFC 4175, 4.3).
struct Pgroup {
  unsigned octets = 0;
  unsigned width = 0;   ///< pixels of one line that it covers ("xinc")
  unsigned height = 0;  ///< lines of one frame or field that it covers ("yinc"): 2 for 4:2:0

  bool operator==(const Pgroup&) const = default;
};

/// RFC 4175, 4.3, the tables of pgroup sizes. None for a depth that is not 8, 10, 12 or 16.
std::optional<Pgroup> pgroup_of(Sampling sampling, unsigned depth);

enum class Component : std::uint8_t { y, cb, cr, r, g, b, a };

/// One sample of a pgroup and the pixel that it belongs to, relative to the pgroup's first: Cb and Cr belong to the
/// upper left of the pixels that share them.
struct Sample {
  Component component{};
  std::uint8_t x = 0;
  std::uint8_t y = 0;
};

/// The samples of a pgroup in the order of transmission (RFC 4175, 4.3). Each is `depth` bits, the most significant
/// first, without gaps. Empty for a depth that pgroup_of() has none for.
std::span<const Sample> samples_of(Sampling sampling, unsigned depth);

/// RFC 4175, 4.2: line numbers and offsets have 15 bits; 6.1: width and height are 1 to 32767.
inline constexpr unsigned k_dimension_max = 32767;

/// A checked VideoFormat with what parsing and packing need, worked out once.
class Raster {
 public:
  /// Unsupported or out_of_range for a format that RFC 4175 has not.
  static Result<Raster> make(const VideoFormat& format);

  const VideoFormat& format() const { return format_; }
  const Pgroup& pgroup() const { return pgroup_; }

  /// Octets of a whole line (of both lines for 4:2:0), with the last pgroup's fill.
  unsigned line_octets() const { return (format_.width + pgroup_.width - 1) / pgroup_.width * pgroup_.octets; }

  /// Rows of the frame that belong to a field: the first has one more where the height is odd. Progressive: all.
  unsigned rows_of(unsigned field) const {
    return format_.interlaced ? (format_.height + 1 - field) / 2 : format_.height;
  }

  /// Pixels of a picture: of the frame, or of one field of interlaced video.
  std::uint64_t pixels_of(unsigned field) const { return std::uint64_t{rows_of(field)} * format_.width; }

  /// From a row to the next of the same picture, in rows of the frame.
  unsigned row_step() const { return format_.interlaced ? 2 : 1; }

  /// The line number on the wire of row `row_of_field` of a field.
  unsigned line_of(unsigned row_of_field, unsigned field) const {
    return by_frame() ? row_of_field * 2 + field : row_of_field;
  }

  /// The other way round.
  unsigned row_of_field(unsigned line) const { return by_frame() ? line / 2 : line; }

  /// The row of the frame that a row of a field is.
  unsigned row_of_frame(unsigned row_of_field, unsigned field) const {
    return format_.interlaced ? row_of_field * 2 + field : row_of_field;
  }

 private:
  explicit Raster(const VideoFormat& format, const Pgroup& pgroup) : format_(format), pgroup_(pgroup) {}
  bool by_frame() const { return format_.interlaced && format_.line_numbering == LineNumbering::frame; }

  VideoFormat format_;
  Pgroup pgroup_;
};

}  // namespace histod::net::rtp
