// SPDX-License-Identifier: Apache-2.0
#pragma once

// multipart/form-data (RFC 7578 over RFC 2046), read where it lies. Pure functions.

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/refusal.hpp"

namespace histod::net::http {

struct MultipartLimits {
  std::size_t parts = 16;
  std::size_t part_header_bytes = 8 * 1024;
};

struct Part {
  std::string name;
  std::optional<std::string> filename;  ///< as sent: may hold slashes and worse; never a path to be opened
  std::string_view content_type;        ///< "text/plain" where the part has none; points into the body
  std::span<std::byte> body;            ///< inside the request's body
};

/// The boundary of a Content-Type field; refused with 415 if that is not multipart/form-data, with 400 if it has no
/// good boundary.
std::expected<std::string, Refusal> multipart_boundary(std::string_view content_type);

/// All parts in order. Strict: CRLF line ends, nothing but the boundary where a boundary is due, every part named, the
/// closing boundary present. Refused with 400 (or 413 over a limit).
std::expected<std::vector<Part>, Refusal> parse_multipart(std::span<std::byte> body, std::string_view boundary,
                                                          const MultipartLimits& limits = {});

}  // namespace histod::net::http
