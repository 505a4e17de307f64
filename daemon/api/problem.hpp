// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include <boost/json/object.hpp>

namespace histod::daemon::api {

/// Absent, a number, or a text.
using Amount = std::variant<std::monostate, std::uint64_t, std::string>;
/// A number, or absent when it is 0: how compute/ and net/ say "does not apply".
Amount amount(std::uint64_t n);

/// What went wrong, as RFC 9457 has it.
struct Problem {
  unsigned status = 500;
  std::string code;    ///< stable: type is urn:histod:problem:<code>
  std::string detail;  ///< what was wrong this time; invalid UTF-8 in it is replaced
  Amount value;        ///< the offending value
  Amount limit;        ///< the limit that it broke
  std::string instance;
  bool operator==(const Problem&) const = default;
};

inline constexpr std::string_view k_problem_type = "application/problem+json";

/// A short text for the code; for unknown codes the code itself with spaces.
std::string problem_title(std::string_view code);
boost::json::object problem_object(const Problem& problem);
std::string problem_json(const Problem& problem);
/// Takes back what problem_object() wrote.
std::expected<Problem, std::string> parse_problem(const boost::json::value& value);
/// The same text with each byte that is not part of valid UTF-8 replaced by '?', for JSON.
std::string valid_utf8(std::string_view text);

}  // namespace histod::daemon::api
