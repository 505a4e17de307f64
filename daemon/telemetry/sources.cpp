// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/sources.hpp"

#include <cmath>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "daemon/api/problem.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;
using SteadyClock = FloodGate::Clock;

constexpr std::size_t k_text_bytes_max = 512;

std::string clean(std::string_view text) { return api::valid_utf8(text.substr(0, k_text_bytes_max)); }

Event source_event(std::string type, Severity severity, json::object data) {
  Event out{.id = "", .source = "", .type = std::move(type)};
  out.severity = severity;
  out.data = std::move(data);
  return out;
}

Severity severity_of(LogLevel level) {
  if (level == LogLevel::error) return Severity::error;
  return level == LogLevel::warn ? Severity::warning : Severity::info;
}

json::value field_value(const LogField::Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return json::value(clean(*text));
  if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) return nullptr;
  return std::visit(
      [](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>)
          return json::value(nullptr);
        else
          return json::value(v);
      },
      value);
}

Severity severity_of_verb(std::string_view verb) {
  if (verb == "failed") return Severity::error;
  if (verb == "done") return Severity::ok;
  return verb == "cancelled" ? Severity::warning : Severity::info;
}

}  // namespace

void Sources::tell(FloodGate& gate, const std::string& key, Event event) {
  if (auto now = gate.pass(key, std::move(event), SteadyClock::now())) bus_.publish(std::move(*now));
}

void Sources::tick() {
  for (FloodGate* gate : {&log_, &security_, &jobs_, &streams_})
    for (Event& event : gate->due(SteadyClock::now())) bus_.publish(std::move(event));
}

void Sources::line(LogLevel level, std::string_view message, LogFields fields) {
  json::object values;
  for (const LogField& field : fields)
    if (!field.key.empty()) values[field.key] = field_value(field.value);
  tell(log_, fmt::format("{} {}", level_name(level), message.substr(0, k_text_bytes_max)),
       source_event(fmt::format("io.histod.log.{}", level_name(level)), severity_of(level),
                    {{"message", clean(message)}, {"fields", std::move(values)}}));
}

void Sources::security(std::string_view kind, Severity severity, std::string_view about, std::string_view message,
                       json::object data) {
  for (auto& [name, value] : data)
    if (value.is_string()) value = clean(value.get_string());
  data["message"] = clean(message);
  Event event = source_event(fmt::format("io.histod.secops.{}", kind), severity, std::move(data));
  event.subject = clean(about);
  tell(security_, fmt::format("{} {}", kind, about), std::move(event));
}

void Sources::job(const jobs::JobRecord& record, std::string_view verb) {
  json::object data{{"message", fmt::format("job {} {}", record.id, verb)}, {"job", record.id}};
  if (!record.dataset.empty()) data["dataset"] = record.dataset;
  if (record.error && verb == "failed") data["error"] = clean(record.error->detail);
  if (record.finished_ms > 0 && record.started_ms > 0 && record.finished_ms >= record.started_ms)
    data["duration_ms"] = record.finished_ms - record.started_ms;
  Event event = source_event(fmt::format("io.histod.job.{}", verb), severity_of_verb(verb), std::move(data));
  event.subject = record.id;
  tell(jobs_, fmt::format("{} {}", verb, record.dataset), std::move(event));
}

void Sources::stream(std::string_view kind, Severity severity, std::string_view name, std::string_view message,
                     json::object data) {
  data["message"] = clean(message);
  data["stream"] = clean(name);
  Event event = source_event(fmt::format("io.histod.stream.{}", kind), severity, std::move(data));
  event.subject = clean(name);
  tell(streams_, fmt::format("{} {}", kind, name), std::move(event));
}

void Sources::fleet(const FleetSnapshot& before, const FleetSnapshot& now) {
  if (auto events = fleet_.changed(before, now); !events.empty()) bus_.publish(std::move(events));
}

}  // namespace histod::daemon::telemetry
