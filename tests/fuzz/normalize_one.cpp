// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/normalize_one.hpp"

#include <algorithm>
#include <cassert>
#include <string>

#include <boost/json/serialize.hpp>

#include "daemon/telemetry/normalizer.hpp"
#include "daemon/telemetry/redact.hpp"

namespace histod::test {

namespace {

using namespace daemon::telemetry;

constexpr std::string_view k_planted = "Zq7PLANTEDx";

std::vector<Event> all_events(std::string_view tool, std::string_view stream) {
  const auto normalizer = make_normalizer(tool, {.rolloutid = "r"});
  std::vector<Event> events;
  const auto take = [&](std::vector<Event> some) {
    events.insert(events.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  };
  while (!stream.empty()) {
    const std::size_t end = stream.find('\n');
    take(normalizer->feed(stream.substr(0, end)));
    stream.remove_prefix(end == std::string_view::npos ? stream.size() : end + 1);
  }
  take(normalizer->end());
  return events;
}

std::string events_text(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += boost::json::serialize(write_event(event)) + "\n";
  return text;
}

void check_redaction(std::string_view text) {
  const std::string once = redact_text(text);
  assert(once.size() <= text.size() * k_redacted.size() + 16);
  const std::string planted = redact_text(std::string(text) + " password=" + std::string(k_planted));
  assert(!planted.contains(k_planted));
  const std::string cleaned = clean_text(text, 100);
  assert(cleaned.size() <= 100);
}

}  // namespace

bool normalize_one(std::span<const std::byte> bytes) {
  if (bytes.empty()) return false;
  const std::string_view stream(reinterpret_cast<const char*>(bytes.data()) + 1, bytes.size() - 1);
  const auto tools = normalizer_tools();
  const std::string_view tool = tools[std::to_integer<std::size_t>(bytes[0]) % 8];
  check_redaction(stream);
  const std::vector<Event> events = all_events(tool, stream);
  for (const Event& event : events) assert(event_trouble(event).empty() && !event.message().empty());
  const bool same = events_text(events) == events_text(all_events(tool, stream));
  assert(same);
  const std::string line =
      "\nnote password=" + std::string(k_planted) + "\n{\"type\":\"x\",\"token\":\"" + std::string(k_planted) + "\"}\n";
  const std::string with_secrets = events_text(all_events(tool, std::string(stream) + line));
  assert(!with_secrets.contains(k_planted));
  return std::ranges::any_of(events, [](const Event& event) { return !event.type.ends_with(".unreadable"); });
}

}  // namespace histod::test
