// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "compute/error.hpp"
#include "compute/histogram.hpp"
#include "compute/pixels.hpp"
#include "compute/rule.hpp"

/// Live video: pixels as RFC 4175 packs them, worked on where they lie, a packet at a time. No I/O, no threads; memory
/// is taken when an object is made and never again.
namespace histod::compute::video {

/// The samples of a pgroup, in their order (RFC 4175, 4.3).
enum class Sampling : std::uint8_t {
  ycbcr422,  ///< Cb Y Cr Y: two pixels
  ycbcr420,  ///< Y Y Y Y Cb Cr: two pixels of a line, and the two below them
  ycbcr444,  ///< Cb Y Cr
  rgb,
  rgba,
  bgr,
  bgra,
};

inline constexpr unsigned k_samplings = 7;

/// One packing of pixels. Samples are unsigned, their highest bit first, without a gap between them; a pgroup is the
/// smallest number of whole pixels that is a whole number of bytes.
struct PackedForm {
  Sampling sampling = Sampling::ycbcr422;
  std::uint8_t depth_bits = 8;  ///< 8, 10, 12 or 16

  unsigned group_bytes() const;    ///< 4 for 8-bit 4:2:2, 5 for 10-bit
  unsigned group_columns() const;  ///< pixels of one line in a pgroup
  unsigned group_lines() const { return sampling == Sampling::ycbcr420 ? 2 : 1; }
  /// Bins of a histogram of its luma, and L of the rules: every value that a sample can have, the foot and headroom of
  /// narrow-range video among them.
  std::uint32_t levels() const { return 1u << depth_bits; }
  friend bool operator==(const PackedForm&, const PackedForm&) = default;
};

/// Errc::unsupported_feature: a depth that is none of the four.
Result<void> check(const PackedForm& form);

/// Which pixels of a span of pgroups are in the picture, counted from the span's first column and line: what a sender
/// has filled the last pgroup of a line up with is none of it. More than there is in the span means all of it.
struct Extent {
  std::uint32_t columns = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t lines = 2;
};

/// Counts the luma of pixels: the Y samples; of RGB what color=luma counts, k_luma_ycrcb. Pixels whose alpha is 0 are
/// not counted. Used by one thread.
class LumaCounter {
 public:
  /// check(form) holds. Memory: 16 bytes a level, 4 at 16 bits.
  explicit LumaCounter(const PackedForm& form);

  /// Whole pgroups, at any address; bytes of an unfinished one at the end are ignored. Returns how many pixels were
  /// counted.
  std::uint64_t count(std::span<const std::byte> groups, const Extent& seen = {});
  /// Adds the counts to `histogram`, which has form().levels() bins, and begins anew.
  void fold_into(Histogram& histogram);

  const PackedForm& form() const { return form_; }

 private:
  void widen();

  PackedForm form_;
  std::vector<std::uint32_t> tables_;
  std::vector<std::uint64_t> wide_;  ///< what the tables held when they were about to overflow
  std::uint64_t pending_ = 0;        ///< pixels in the tables
};

/// Applies a table to luma in place: Y becomes LUT[Y], and all other bits stay as they are; of RGB, LUT[Y] - Y is added
/// to R, G and B with saturation, as color=luma does. Pixels whose alpha is 0 stay. Threads may apply at one time.
class LumaMap {
 public:
  /// The identity. check(form) holds.
  explicit LumaMap(const PackedForm& form);
  /// As many entries as there are levels, none of them above the last level.
  void set(const Lut& lut);
  /// As LumaCounter::count(): whole pgroups at any address, of which those pixels that are seen change.
  void apply(std::span<std::byte> groups, const Extent& seen = {}) const;

  const PackedForm& form() const { return form_; }
  const Lut& lut() const { return lut_; }

 private:
  PackedForm form_;
  Lut lut_;
  std::array<std::uint8_t, 256> narrow_{};  ///< the same, at 8 bits
};

/// Writes the luma of pgroups into a gray picture, from a line and a column on; what lies outside of the picture is
/// left out, wherever the position says it is. 16-bit pictures get the values as they are, 8-bit ones the highest eight
/// bits of them. Alpha plays no part. Returns how many pixels were written. `gray` has one channel.
std::uint64_t write_gray(const PackedForm& form, std::span<const std::byte> groups, std::uint32_t line,
                         std::uint32_t column, const ImageView& gray);

/// Every second line of an interlaced frame: those of the first field, or of the second.
ImageView field_of(const ImageView& frame, bool second);

}  // namespace histod::compute::video
