// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/cloudevents_http.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "daemon/utf8.hpp"

namespace histod::daemon::telemetry {

namespace json = boost::json;

namespace {

using Kind = EventsRefusal::Kind;
using Events = std::expected<std::vector<Event>, EventsRefusal>;

constexpr std::string_view k_field_prefix = "ce-";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.bytes == 0) return false;
    text.remove_prefix(point.bytes);
  }
  return true;
}

/// Media type without its parameters, in lower case.
std::string media_type(std::string_view content_type) {
  std::string type = lower(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  return type;
}

bool is_json_type(std::string_view type) {
  return type == "application/json" || type == "text/json" || type.ends_with("+json");
}

std::unexpected<EventsRefusal> refusal(Kind kind, std::string detail, std::size_t value = 0, std::size_t limit = 0) {
  return std::unexpected(EventsRefusal{kind, std::move(detail), value, limit});
}

std::expected<json::value, EventsRefusal> parse(std::string_view body, unsigned depth_max) {
  json::parse_options options;
  options.max_depth = depth_max;
  boost::system::error_code error;
  json::value value = json::parse(body, error, {}, options);
  if (error)
    return refusal(Kind::form,
                   fmt::format("the body is not JSON of at most {} levels: {}", depth_max, error.message()));
  return value;
}

Events read_structured(std::string_view body) {
  auto value = parse(body, k_json_depth_max);
  if (!value) return std::unexpected(std::move(value.error()));
  auto event = read_event(*value);
  if (!event) return refusal(Kind::event, "event 0: " + event.error());
  std::vector<Event> out;
  out.push_back(std::move(*event));
  return out;
}

Events read_batch(std::string_view body) {
  auto value = parse(body, k_json_depth_max + 1);
  if (!value) return std::unexpected(std::move(value.error()));
  const json::array* array = value->if_array();
  if (array == nullptr) return refusal(Kind::form, "a batch is a JSON array");
  if (array->size() > k_batch_events_max)
    return refusal(Kind::too_many, "the batch has more events than are taken at once", array->size(),
                   k_batch_events_max);
  std::vector<Event> out;
  for (std::size_t i = 0; i < array->size(); ++i) {
    auto event = read_event((*array)[i]);
    if (!event) return refusal(Kind::event, fmt::format("event {}: {}", i, event.error()));
    out.push_back(std::move(*event));
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view k_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t n) { return n < bytes.size() ? static_cast<unsigned char>(bytes[n]) : 0u; };
    const unsigned triple = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    for (std::size_t digit = 0; digit < 4; ++digit)
      out += i + digit > bytes.size() ? '=' : k_digits[triple >> (18 - 6 * digit) & 63];
  }
  return out;
}

/// The data of binary mode, by their media type.
std::optional<EventsRefusal> add_data(json::object& event, std::string_view content_type, std::string_view body) {
  if (!is_utf8(content_type)) return EventsRefusal{Kind::event, "event 0: Content-Type is not UTF-8"};
  if (!content_type.empty()) event["datacontenttype"] = content_type;
  if (body.empty()) return std::nullopt;
  const std::string type = media_type(content_type);
  if (is_json_type(type)) {
    auto data = parse(body, k_json_depth_max);
    if (!data) return std::move(data.error());
    event["data"] = std::move(*data);
  } else if (type.starts_with("text/") && is_utf8(body)) {
    event["data"] = body;
  } else {
    event["data_base64"] = base64(body);
  }
  return std::nullopt;
}

Events read_binary(std::string_view content_type, std::span<const EventField> fields, std::string_view body) {
  json::object event;
  for (const auto& [field, value] : fields) {
    const std::string name = lower(field).substr(k_field_prefix.size());
    const auto text = decode_event_field(value);
    if (!text) return refusal(Kind::event, fmt::format("event 0: ce-{}: {}", name.substr(0, 64), text.error()));
    if (name.starts_with("data") && name != "dataschema")
      return refusal(Kind::event, fmt::format("event 0: ce-{} is no field of an event", name.substr(0, 64)));
    const bool is_replay = name == "replay" && (*text == "true" || *text == "false");
    const json::value attribute = is_replay ? json::value(*text == "true") : json::value(*text);
    if (!event.emplace(name, attribute).second)
      return refusal(Kind::event, fmt::format("event 0: ce-{} is there twice", name.substr(0, 64)));
  }
  if (auto wrong = add_data(event, content_type, body)) return std::unexpected(std::move(*wrong));
  auto read = read_event(event);
  if (!read) return refusal(Kind::event, "event 0: " + read.error());
  std::vector<Event> out;
  out.push_back(std::move(*read));
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int letter = std::tolower(static_cast<unsigned char>(c));
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

std::expected<std::string, std::string> unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  std::string out;
  for (std::size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '"') return std::unexpected("a quote is in the middle of the quoted value");
    if (value[i] == '\\' && ++i + 1 == value.size()) return std::unexpected("the quoted value ends with a backslash");
    out += value[i];
  }
  return out;
}

}  // namespace

std::expected<std::string, std::string> decode_event_field(std::string_view value) {
  const auto plain = unquoted(value);
  if (!plain) return plain;
  std::string out;
  for (std::size_t i = 0; i < plain->size(); ++i) {
    if ((*plain)[i] != '%') {
      out += (*plain)[i];
      continue;
    }
    const int high = i + 2 < plain->size() ? hex_digit((*plain)[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit((*plain)[i + 2]) : -1;
    if (low < 0) return std::unexpected("a percent sign is not followed by two hexadecimal digits");
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  if (!is_utf8(out)) return std::unexpected("it is not UTF-8");
  return out;
}

Events read_http_events(std::string_view content_type, std::span<const EventField> fields, std::string_view body) {
  if (body.size() > k_events_body_bytes_max)
    return refusal(Kind::too_many, "the body is too large, in bytes", body.size(), k_events_body_bytes_max);
  const std::string type = media_type(content_type);
  // The longer prefix first: both begin alike.
  if (type.starts_with("application/cloudevents-batch")) {
    if (type == "application/cloudevents-batch+json") return read_batch(body);
  } else if (type.starts_with("application/cloudevents")) {
    if (type == "application/cloudevents+json") return read_structured(body);
  } else {
    std::vector<EventField> attributes;
    for (const EventField& field : fields)
      if (field.first.size() > k_field_prefix.size() && lower(field.first.substr(0, 3)) == k_field_prefix)
        attributes.push_back(field);
    if (!attributes.empty()) return read_binary(content_type, attributes, body);
  }
  return refusal(Kind::media_type,
                 "send application/cloudevents+json, application/cloudevents-batch+json, or any data with the fields "
                 "ce-specversion, ce-id, ce-source and ce-type");
}

}  // namespace histod::daemon::telemetry
