// SPDX-License-Identifier: Apache-2.0
#include "tests/daemon/job_samples.hpp"

#include "daemon/jobs/digest.hpp"

namespace histod::test {

using namespace daemon::jobs;

JobRecord sample_job(const std::string& id) {
  JobRecord record;
  record.id = id;
  record.created_ms = 1'767'225'600'000;
  record.options = {{"method", "global"}, {"rule", "opencv"}};
  const std::string input = content_of(id, "input");
  record.input.bytes = input.size();
  record.input.sha256 = sha256_hex(input);
  record.input.filename = "a picture.png";
  record.request_sha256 = sha256_hex("request of " + id);
  record.program_version = "1.2.3";
  return record;
}

JobRecord finished_job(const std::string& id) {
  JobRecord record = sample_job(id);
  record.state = JobState::done;
  record.started_ms = record.created_ms + 5;
  record.finished_ms = record.created_ms + 25;
  record.attempts = 1;
  record.result = JobResult{content_of(id, "result").size(), "image/png", "png", sha256_hex("lut of " + id)};
  record.planes.push_back({100, 3, 7, 256, "opencv"});
  record.timing_ms = {{"decode", 1.5}, {"total", 20.25}};
  return record;
}

}  // namespace histod::test
