// SPDX-License-Identifier: Apache-2.0
#pragma once

// The first look at the header section of a request or an answer, before any parser's: whatever two readers could
// understand differently is refused. Pure functions over bytes. Framing: RFC 9112; fields: RFC 9110; target: RFC 3986.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "net/http/refusal.hpp"

namespace histod::net::http {

struct GuardLimits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t header_fields = 100;
  std::size_t target_bytes = 8 * 1024;
};

/// What the guard read. Views point into the header section.
struct GuardedHead {
  std::string_view method;
  std::string_view target;
  std::string_view path;   ///< still percent-encoded; "*" for OPTIONS *
  std::string_view query;  ///< behind the first '?'
  std::string_view host;
  unsigned version_minor = 1;
  std::size_t fields = 0;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool expect_continue = false;
};

/// What the guard read of an answer.
struct GuardedAnswer {
  unsigned status = 0;  ///< 100 to 599
  unsigned version_minor = 1;
  std::size_t fields = 0;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
};

/// Looks for the end of the header section in what has arrived so far. `scanned` starts at 0 and is kept between calls.
/// Returns the length of the section with its empty line, or 0 while more is needed. Refuses as soon as no continuation
/// could be good: bare CR or LF, control characters, too long.
std::expected<std::size_t, Refusal> find_header_end(std::string_view data, std::size_t& scanned,
                                                    const GuardLimits& limits);

/// Checks a whole header section, the empty line included.
std::expected<GuardedHead, Refusal> guard_header(std::string_view section, const GuardLimits& limits);

/// The same for the header section of an answer. Of a refusal only detail, value and limit mean something there.
std::expected<GuardedAnswer, Refusal> guard_answer(std::string_view section, const GuardLimits& limits);

struct Target {
  std::string_view path;
  std::string_view query;
  std::string_view authority;  ///< of the absolute form, else empty
};

/// Splits a request-target in origin form, absolute form (http and https) or, for OPTIONS, "*".
std::expected<Target, Refusal> split_target(std::string_view method, std::string_view target);

}  // namespace histod::net::http
