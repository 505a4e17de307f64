// SPDX-License-Identifier: Apache-2.0
#include "compute/error.hpp"

namespace histod::compute {
namespace {

std::string message_of(Errc code) {
  switch (code) {
    case Errc::unknown_format:
      return "unknown image format";
    case Errc::unsupported_feature:
      return "unsupported image feature";
    case Errc::truncated:
      return "truncated image";
    case Errc::corrupt:
      return "corrupt image";
    case Errc::pixels_over_limit:
      return "too many pixels";
    case Errc::dimension_over_limit:
      return "width or height too large";
    case Errc::pages_over_limit:
      return "too many pages";
    case Errc::bytes_over_limit:
      return "too many decoded bytes";
    case Errc::ratio_over_limit:
      return "compression ratio too high";
    case Errc::scans_over_limit:
      return "too many JPEG scans";
    case Errc::ancillary_over_limit:
      return "too many bytes of metadata";
    case Errc::bad_option:
      return "bad option";
    case Errc::sample_out_of_range:
      return "sample out of range";
    case Errc::output_full:
      return "output span too small";
  }
  return "unknown error " + std::to_string(static_cast<int>(code));
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "histod.compute"; }
  std::string message(int code) const override { return message_of(static_cast<Errc>(code)); }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), error_category()}; }

}  // namespace histod::compute
