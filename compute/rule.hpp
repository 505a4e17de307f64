// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "compute/histogram.hpp"

namespace histod::compute {

/// What "equalize" means: five definitions, each the same as a library that people use.
enum class Rule : std::uint8_t {
  opencv,     ///< cv::equalizeHist, its float32 step included
  exact,      ///< rounded in integers; the one to use for new work
  reference,  ///< floor in integers: the original course system
  pillow,     ///< ImageOps.equalize; 8 bit only
  vips,       ///< vips_hist_equal, its float32 step included
};

std::string_view name(Rule rule);
std::optional<Rule> rule_from_name(std::string_view name);

/// A lookup table: one entry for each possible sample value (256 or 65 536 entries; a table made for a range of
/// L < 65 536 values holds L entries, then the identity). Entries of 8-bit tables are <= 255. Video of 10 and 12 bits
/// has 1024 and 4096 bins and entries: the first ones of the table that 65 536 bins and as many levels would give.
using Lut = std::vector<std::uint16_t>;

/// The table that `rule` makes of `histogram`, where samples range over 0..levels-1 (the L of the formulas;
/// levels <= histogram.bins(), and no bin at or above `levels` may be filled: Errc::sample_out_of_range).
/// The identity when nothing was counted. Errc::bad_option: `pillow` with more than 256 levels.
Result<Lut> make_lut(Rule rule, const Histogram& histogram, std::uint32_t levels);
/// The same into a table whose memory is used again.
Result<void> make_lut(Rule rule, const Histogram& histogram, std::uint32_t levels, Lut& lut);

/// The table that gives `source` the distribution of `reference`. With S[i] and R[j] the running sums of both, N and M
/// their totals: LUT[i] = the smallest j with R[j] * N >= S[i] * M, in integers, so no rounding takes part. It never
/// falls; below the first sample of `source` it is 0, a bin that is empty maps as the one before it, and `j` is always
/// 0 or a bin that `reference` has filled. Where `source` equals `reference`, or is a multiple of it, each filled bin
/// maps to itself. The identity when either is empty. Both must have one number of bins and no sample at or above
/// `levels`, from where on the table is the identity: Errc::bad_option, Errc::sample_out_of_range. Takes O(bins).
Result<Lut> match_lut(const Histogram& source, const Histogram& reference, std::uint32_t levels);

/// Canonical bytes of a table, which its digest is taken of: one byte an entry for 256 entries, else u16 little-endian.
std::vector<std::byte> canonical_bytes(const Lut& lut);

}  // namespace histod::compute
