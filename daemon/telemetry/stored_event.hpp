// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/telemetry/event.hpp"

namespace histod::daemon::telemetry {

/// An event as a node keeps it: what readers filter by, and the text that they get. Never changed.
struct StoredEvent {
  std::uint64_t sequence = 0;  ///< of this node; ascends, with gaps where the node was started again
  std::string origin = {};     ///< identity of the node that it was published at
  std::uint64_t origin_sequence = 0;
  std::string json = {};  ///< one line of structured JSON; its `sequence` is a string, as CloudEvents has it
  std::string key = {};   ///< source and id: its identity
  std::string type = {}, node = {};
  Severity severity = Severity::info;

  /// What it counts for where bytes are bounded.
  std::size_t bytes() const { return json.size() + key.size() + type.size() + node.size() + origin.size() + 256; }
};
using EventPtr = std::shared_ptr<const StoredEvent>;

/// Neither has control characters, so no two events share a key.
inline std::string event_key(const Event& event) { return event.source + '\n' + event.id; }
/// `object` is an event as JSON text without its `sequence`.
inline std::string with_sequence(std::uint64_t sequence, std::string_view object) {
  return "{\"sequence\":\"" + std::to_string(sequence) + "\"," + std::string(object.substr(1));
}

/// Which events a reader wants. The default takes all.
struct EventFilter {
  std::vector<std::string> types = {};  ///< what one of them begins with; empty: any
  std::string node = {};                ///< empty: any
  Severity at_least = Severity::debug;

  bool takes(const StoredEvent& event) const {
    const auto begins = [&](const std::string& prefix) { return event.type.starts_with(prefix); };
    return event.severity >= at_least && (node.empty() || event.node == node) &&
           (types.empty() || std::ranges::any_of(types, begins));
  }
  bool operator==(const EventFilter&) const = default;
};

}  // namespace histod::daemon::telemetry
