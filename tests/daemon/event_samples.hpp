// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "daemon/telemetry/bus.hpp"

namespace histod::test {

inline daemon::telemetry::Event event_named(const std::string& id, const std::string& type = "io.histod.job.done") {
  return {.id = id, .source = "/tests", .type = type};
}

/// The ids of what was read, in order.
inline std::vector<std::string> ids_of(const std::vector<daemon::telemetry::EventPtr>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(event->key.substr(event->key.find('\n') + 1));
  return out;
}

}  // namespace histod::test
