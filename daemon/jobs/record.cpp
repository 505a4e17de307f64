// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/record.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/core.h>

#include "daemon/jobs/record_text.hpp"
#include "daemon/jobs/ulid.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon::jobs {
namespace {

namespace json = boost::json;

/// The first line of a record has the oldest version that understands it, its member `format` the version it was
/// written for.
constexpr std::string_view k_magic = "histod-job ";
#ifdef HISTOD_NEXT_RECORDS
/// In a program that writes as the release after this one may: tests run it beside this one.
constexpr unsigned k_later = 1;
#else
constexpr unsigned k_later = 0;
#endif
constexpr std::array<std::string_view, k_job_states> k_states{"queued", "running",   "done",
                                                              "failed", "cancelled", "counted"};

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

json::object placement_object(const JobPlacement& placement) {
  json::object out{{"asked", text(placement.asked)}, {"chosen", text(placement.chosen)}, {"why", text(placement.why)}};
  for (const auto& [name, ms] : {std::pair("local_ms", placement.local_ms), std::pair("fleet_ms", placement.fleet_ms)})
    if (ms && std::isfinite(*ms)) out[name] = *ms;
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
  if (!record.dataset.empty()) {
    out["dataset"] = text(record.dataset);
    out["counted"] = record.counted;
    out["revision"] = record.revision;
  }
  if (!record.owner.empty()) out["owner"] = text(record.owner);
  if (!record.holder.empty()) out["holder"] = text(record.holder);
  if (!record.former.empty()) out["former"] = text(record.former);
  if (record.placement != JobPlacement()) out["placement"] = placement_object(record.placement);
  const JobFiles& files = record.files;
  if (!files.source.empty()) out["source_file"] = text(files.source);
  if (!files.result.empty()) {
    out["result_file"] = text(files.result);
    out["overwrite"] = files.overwrite;
    out["written_sha256"] = text(files.written_sha256);
  }
  if (!record.traceparent.empty()) out["traceparent"] = text(record.traceparent);
  if (record.result) out["result"] = result_object(*record.result);
  if (record.error) out["error"] = api::problem_object(*record.error);
  return out;
}

void read_input(const json::value& value, JobInput& input, std::string& error) {
  RecordReader from(value, "input.", error);
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
  RecordReader from(value, "result.", error);
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
    RecordReader from(item, "planes.", error);
    JobPlane& plane = planes.emplace_back();
    from.take("counted", plane.counted);
    from.take("masked", plane.masked);
    from.take("first_count", plane.first_count);
    from.take("levels", plane.levels);
    from.take("rule", plane.rule);
  }
}

void read_placement(const json::value& value, JobPlacement& placement, std::string& error) {
  RecordReader from(value, "placement.", error);
  from.take("asked", placement.asked);
  from.take("chosen", placement.chosen);
  from.take("why", placement.why);
  if (from.optional("local_ms")) from.take("local_ms", placement.local_ms.emplace());
  if (from.optional("fleet_ms")) from.take("fleet_ms", placement.fleet_ms.emplace());
}

void read_state(RecordReader& from, JobRecord& record) {
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
  RecordReader from(value, "", error);
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
  if (from.optional("dataset")) {
    from.take("dataset", record.dataset);
    if (!is_ulid(record.dataset)) from.fail("dataset", "is no ULID");
    from.take("counted", record.counted);
    from.take("revision", record.revision);
  }
  for (const auto& [name, node] :
       {std::pair("owner", &record.owner), std::pair("holder", &record.holder), std::pair("former", &record.former)}) {
    if (!from.optional(name)) continue;
    from.take(name, *node);
    if (!is_ulid(*node)) from.fail(name, "is no ULID");
  }
  if (const auto* placement = from.optional("placement")) read_placement(*placement, record.placement, error);
  if (from.optional("source_file")) from.take("source_file", record.files.source);
  if (from.optional("result_file")) {
    from.take("result_file", record.files.result);
    from.take("overwrite", record.files.overwrite);
    from.take_digest("written_sha256", record.files.written_sha256, true);
  }
  if (from.optional("traceparent")) from.take("traceparent", record.traceparent);
  record.traceparent = parse_traceparent(record.traceparent);  // of a form to come: none
  from.take("attempts", record.attempts);
  from.take("program_version", record.program_version);
  from.take_map("timing_ms", record.timing_ms);
  read_state(from, record);
  if (!error.empty()) return std::unexpected(std::move(error));
  return record;
}

}  // namespace

std::string_view state_name(JobState state) { return k_states[static_cast<std::size_t>(state)]; }

std::optional<JobState> state_from_name(std::string_view name) {
  const auto found = std::ranges::find(k_states, name);
  if (found == k_states.end()) return {};
  return static_cast<JobState>(found - k_states.begin());
}

bool is_final(JobState state) {
  return state == JobState::done || state == JobState::failed || state == JobState::cancelled;
}

std::string encode_record(const JobRecord& record) {
  const unsigned version = !record.files.result.empty() ? 3 : !record.owner.empty() ? 2 : 1;
  json::object fields = record_object(record);
  fields["format"] = k_record_version + k_later;
  if (k_later > 0) fields["later"] = k_later;
  return encode_payload(k_magic, version, json::serialize(fields));
}

std::expected<JobRecord, RecordError> decode_record(std::string_view bytes) {
  const auto value = decode_payload(k_magic, k_record_version, bytes);
  if (!value) return std::unexpected(value.error());
  auto record = read_record(*value);
  if (!record) return broken(fmt::format("the record's {}", record.error()));
  return std::move(*record);
}

}  // namespace histod::daemon::jobs
