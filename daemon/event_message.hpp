// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "daemon/telemetry/bus.hpp"

/// What nodes tell each other of events. Each reader takes bytes that anybody may have written, and passes over members
/// that it does not know.
namespace histod::daemon {

inline constexpr std::size_t k_told_events_max = 256, k_told_bytes_max = 512 * 1'024;

/// What one node publishes, behind `after` by its own numbers; without events it asks what the other one has.
struct EventMessage {
  std::string identity;  ///< of the node that tells its own events
  std::uint64_t after = 0;
  std::vector<telemetry::Bus::Foreign> events;  ///< ascending
};

std::string event_message_text(const std::string& identity, std::uint64_t after,
                               std::span<const telemetry::EventPtr> events);
/// An event that this release cannot take is there without its content. The error is a clause.
std::expected<EventMessage, std::string> parse_event_message(std::span<const std::byte> bytes);

/// The answer: the last number that need not be told again.
std::string have_text(std::uint64_t have);
std::expected<std::uint64_t, std::string> parse_have(std::span<const std::byte> bytes);

}  // namespace histod::daemon
