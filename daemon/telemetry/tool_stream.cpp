// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/tool_stream.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <openssl/sha.h>

namespace histod::daemon::telemetry {

namespace json = boost::json;

namespace {

constexpr unsigned k_parse_depth_max = 48;
constexpr std::size_t k_message_bytes_max = 1'024;
constexpr std::size_t k_error_bytes_max = 4'096;
constexpr std::size_t k_name_bytes_max = 256;
constexpr std::size_t k_text_bytes_max = 8'192;
constexpr std::size_t k_digest_bytes = 16;  // of SHA-256
constexpr unsigned k_facts_max = 1'000;     // of one line

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_blank = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(k_blank), text.size()));
  return text.substr(0, text.find_last_not_of(k_blank) + 1);
}

std::optional<json::value> parse_json(std::string_view text) {
  boost::system::error_code error;
  json::parse_options how;
  how.max_depth = k_parse_depth_max;
  json::value value = json::parse(text, error, {}, how);
  if (error) return std::nullopt;
  return value;
}

bool is_time_of_event(const std::string& text) {
  return event_trouble({.id = "1", .source = "1", .type = "1", .time = text}).empty();
}

/// In hexadecimal.
std::string short_digest(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string out;
  for (std::size_t i = 0; i < k_digest_bytes; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

std::string one_name(std::string_view text) { return std::string(trimmed(clean_text(text, k_name_bytes_max))); }

}  // namespace

ToolStream::ToolStream(std::string_view tool, NormalizerOptions options) : tool_(tool), options_(std::move(options)) {
  options_.rolloutid = one_name(options_.rolloutid);
}

std::vector<Event> ToolStream::feed(std::string_view line) {
  ++line_number_;
  told_ = 0;
  text_ = line;
  place_ = std::to_string(line_number_);
  while (line.ends_with('\r') || line.ends_with('\n')) line.remove_suffix(1);
  take_line(line);
  text_ = {};
  return std::exchange(out_, {});
}

void ToolStream::take_line(std::string_view line) {
  if (skipping_) {
    skipping_ = line != "}";
    return;
  }
  if (line.size() + document_.size() > k_line_bytes_max) {
    tell_unreadable({}, fmt::format("{} bytes, at most {} are read", line.size() + document_.size(), k_line_bytes_max));
    skipping_ = !document_.empty() && line != "}";
    document_.clear();
    return;
  }
  if (document_.empty() && line != "{") return take_document(line);
  document_ += line;
  document_ += '\n';
  if (line != "}") return;
  const std::string whole = std::exchange(document_, {});
  text_ = whole;
  take_document(whole);
}

void ToolStream::take_document(std::string_view text) {
  const std::string_view body = trimmed(text);
  if (body.empty()) return take_blank();
  if (!body.starts_with('{')) return take_text(body);
  const auto document = parse_json(body);
  if (!document || !document->is_object()) return tell_unreadable(body, "not JSON");
  take(document->get_object());
}

std::vector<Event> ToolStream::end() {
  told_ = 0;
  place_ = "end";
  if (!document_.empty()) {
    const std::string rest = std::exchange(document_, {});
    tell_unreadable(rest, "it ends in the middle");
  }
  take_end();
  return std::exchange(out_, {});
}

void ToolStream::take_text(std::string_view line) { tell(text_fact(line)); }

Fact ToolStream::text_fact(std::string_view line) {
  return {.verb = "output", .message = lines_.line(clean_text(line, line.size()))};
}

void ToolStream::tell_unreadable(std::string_view text, std::string_view why) {
  Fact fact{.verb = "unreadable",
            .message = fmt::format("a line of {} that cannot be read: {}", tool_, why),
            .severity = Severity::warning};
  if (!text.empty()) fact.raw = json::string(text);
  tell(std::move(fact));
}

void ToolStream::adopt_rollout(std::string_view id) {
  if (options_.rolloutid.empty()) options_.rolloutid = one_name(id);
}

std::string ToolStream::make_id() {
  if (told_ == 0) text_digest_ = short_digest(text_);
  return short_digest(fmt::format("{}\n{}\n{}\n{}\n{}", tool_, options_.rolloutid, place_, told_, text_digest_));
}

void ToolStream::tell(Fact fact) {
  if (told_ > k_facts_max) return;
  if (told_ == k_facts_max) {
    fact = {.verb = "cut",
            .message = fmt::format("a line of {} says more than {} things", tool_, k_facts_max),
            .severity = Severity::warning};
  }
  const std::size_t plain = std::min(fact.plain_bytes, fact.message.size());
  const std::string rest = redact_text(clean_text(std::string_view(fact.message).substr(plain), fact.message.size()));
  const std::string head = clean_text(std::string_view(fact.message).substr(0, plain), k_message_bytes_max);
  json::object data;
  std::string message = clean_text(head + rest, k_message_bytes_max);
  message = trimmed(message);
  data["message"] = message.empty() ? fmt::format("{}: {}", tool_, verb_of(fact.verb)) : message;
  data["tool"] = tool_;
  if (!fact.layer.empty()) data["layer"] = fact.layer;
  const std::string resource = one_name(redact_text(fact.resource));
  if (!resource.empty()) data["resource"] = resource;
  if (!fact.status.empty()) data["status"] = fact.status;
  if (fact.duration_ms) data["duration_ms"] = *fact.duration_ms;
  if (!fact.error.empty()) {
    data["error"] = std::string(
        trimmed(clean_text(redact_text(clean_text(fact.error, fact.error.size(), true)), k_error_bytes_max, true)));
  }
  if (!fact.more.empty()) {
    const json::value more = redact_json(fact.more);
    for (const auto& [name, value] : more.get_object()) data[name] = value;
  }
  if (!fact.raw.is_null()) data["raw"] = redact_json(fact.raw);
  Event event{.id = make_id(),
              .source = fmt::format("/rollout/{}", tool_),
              .type = fmt::format("io.histod.rollout.{}.{}", tool_, verb_of(fact.verb)),
              .subject = resource,
              .time = one_name(fact.time),
              .severity = fact.severity,
              .node = one_name(fact.node),
              .rolloutid = options_.rolloutid,
              .data = std::move(data)};
  if (!is_time_of_event(event.time)) event.time.clear();
  if (!event_trouble(event).empty()) event.data.as_object().erase("raw");  // the only member without a small bound
  ++told_;
  last_id_ = event.id;
  out_.push_back(std::move(event));
}

const json::value* json_at(const json::object& from, JsonPath path) {
  const json::object* object = &from;
  const json::value* at = nullptr;
  for (const std::string_view name : path) {
    at = object ? object->if_contains(name) : nullptr;
    if (!at) return nullptr;
    object = at->if_object();
  }
  return at;
}

const json::value* json_at(const json::value& from, JsonPath path) {
  const json::object* object = from.if_object();
  return object ? json_at(*object, path) : nullptr;
}

std::string text_of(const json::value* found) {
  if (!found || !found->is_string()) return {};
  return std::string(std::string_view(found->get_string()).substr(0, k_text_bytes_max));
}

std::optional<std::int64_t> number_of(const json::value* found) {
  if (!found || !found->is_number()) return std::nullopt;
  if (found->is_double()) {
    const double number = found->get_double();
    return number > -1e15 && number < 1e15 ? std::optional(static_cast<std::int64_t>(number)) : std::nullopt;
  }
  boost::system::error_code error;
  const auto number = found->to_number<std::int64_t>(error);
  return error ? std::nullopt : std::optional(number);
}

const json::object& object_of(const json::value* found) {
  static const json::object k_none;
  return found && found->is_object() ? found->get_object() : k_none;
}

const json::array& array_of(const json::value* found) {
  static const json::array k_none;
  return found && found->is_array() ? found->get_array() : k_none;
}

std::string verb_of(std::string_view text) {
  std::string out;
  bool lower = false;
  for (const char c : text.substr(0, 128)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool word = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (((upper && lower) || !word) && !out.empty() && out.back() != '_') out += '_';
    if (word) out += static_cast<char>(upper ? c - 'A' + 'a' : c);
    lower = word && !upper;
  }
  out.resize(std::min<std::size_t>(out.size(), 64));
  while (out.ends_with('_')) out.pop_back();
  return out.empty() ? "unknown" : out;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::optional<std::int64_t> go_duration_ms(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr std::array<Unit, 5> k_units{{{"h", 3.6e6}, {"ms", 1}, {"m", 6e4}, {"s", 1e3}, {"µs", 1e-3}}};
  if (text.empty() || text.size() > 40) return std::nullopt;
  double ms = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = std::ranges::find_if(k_units, [&](const Unit& each) { return text.starts_with(each.name); });
    if (unit == k_units.end()) return std::nullopt;
    ms += number * unit->ms;
    text.remove_prefix(unit->name.size());
  }
  return ms < 1e15 ? std::optional(static_cast<std::int64_t>(ms)) : std::nullopt;
}

}  // namespace histod::daemon::telemetry
