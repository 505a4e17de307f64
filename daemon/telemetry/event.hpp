// SPDX-License-Identifier: Apache-2.0
#pragma once

// What happened, as a CloudEvents 1.0.2 event. Pure: no clock, no I/O.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace histod::daemon::telemetry {

/// How it is to be seen: `ok` is good news (green), a rollout's `info` is blue.
enum class Severity : std::uint8_t { debug, info, ok, warning, error };
std::string_view severity_name(Severity severity);
std::optional<Severity> parse_severity(std::string_view name);

/// Bounds of one event from outside. Lengths are bytes of UTF-8.
inline constexpr std::size_t k_attribute_bytes_max = 1'024;   ///< of id, source, type, subject and each extension
inline constexpr std::size_t k_event_bytes_max = 64 * 1'024;  ///< as structured JSON
inline constexpr std::size_t k_extensions_max = 16;           ///< besides those named below
inline constexpr unsigned k_json_depth_max = 24;

/// `source` and `id` together are its identity: who sees both again has seen this event before.
/// What our own page reads of `data`: `message` (one line for people), and for the rollout `layer` (hardware, os,
/// kubernetes, gitops, workload), `resource`, `status` (started, progress, succeeded, failed, skipped, changed),
/// `duration_ms`, `error`, and `raw`, the foreign tool's own text, redacted.
struct Event {
  std::string id;
  std::string source;  ///< a URI reference
  std::string type;    ///< io.histod.<kind>.<...>, or somebody else's
  std::string subject = {};
  std::string time = {};  ///< RFC 3339
  Severity severity = Severity::info;
  std::string node = {};                ///< the name of the node that it is about or that received it
  std::string rolloutid = {};           ///< one run of the rollout's tools
  std::string traceparent = {};         ///< W3C trace context
  bool replay = false;                  ///< recorded once, and told again
  boost::json::object extensions = {};  ///< attributes of others: strings, numbers and booleans
  boost::json::value data = nullptr;    ///< null: none; bytes stay base64 under `data_base64`
  std::string data_base64 = {};

  /// data["message"], or the type where there is none.
  std::string_view message() const;
};

/// Reads one event of the JSON format, its data redacted by nobody yet. Unknown attributes are extensions. The error is
/// a clause that names the attribute, the value or its length, and the limit.
std::expected<Event, std::string> read_event(const boost::json::value& value);
/// The JSON format: one object. What is empty is left out; `severity` is always there.
boost::json::object write_event(const Event& event);
/// What is wrong with it by the bounds above and by CloudEvents' own rules: empty when nothing is.
std::string event_trouble(const Event& event);

}  // namespace histod::daemon::telemetry
