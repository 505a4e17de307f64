// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/event_log.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace histod::daemon::telemetry {

namespace json = boost::json;

namespace {

constexpr const char* k_events_folder = "events";
constexpr std::string_view k_segment_ending = ".log";
constexpr std::size_t k_segment_digits = 20;
constexpr unsigned k_log_version = 1;  ///< of the lines; the header has it, and the oldest that can read them

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

/// 0: it is none.
std::uint64_t segment_number(std::string_view name) {
  if (name.size() != k_segment_digits + k_segment_ending.size() || !name.ends_with(k_segment_ending)) return 0;
  return number_of(name.substr(0, k_segment_digits));
}

std::optional<json::object> line_object(std::string_view line) {
  boost::system::error_code error;
  json::value value = json::parse(line, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::optional<std::uint64_t> number_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code error;
  const auto number = value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
  return value == nullptr || error ? std::nullopt : std::optional(number);
}

std::string entry_line(const LogEntry& entry) {
  const std::string_view event = entry.event ? std::string_view(entry.event->json) : "null";
  return fmt::format("{{\"origin\":{},\"number\":{},\"event\":{}}}\n", json::serialize(json::value(entry.origin)),
                     entry.origin_sequence, event);
}

std::string segment_path(std::uint64_t number) {
  return fmt::format("{}/{:0{}}{}", k_events_folder, number, k_segment_digits, k_segment_ending);
}

}  // namespace

void raise_mark(Marks& marks, const std::string& origin, std::uint64_t sequence) {
  std::uint64_t& mark = marks[origin];
  mark = std::max(mark, sequence);
  if (marks.size() <= k_marks_max) return;
  marks.erase(std::ranges::min_element(marks, {}, [](const auto& entry) { return entry.second; }));
}

EventLog::Recovered EventLog::recover() {
  Recovered out;
  if (const auto made = disk_.make_directory(k_events_folder); !made && made.error() != std::errc::file_exists)
    out.troubles.push_back(fmt::format("{}: {}", k_events_folder, made.error().message()));
  const auto entries = disk_.list(k_events_folder);
  if (!entries) out.troubles.push_back(fmt::format("{}: {}", k_events_folder, entries.error().message()));
  for (const jobs::DiskEntry& entry : entries.value_or(std::vector<jobs::DiskEntry>())) {
    const std::uint64_t number = segment_number(entry.name);
    if (entry.is_directory || number == 0) continue;
    last_name_ = std::max(last_name_, number);
    const std::string path = segment_path(number);
    segments_.push_back({path, disk_.file_bytes(path).value_or(0)});
  }
  std::ranges::sort(segments_, {}, &Segment::path);
  const auto segments = segments_;
  for (const Segment& segment : segments) read_segment(segment, out);
  last_ = out.last;
  marks_ = out.marks;
  return out;
}

void EventLog::read_segment(const Segment& segment, Recovered& out) {
  const auto forget = [&] { std::erase_if(segments_, [&](const Segment& s) { return s.path == segment.path; }); };
  const auto trouble = [&](std::string_view what) {
    out.troubles.push_back(fmt::format("{}: {}", segment.path, what));
  };
  if (segment.bytes > options_.segment_bytes_max + 2 * k_event_bytes_max) return trouble("it is too large");
  std::string text(segment.bytes, '\0');
  if (const auto read = disk_.read_file(segment.path, std::as_writable_bytes(std::span(text))); !read)
    return trouble(read.error().message());
  std::string_view rest = text;
  for (bool first = true; !rest.empty(); first = false) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const bool whole = end != std::string_view::npos;
    if (first && !read_header(line, out)) {
      if (whole && line.contains("\"since\"")) {
        forget();  // left alone, for the release that wrote it
        return trouble("a later release wrote it");
      }
      ++out.broken_lines;
      return;
    }
    if (!first && !(whole && read_line(line, out))) ++out.broken_lines;
  }
}

bool EventLog::read_header(std::string_view line, Recovered& out) const {
  const auto header = line_object(line);
  const auto since = header ? number_in(*header, "since") : std::nullopt;
  if (!since || *since > k_log_version) return false;
  out.last = std::max(out.last, number_in(*header, "last").value_or(0));
  if (const json::value* marks = header->if_contains("marks"); marks != nullptr && marks->is_object())
    for (const auto& [origin, mark] : marks->get_object())
      if (mark.is_uint64() || mark.is_int64())
        raise_mark(out.marks, origin, number_in(marks->get_object(), origin).value_or(0));
  return true;
}

bool EventLog::read_line(std::string_view line, Recovered& out) const {
  const auto entry = line_object(line);
  const json::value* origin = entry ? entry->if_contains("origin") : nullptr;
  const json::value* value = entry ? entry->if_contains("event") : nullptr;
  const auto number = entry ? number_in(*entry, "number") : std::nullopt;
  if (origin == nullptr || !origin->is_string() || !number || value == nullptr) return false;
  StoredEvent stored{.origin = std::string(origin->get_string()), .origin_sequence = *number};
  if (stored.origin != options_.identity) raise_mark(out.marks, stored.origin, *number);
  if (value->is_null()) return true;
  const auto event = read_event(*value);
  if (!event) return false;
  const json::value* sequence = event->extensions.if_contains("sequence");
  stored.sequence = sequence != nullptr && sequence->is_string() ? number_of(sequence->get_string()) : 0;
  // Also what would not ascend: a ring that is read by cursors cannot take it.
  if (stored.sequence == 0 || stored.sequence <= out.last) return false;
  out.last = stored.sequence;
  Event plain = *event;
  plain.extensions.erase("sequence");
  stored.json = with_sequence(stored.sequence, json::serialize(write_event(plain)));
  stored.key = event_key(plain);
  stored.type = plain.type;
  stored.node = plain.node;
  stored.severity = plain.severity;
  out.events.push_back(std::make_shared<const StoredEvent>(std::move(stored)));
  if (out.events.size() > options_.events_max) out.events.pop_front();
  return true;
}

std::string EventLog::header() const {
  json::object marks;
  for (const auto& [origin, mark] : marks_) marks[origin] = mark;
  return json::serialize(
             json::object{{"version", k_log_version}, {"since", 1}, {"last", last_}, {"marks", std::move(marks)}}) +
         '\n';
}

void EventLog::make_room() {
  const auto bytes = [&] {
    std::uint64_t sum = options_.segment_bytes_max;
    for (const Segment& segment : segments_) sum += segment.bytes;
    return sum;
  };
  while (!segments_.empty() && (segments_.size() >= options_.segments_max || bytes() > options_.bytes_max)) {
    if (!disk_.remove_file(segments_.front().path)) return;  // a later call tries again
    segments_.pop_front();
  }
}

jobs::DiskResult<void> EventLog::begin_segment(std::uint64_t sequence) {
  static_cast<void>(disk_.make_directory(k_events_folder));  // it may have failed at the start
  make_room();
  last_name_ = std::max(last_name_ + 1, sequence);
  const std::string path = segment_path(last_name_);
  auto file = disk_.create_file(path);
  if (!file) return std::unexpected(file.error());
  const std::string head = header();
  if (const auto written = (*file)->write(std::as_bytes(std::span(head))); !written) {
    file->reset();
    static_cast<void>(disk_.remove_file(path));
    return written;
  }
  file_ = std::move(*file);
  segments_.push_back({path, head.size()});
  return {};
}

jobs::DiskResult<void> EventLog::append(std::span<const LogEntry> entries) {
  while (!entries.empty()) {
    if (file_ && segments_.back().bytes >= options_.segment_bytes_max) file_.reset();
    if (!file_) {
      const LogEntry& first = entries.front();
      if (const auto begun = begin_segment(first.event ? first.event->sequence : 0); !begun) return begun;
    }
    std::string text;
    std::size_t taken = 0;
    do {
      const LogEntry& entry = entries[taken++];
      text += entry_line(entry);
      if (entry.event) last_ = std::max(last_, entry.event->sequence);
      if (entry.origin != options_.identity) raise_mark(marks_, entry.origin, entry.origin_sequence);
    } while (taken < entries.size() && segments_.back().bytes + text.size() < options_.segment_bytes_max);
    segments_.back().bytes += text.size();
    if (const auto written = file_->write(std::as_bytes(std::span(text))); !written) {
      file_.reset();
      return written;
    }
    entries = entries.subspan(taken);
  }
  return {};
}

}  // namespace histod::daemon::telemetry
