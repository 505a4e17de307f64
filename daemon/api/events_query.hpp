// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/api/problem.hpp"
#include "daemon/telemetry/stored_event.hpp"

namespace histod::daemon::api {

inline constexpr std::uint64_t k_events_listed_max = 1'000;

/// What is asked of the events: the list and the feed take the same.
struct EventsQuery {
  std::optional<std::uint64_t> after;  ///< a sequence of this node; empty: the latest ones
  std::uint64_t limit = 200;
  std::string identity = {};  ///< of the node that `after` is of, by the client's word; empty: not said
  telemetry::EventFilter filter = {};
};

/// `query` as it stands behind the '?'. `after`, `limit`, `type` (beginnings of types, by commas), `node`, `severity`
/// (at least) and `identity`; any other name is a problem.
std::expected<EventsQuery, Problem> events_query(std::string_view query);

}  // namespace histod::daemon::api
