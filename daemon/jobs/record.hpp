// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/problem.hpp"
#include "daemon/jobs/record_text.hpp"

namespace histod::daemon::jobs {

/// `counted`: an image of a dataset that waits for its table.
enum class JobState : std::uint8_t { queued, running, done, failed, cancelled, counted };
inline constexpr std::size_t k_job_states = 6;
std::string_view state_name(JobState state);
std::optional<JobState> state_from_name(std::string_view name);
/// Whether nothing more will happen to it.
bool is_final(JobState state);

struct JobPlane {
  std::uint64_t counted = 0, masked = 0, first_count = 0;
  std::uint32_t levels = 0;
  std::string rule;
  bool operator==(const JobPlane&) const = default;
};

struct JobInput {
  std::uint64_t bytes = 0;
  std::string sha256;  ///< hexadecimal
  std::string format;  ///< as sniffed; width and height are 0 until it is known
  std::uint64_t width = 0, height = 0;
  std::string filename;  ///< the client's; for display and Content-Disposition, never a path
  std::uint64_t mask_bytes = 0;
  std::string mask_sha256;  ///< empty: no mask
  bool operator==(const JobInput&) const = default;
};

struct JobResult {
  std::uint64_t bytes = 0;
  std::string media_type;
  std::string format;
  std::string lut_digest;
  bool operator==(const JobResult&) const = default;
};

/// Where an image's pixels were counted and mapped, and why there.
struct JobPlacement {
  std::string asked;   ///< auto, local or fleet; empty: nothing was said
  std::string chosen;  ///< local or fleet; empty: not yet
  std::string why;
  std::optional<double> local_ms, fleet_ms;  ///< as they were estimated; empty: not measured
  bool operator==(const JobPlacement&) const = default;
};

/// Files on shared volumes, as ROOT/PATH of --file-root.
struct JobFiles {
  std::string source;          ///< the image was read there; empty: it was sent
  std::string result;          ///< the result is written there, too; ends with '/': into that directory; empty: nowhere
  bool overwrite = false;      ///< may replace a file that was not written for this job
  std::string written_sha256;  ///< of what was written there last; empty: nothing yet
  bool operator==(const JobFiles&) const = default;
};

/// All that is known of a job, as the spool keeps it. Times are milliseconds since 1970, 0 for "not yet".
struct JobRecord {
  std::string id;  ///< a ULID
  JobState state = JobState::queued;
  std::int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  std::map<std::string, std::string> options;
  JobInput input;
  std::string idempotency_sha256;  ///< of the caller's Idempotency-Key; empty: none was sent
  std::string request_sha256;      ///< of body and options
  std::optional<JobResult> result;
  std::vector<JobPlane> planes;
  std::optional<api::Problem> error;
  std::uint32_t attempts = 0;
  std::string program_version;
  std::map<std::string, double> timing_ms;
  std::string dataset;         ///< a ULID; empty: a job by itself
  bool counted = false;        ///< its tally is stored, and part of the dataset's
  std::uint64_t revision = 0;  ///< of the dataset's tables that made the result, or failed to; 0: none
  std::string owner;           ///< the identity of the node whose job this is a copy of; empty: it is this node's own
  std::string holder;          ///< the identity of the node that keeps a copy of it; empty: none is known
  std::string former;          ///< the identity of the node that it was taken over from; empty: it came here first
  JobPlacement placement = {};
  JobFiles files;
  std::string traceparent = {};  ///< of the request that submitted it, as parse_traceparent() has it; empty: none
  /// It is made, but its result could not be written to `files.result`: the error says why.
  bool unwritten() const { return state == JobState::done && error && !files.result.empty(); }
  bool operator==(const JobRecord&) const = default;
};

inline constexpr unsigned k_record_version = 3;
/// Magic `histod-job`. A copy has version 2, so that a release that knows none does not take it for a job of its own; a
/// job whose result goes to a shared volume has 3, so that none makes it without; any other record has version 1.
std::string encode_record(const JobRecord& record);
std::expected<JobRecord, RecordError> decode_record(std::string_view bytes);

}  // namespace histod::daemon::jobs
