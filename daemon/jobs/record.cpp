// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/record.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/core.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/ulid.hpp"

namespace histod::daemon::jobs {
namespace {

namespace json = boost::json;

constexpr std::string_view k_magic = "histod-job ";
constexpr std::size_t k_first_line_max = 128;
constexpr std::size_t k_depth_max = 8;
constexpr std::array<std::string_view, 5> k_states{"queued", "running", "done", "failed", "cancelled"};

json::string text(std::string_view s) { return json::string(api::valid_utf8(s)); }

json::object input_object(const JobInput& input) {
  return {{"bytes", input.bytes},           {"sha256", text(input.sha256)},
          {"format", text(input.format)},   {"width", input.width},
          {"height", input.height},         {"filename", text(input.filename)},
          {"mask_bytes", input.mask_bytes}, {"mask_sha256", text(input.mask_sha256)}};
}

json::object result_object(const JobResult& result) {
  return {{"bytes", result.bytes},
          {"media_type", text(result.media_type)},
          {"format", text(result.format)},
          {"lut_digest", text(result.lut_digest)}};
}

json::array planes_array(const std::vector<JobPlane>& planes) {
  json::array out;
  for (const JobPlane& plane : planes) {
    out.push_back(json::object{{"counted", plane.counted},
                               {"masked", plane.masked},
                               {"first_count", plane.first_count},
                               {"levels", plane.levels},
                               {"rule", text(plane.rule)}});
  }
  return out;
}

json::object record_object(const JobRecord& record) {
  json::object options, timing;
  for (const auto& [name, value] : record.options) options[text(name)] = text(value);
  for (const auto& [name, ms] : record.timing_ms)
    if (std::isfinite(ms)) timing[text(name)] = ms;  // JSON has no other numbers
  json::object out{{"id", text(record.id)},
                   {"state", state_name(record.state)},
                   {"created_ms", record.created_ms},
                   {"started_ms", record.started_ms},
                   {"finished_ms", record.finished_ms},
                   {"options", std::move(options)},
                   {"input", input_object(record.input)},
                   {"idempotency_sha256", text(record.idempotency_sha256)},
                   {"request_sha256", text(record.request_sha256)},
                   {"planes", planes_array(record.planes)},
                   {"attempts", record.attempts},
                   {"program_version", text(record.program_version)},
                   {"timing_ms", std::move(timing)}};
  if (record.result) out["result"] = result_object(*record.result);
  if (record.error) out["error"] = api::problem_object(*record.error);
  return out;
}

/// No control characters: these texts end in header fields, logs and pages.
bool is_plain(std::string_view s) {
  return std::ranges::none_of(s, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// Takes members out of an object and remembers the first thing that is wrong.
class Reader {
 public:
  Reader(const json::value& value, std::string where, std::string& error) : where_(std::move(where)), error_(error) {
    object_ = value.if_object();
    if (object_ == nullptr) fail("", "must be an object");
  }

  const json::value* member(std::string_view name) {
    if (object_ == nullptr) return nullptr;
    const json::value* value = object_->if_contains(name);
    if (value == nullptr) fail(name, "is missing");
    return value;
  }
  const json::value* optional(std::string_view name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }

  void take(std::string_view name, std::string& out) {
    if (const json::value* value = member(name)) take_text(name, *value, out);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void take(std::string_view name, T& out) {
    const json::value* value = member(name);
    if (value == nullptr) return;
    boost::system::error_code error;
    out = value->to_number<T>(error);
    if (error) return fail(name, "must be a number in its range");
    if constexpr (std::is_signed_v<T>) {
      if (out < 0) fail(name, "must not be negative");
    }
  }
  void take_digest(std::string_view name, std::string& out, bool may_be_empty) {
    take(name, out);
    if (!(out.empty() && may_be_empty) && !is_sha256_hex(out)) fail(name, "must be a SHA-256 in hexadecimal");
  }
  template <class V>
  void take_map(std::string_view name, std::map<std::string, V>& out) {
    const json::value* value = member(name);
    if (value == nullptr) return;
    Reader inner(*value, where_ + std::string(name) + ".", error_);
    if (inner.object_ == nullptr) return;
    for (const auto& [key, unused] : *inner.object_) {
      if (!is_plain(key)) return inner.fail("a name", "has control characters");
      inner.take(key, out[std::string(key)]);
    }
  }
  void fail(std::string_view name, std::string_view what) {
    if (!error_.empty()) return;
    std::string subject = where_ + std::string(name);
    if (subject.ends_with('.')) subject.pop_back();
    error_ = fmt::format("{} {}", subject.empty() ? "content" : subject, what);
  }

 private:
  void take_text(std::string_view name, const json::value& value, std::string& out) {
    if (!value.is_string()) return fail(name, "must be a text");
    out = std::string(value.get_string());
    if (!is_plain(out)) fail(name, "has control characters");
  }
  const json::object* object_ = nullptr;
  std::string where_;
  std::string& error_;
};

void read_input(const json::value& value, JobInput& input, std::string& error) {
  Reader from(value, "input.", error);
  from.take("bytes", input.bytes);
  from.take_digest("sha256", input.sha256, false);
  from.take("format", input.format);
  from.take("width", input.width);
  from.take("height", input.height);
  from.take("filename", input.filename);
  from.take("mask_bytes", input.mask_bytes);
  from.take_digest("mask_sha256", input.mask_sha256, true);
  if ((input.mask_bytes == 0) != input.mask_sha256.empty()) from.fail("mask_sha256", "does not fit mask_bytes");
}

void read_result(const json::value& value, JobResult& result, std::string& error) {
  Reader from(value, "result.", error);
  from.take("bytes", result.bytes);
  from.take("media_type", result.media_type);
  from.take("format", result.format);
  from.take("lut_digest", result.lut_digest);
}

void read_planes(const json::value& value, std::vector<JobPlane>& planes, std::string& error) {
  const json::array* array = value.if_array();
  if (array == nullptr) {
    error = "planes must be a list";
    return;
  }
  for (const json::value& item : *array) {
    Reader from(item, "planes.", error);
    JobPlane& plane = planes.emplace_back();
    from.take("counted", plane.counted);
    from.take("masked", plane.masked);
    from.take("first_count", plane.first_count);
    from.take("levels", plane.levels);
    from.take("rule", plane.rule);
  }
}

void read_state(Reader& from, JobRecord& record) {
  std::string name;
  from.take("state", name);
  const auto state = state_from_name(name);
  if (!state) return from.fail("state", "is none that this release knows");
  record.state = *state;
  if (record.state == JobState::done && !record.result) from.fail("result", "is missing from a job that is done");
  if (record.state == JobState::failed && !record.error) from.fail("error", "is missing from a job that failed");
}

std::expected<JobRecord, std::string> read_record(const json::value& value) {
  JobRecord record;
  std::string error;
  Reader from(value, "", error);
  from.take("id", record.id);
  if (!is_ulid(record.id)) from.fail("id", "is no ULID");
  from.take("created_ms", record.created_ms);
  from.take("started_ms", record.started_ms);
  from.take("finished_ms", record.finished_ms);
  from.take_map("options", record.options);
  if (const auto* input = from.member("input")) read_input(*input, record.input, error);
  from.take_digest("idempotency_sha256", record.idempotency_sha256, true);
  from.take_digest("request_sha256", record.request_sha256, true);
  if (const auto* result = from.optional("result")) read_result(*result, record.result.emplace(), error);
  if (const auto* planes = from.member("planes")) read_planes(*planes, record.planes, error);
  if (const auto* problem = from.optional("error")) {
    auto parsed = api::parse_problem(*problem);
    if (parsed) {
      record.error = std::move(*parsed);
    } else {
      from.fail("error:", parsed.error());
    }
  }
  from.take("attempts", record.attempts);
  from.take("program_version", record.program_version);
  from.take_map("timing_ms", record.timing_ms);
  read_state(from, record);
  if (!error.empty()) return std::unexpected(std::move(error));
  return record;
}

std::unexpected<RecordError> broken(std::string reason) {
  return std::unexpected(RecordError{false, std::move(reason)});
}

template <class T>
bool take_number(std::string_view& line, T& out) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
  if (error != std::errc{} || end == line.data() + line.size() || *end != ' ') return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  return true;
}

}  // namespace

std::string_view state_name(JobState state) { return k_states[static_cast<std::size_t>(state)]; }

std::optional<JobState> state_from_name(std::string_view name) {
  const auto found = std::ranges::find(k_states, name);
  if (found == k_states.end()) return {};
  return static_cast<JobState>(found - k_states.begin());
}

bool is_final(JobState state) { return state != JobState::queued && state != JobState::running; }

std::string encode_record(const JobRecord& record) {
  const std::string payload = json::serialize(record_object(record));
  return fmt::format("{}{} {} {}\n{}", k_magic, k_record_version, payload.size(), sha256_hex(payload), payload);
}

std::expected<JobRecord, RecordError> decode_record(std::string_view bytes) {
  if (bytes.size() > k_record_bytes_max) {
    return broken(fmt::format("the record has {} bytes, more than {}", bytes.size(), k_record_bytes_max));
  }
  std::string_view line = bytes.substr(0, bytes.substr(0, k_first_line_max).find('\n'));
  if (line.size() >= std::min(bytes.size(), k_first_line_max) || !line.starts_with(k_magic)) {
    return broken("the record does not start with a line `histod-job VERSION LENGTH SHA256`");
  }
  const std::string_view payload = bytes.substr(line.size() + 1);
  line.remove_prefix(k_magic.size());
  unsigned version = 0;
  if (!take_number(line, version) || version == 0) return broken("the record's version is no number");
  if (version > k_record_version) {
    return std::unexpected(RecordError{
        true, fmt::format("the record has version {}, but this release knows {}", version, k_record_version)});
  }
  std::size_t length = 0;
  if (!take_number(line, length)) return broken("the record's length is no number");
  if (payload.size() != length) {
    return broken(
        fmt::format("the record has {} bytes after its first line, but should have {}", payload.size(), length));
  }
  if (line != sha256_hex(payload)) return broken("the record's checksum is wrong");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = k_depth_max;
  const json::value value = json::parse(payload, error, {}, options);
  if (error) return broken(fmt::format("the record is no JSON: {}", error.message()));
  auto record = read_record(value);
  if (!record) return broken(fmt::format("the record's {}", record.error()));
  return std::move(*record);
}

}  // namespace histod::daemon::jobs
