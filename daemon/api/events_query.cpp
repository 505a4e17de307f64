// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/events_query.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/api/query.hpp"

namespace histod::daemon::api {

namespace {

constexpr std::uint64_t k_sequence_max = 1ull << 62;
constexpr std::size_t k_types_max = 16;

std::optional<Problem> set_types(EventsQuery& out, std::string_view text) {
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = text.find(',');
    if (const auto type = text.substr(0, end); !type.empty()) out.filter.types.emplace_back(type);
    if (end != std::string_view::npos) text.remove_prefix(end + 1);
  }
  if (!out.filter.types.empty() && out.filter.types.size() <= k_types_max) return std::nullopt;
  return bad_option(fmt::format("type takes 1 to {} beginnings of types, separated by commas", k_types_max));
}

std::optional<Problem> set(EventsQuery& out, const std::string& name, const std::string& value) {
  if (name == "type") return set_types(out, value);
  if (name == "node") {
    out.filter.node = value;
  } else if (name == "identity") {
    out.identity = value;
  } else if (name == "severity") {
    const auto severity = telemetry::parse_severity(value);
    if (!severity) return bad_option("severity must be debug, info, ok, warning or error");
    out.filter.at_least = *severity;
  } else if (name == "after" || name == "limit") {
    const bool is_after = name == "after";
    const auto number = number_option(name, value, is_after ? 0 : 1, is_after ? k_sequence_max : k_events_listed_max);
    if (!number) return number.error();
    if (is_after)
      out.after = *number;
    else
      out.limit = *number;
  } else {
    return bad_option(
        fmt::format("there is no option {}; there are after, limit, type, node, severity and identity", name));
  }
  return std::nullopt;
}

}  // namespace

std::expected<EventsQuery, Problem> events_query(std::string_view query) {
  const auto names = parse_query(query);
  if (!names) return std::unexpected(names.error());
  EventsQuery out;
  for (const auto& [name, value] : *names)
    if (auto problem = set(out, name, value)) return std::unexpected(std::move(*problem));
  return out;
}

}  // namespace histod::daemon::api
