// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <system_error>

namespace histod::compute {

/// What can be wrong with an image or with what is asked of it. The numbers are stable: they reach users as names.
enum class Errc : int {
  unknown_format = 1,    ///< no codec recognises the first bytes
  unsupported_feature,   ///< a known format, but a feature we do not take (CMYK, float samples, ...)
  truncated,             ///< the file ends before its pixels do
  corrupt,               ///< the file contradicts itself or its checksums
  pixels_over_limit,     ///< width * height summed over all pages
  dimension_over_limit,  ///< width or height
  pages_over_limit,      ///< pages or frames
  bytes_over_limit,      ///< decoded bytes
  ratio_over_limit,      ///< decoded bytes per encoded byte
  scans_over_limit,      ///< scans of a progressive JPEG
  ancillary_over_limit,  ///< ICC, EXIF, text or tag bytes
  bad_option,            ///< an option out of its bounds, or one that does not fit the image
  sample_out_of_range,   ///< a sample at or over the range that was asked for
  output_full,           ///< the output span is too small: a bug of the caller, never of the input
};

const std::error_category& error_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

/// A failure with what a person needs to act on it: what was wrong, the value, and the limit where there is one.
struct Error {
  std::error_code code;
  std::string detail;       ///< one sentence without a full stop; never holds bytes of the input verbatim
  std::uint64_t value = 0;  ///< the offending value, in the unit that `detail` names
  std::uint64_t limit = 0;  ///< the limit in the same unit; 0: there is none
};

template <class T>
using Result = std::expected<T, Error>;

/// Shorthand for the failing branch: `return fail(Errc::corrupt, "...")`.
inline std::unexpected<Error> fail(Errc code, std::string detail, std::uint64_t value = 0, std::uint64_t limit = 0) {
  return std::unexpected(Error{make_error_code(code), std::move(detail), value, limit});
}

}  // namespace histod::compute

template <>
struct std::is_error_code_enum<histod::compute::Errc> : std::true_type {};
