// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/event.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 5> k_severities{"debug", "info", "ok", "warning", "error"};

struct NamedText {
  std::string_view name;
  std::string Event::* member;
};
constexpr std::array<NamedText, 8> k_texts{{{"id", &Event::id},
                                            {"source", &Event::source},
                                            {"type", &Event::type},
                                            {"subject", &Event::subject},
                                            {"time", &Event::time},
                                            {"node", &Event::node},
                                            {"rolloutid", &Event::rolloutid},
                                            {"traceparent", &Event::traceparent}}};

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool digits_at(std::string_view text, std::initializer_list<std::size_t> places) {
  return std::ranges::all_of(places, [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; });
}

/// RFC 3339, by its shape: 2026-01-02T03:04:05[.fraction](Z|+hh:mm|-hh:mm).
bool is_time(std::string_view text) {
  if (text.size() < 20 || !digits_at(text, {0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18})) return false;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
    return false;
  text.remove_prefix(19);
  if (text.front() == '.') {
    const std::size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
    if (end == 1) return false;
    text.remove_prefix(end);
  }
  if (text == "Z" || text == "z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':' && digits_at(text, {1, 2, 4, 5});
}

bool is_extension_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string text_trouble(std::string_view name, std::string_view value) {
  if (value.size() > k_attribute_bytes_max)
    return fmt::format("{} has {} bytes, at most {} are taken", name, value.size(), k_attribute_bytes_max);
  if (has_control(value)) return fmt::format("{} has a control character", name);
  return {};
}

std::string extension_trouble(std::string_view name, const json::value& value) {
  if (!is_extension_name(name))
    return fmt::format("the attribute \"{}\" is not 1 to 64 lower-case letters and digits", name.substr(0, 64));
  if (value.is_string()) return text_trouble(name, value.get_string());
  if (value.is_bool() || value.is_number()) return {};
  return fmt::format("the attribute {} is neither a string, a number nor a boolean", name);
}

std::string read_severity(Event& event, const json::value& value) {
  const auto severity = value.is_string() ? parse_severity(value.get_string()) : std::nullopt;
  if (!severity) return "severity is none of debug, info, ok, warning, error";
  event.severity = *severity;
  return {};
}

std::string read_attribute(Event& event, std::string_view name, const json::value& value) {
  if (value.is_null() && name != "data") return {};
  if (name == "specversion") return value == "1.0" ? std::string() : "specversion is not \"1.0\"";
  if (name == "severity") return read_severity(event, value);
  if (name == "data") {
    event.data = value;
    return {};
  }
  if (name == "data_base64") {
    if (!value.is_string()) return "data_base64 is not a string";
    event.data_base64 = value.get_string();
    return {};
  }
  if (name == "replay" && value.is_bool()) {
    event.replay = value.get_bool();
    return {};
  }
  for (const NamedText& text : k_texts) {
    if (text.name != name) continue;
    if (!value.is_string()) return fmt::format("{} is not a string", name);
    event.*text.member = value.get_string();
    return {};
  }
  if (event.extensions.size() == k_extensions_max)
    return fmt::format("there are more than {} extension attributes", k_extensions_max);
  event.extensions.emplace(name, value);
  return {};
}

}  // namespace

std::string_view severity_name(Severity severity) { return k_severities[static_cast<std::size_t>(severity)]; }

std::optional<Severity> parse_severity(std::string_view name) {
  const auto at = std::ranges::find(k_severities, name);
  if (at == k_severities.end()) return std::nullopt;
  return static_cast<Severity>(at - k_severities.begin());
}

std::string_view Event::message() const {
  if (const json::object* object = data.if_object()) {
    const json::value* text = object->if_contains("message");
    if (text && text->is_string()) return text->get_string();
  }
  return type;
}

std::expected<Event, std::string> read_event(const json::value& value) {
  const json::object* object = value.if_object();
  if (!object) return std::unexpected("an event is not a JSON object");
  if (!object->contains("specversion")) return std::unexpected("specversion is missing");
  Event event;
  for (const auto& [name, attribute] : *object)
    if (std::string trouble = read_attribute(event, name, attribute); !trouble.empty())
      return std::unexpected(std::move(trouble));
  if (std::string trouble = event_trouble(event); !trouble.empty()) return std::unexpected(std::move(trouble));
  return event;
}

json::object write_event(const Event& event) {
  json::object out;
  out["specversion"] = "1.0";
  for (const NamedText& text : k_texts)
    if (const std::string& value = event.*text.member; !value.empty()) out[text.name] = value;
  out["severity"] = severity_name(event.severity);
  if (event.replay) out["replay"] = true;
  for (const auto& [name, value] : event.extensions) out[name] = value;
  if (!event.data.is_null()) out["data"] = event.data;
  if (!event.data_base64.empty()) out["data_base64"] = event.data_base64;
  return out;
}

std::string event_trouble(const Event& event) {
  for (const std::string_view name : {"id", "source", "type"}) {
    const auto& text = *std::ranges::find(k_texts, name, &NamedText::name);
    if ((event.*text.member).empty()) return fmt::format("{} is missing or empty", name);
  }
  for (const NamedText& text : k_texts)
    if (std::string trouble = text_trouble(text.name, event.*text.member); !trouble.empty()) return trouble;
  if (!event.time.empty() && !is_time(event.time)) return "time is not as RFC 3339 has it";
  for (const auto& [name, value] : event.extensions)
    if (std::string trouble = extension_trouble(name, value); !trouble.empty()) return trouble;
  if (!event.data.is_null() && !event.data_base64.empty()) return "there are both data and data_base64";
  const std::size_t bytes = json::serialize(write_event(event)).size();
  if (bytes > k_event_bytes_max)
    return fmt::format("it has {} bytes as JSON, at most {} are taken", bytes, k_event_bytes_max);
  return {};
}

}  // namespace histod::daemon::telemetry
