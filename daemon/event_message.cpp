// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_message.hpp"

#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "daemon/jobs/ulid.hpp"

namespace histod::daemon {

namespace json = boost::json;

namespace {

constexpr std::uint64_t k_number_max = 1ull << 62;
#ifdef HISTOD_NEXT_RECORDS
constexpr std::string_view k_later_member = ",\"later\":1";
#else
constexpr std::string_view k_later_member;
#endif

std::optional<json::object> message_object(std::span<const std::byte> bytes) {
  boost::system::error_code error;
  auto value = json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::optional<std::uint64_t> message_number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code error;
  const auto number = value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
  return value == nullptr || error || number > k_number_max ? std::nullopt : std::optional(number);
}

}  // namespace

std::string event_message_text(const std::string& identity, std::uint64_t after,
                               std::span<const telemetry::EventPtr> events) {
  std::string out = fmt::format("{{\"identity\":\"{}\",\"after\":{},\"events\":[", identity, after);
  for (const telemetry::EventPtr& event : events)
    out += fmt::format("{}{{\"sequence\":{},\"event\":{}}}", event == events.front() ? "" : ",", event->origin_sequence,
                       event->json);
  return out + "]" + std::string(k_later_member) + "}";
}

std::expected<EventMessage, std::string> parse_event_message(std::span<const std::byte> bytes) {
  const auto object = message_object(bytes);
  const json::value* identity = object ? object->if_contains("identity") : nullptr;
  const json::value* events = object ? object->if_contains("events") : nullptr;
  const auto after = object ? message_number(*object, "after") : std::nullopt;
  if (identity == nullptr || !identity->is_string() || events == nullptr || !events->is_array() || !after)
    return std::unexpected("it must be an object with identity, after and a list of events");
  EventMessage out{std::string(identity->get_string()), *after, {}};
  if (!jobs::is_ulid(out.identity)) return std::unexpected("its identity is none of a node");
  if (events->get_array().size() > k_told_events_max)
    return std::unexpected(
        fmt::format("it has {} events, at most {} are taken", events->get_array().size(), k_told_events_max));
  for (const json::value& told : events->get_array()) {
    const auto number = told.is_object() ? message_number(told.get_object(), "sequence") : std::nullopt;
    const std::uint64_t before = out.events.empty() ? out.after : out.events.back().sequence;
    if (!number || *number <= before) return std::unexpected("the numbers of its events do not ascend");
    telemetry::Bus::Foreign foreign{*number, std::nullopt};
    if (const json::value* event = told.get_object().if_contains("event"))
      if (auto read = telemetry::read_event(*event)) foreign.event = std::move(*read);
    out.events.push_back(std::move(foreign));
  }
  return out;
}

std::string have_text(std::uint64_t have) { return fmt::format("{{\"have\":{}{}}}", have, k_later_member); }

std::expected<std::uint64_t, std::string> parse_have(std::span<const std::byte> bytes) {
  const auto object = message_object(bytes);
  const auto have = object ? message_number(*object, "have") : std::nullopt;
  if (!have) return std::unexpected("it must be an object with a number under \"have\"");
  return *have;
}

}  // namespace histod::daemon
