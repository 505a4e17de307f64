// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/record.hpp"

#include <limits>
#include <random>
#include <string>

#include <boost/json.hpp>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/dataset_record.hpp"
#include "daemon/jobs/digest.hpp"
#include "tests/daemon/job_samples.hpp"

namespace histod::test {
namespace {

using namespace daemon::jobs;
using testing::HasSubstr;

const std::string k_id = "01KDVK7W00000000000000000A";

/// A record around any payload, with a first line that is right.
std::string wrapped(const std::string& payload, unsigned version = 1) {
  return fmt::format("histod-job {} {} {}\n{}", version, payload.size(), sha256_hex(payload), payload);
}

boost::json::object payload_of(const JobRecord& record) {
  const std::string text = encode_record(record);
  return boost::json::parse(text.substr(text.find('\n') + 1)).as_object();
}

std::string reason_of(const std::string& bytes) {
  const auto record = decode_record(bytes);
  return record ? "(accepted)" : record.error().reason;
}

JobRecord failed_job() {
  JobRecord record = sample_job(k_id);
  record.state = JobState::failed;
  record.attempts = 3;
  record.error = daemon::api::Problem{413,
                                      "limit-exceeded",
                                      "the image has too many pixels",
                                      std::uint64_t{500},
                                      std::uint64_t{100},
                                      "/v1/jobs/" + k_id};
  record.idempotency_sha256 = sha256_hex("key");
  return record;
}

/// A copy of another node's job.
JobRecord copied_job() {
  JobRecord record = sample_job(k_id);
  record.owner = "01KDVK7W00000000000000000C";
  return record;
}

JobRecord written_job() {
  JobRecord record = finished_job(k_id);
  record.files = {"scans/größe \"1\".tif", "out/2026/", true, sha256_hex("what was written")};
  return record;
}

TEST(Record, ComesBackAsItWas) {
  JobRecord masked = sample_job(k_id);
  masked.input.mask_bytes = 3;
  masked.input.mask_sha256 = sha256_hex("abc");
  masked.state = JobState::running;
  masked.input.filename = "größe \"1\" \\ 画像.tiff";
  masked.input.width = 1ull << 40;
  masked.input.height = std::numeric_limits<std::uint64_t>::max();
  JobRecord cancelled = sample_job(k_id);
  cancelled.state = JobState::cancelled;
  JobRecord held = finished_job(k_id);
  held.holder = "01KDVK7W00000000000000000B";
  JobRecord asked = sample_job(k_id), placed = finished_job(k_id), estimated = placed;
  asked.placement.asked = "fleet";
  placed.placement = {"auto", "local", "the speeds are \"not\" measured yet", {}, 1.25};
  estimated.placement = {"auto", "fleet", "faster", 12.5, 0.0};
  JobRecord read = sample_job(k_id), unwritten = written_job();
  read.files.source = "scans/a.tif";
  read.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  unwritten.error = failed_job().error;
  EXPECT_TRUE(unwritten.unwritten());
  for (const JobRecord& record : {sample_job(k_id), finished_job(k_id), failed_job(), masked, cancelled, copied_job(),
                                  held, asked, placed, estimated, read, written_job(), unwritten}) {
    const auto again = decode_record(encode_record(record));
    ASSERT_TRUE(again) << again.error().reason;
    EXPECT_EQ(*again, record);
  }
}

TEST(Record, StartsWithItsVersionLengthAndChecksum) {
  const std::string text = encode_record(sample_job(k_id));
  const std::string payload = text.substr(text.find('\n') + 1);
  EXPECT_EQ(text, wrapped(payload));
  EXPECT_EQ(boost::json::parse(payload).at("state").as_string(), "queued");
}

TEST(Record, OnlyACopyHasAVersionThatEarlierReleasesLeaveAlone) {
  JobRecord held = sample_job(k_id);
  held.holder = "01KDVK7W00000000000000000B";
  EXPECT_TRUE(encode_record(held).starts_with("histod-job 1 "));
  EXPECT_FALSE(payload_of(sample_job(k_id)).contains("holder"));
  EXPECT_FALSE(payload_of(sample_job(k_id)).contains("owner"));
  const std::string copy = encode_record(copied_job());
  EXPECT_EQ(copy, wrapped(copy.substr(copy.find('\n') + 1), 2));
}

TEST(Record, WhatALaterReleaseAddsIsPassedOver) {
  const JobRecord job = finished_job(k_id);
  boost::json::object payload = payload_of(job);
  EXPECT_EQ(payload.at("format").to_number<unsigned>(), k_record_version);
  payload["format"] = k_record_version + 1;
  payload["later"] = boost::json::object{{"a", 1}};
  EXPECT_EQ(decode_record(wrapped(boost::json::serialize(payload))).value(), job);
}

TEST(Record, ATraceIsKeptInAnyVersionAndOfAnotherFormIsNone) {
  JobRecord traced = sample_job(k_id);
  EXPECT_FALSE(payload_of(traced).contains("traceparent"));
  traced.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_TRUE(encode_record(traced).starts_with("histod-job 1 ")) << "earlier releases may overlook it";
  boost::json::object payload = payload_of(traced);
  payload["traceparent"] = "something else";
  EXPECT_EQ(decode_record(wrapped(boost::json::serialize(payload))).value(), sample_job(k_id));

  DatasetRecord dataset;
  dataset.id = k_id;
  dataset.traceparent = traced.traceparent;
  EXPECT_EQ(decode_dataset(encode_dataset(dataset)).value(), dataset);
}

TEST(Record, AReleaseThatWritesNoFilesLeavesAJobAloneWhoseResultIsOne) {
  JobRecord read = sample_job(k_id);
  read.files.source = "scans/a.tif";
  EXPECT_TRUE(encode_record(read).starts_with("histod-job 1 ")) << "it is in the spool like any other";
  JobRecord copy = written_job();
  copy.owner = copied_job().owner;
  EXPECT_TRUE(encode_record(written_job()).starts_with("histod-job 3 "));
  EXPECT_TRUE(encode_record(copy).starts_with("histod-job 3 "));
}

TEST(Record, EveryFlippedBitIsNoticed) {
  const std::string text = encode_record(finished_job(k_id));
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_FALSE(decode_record(damaged)) << "byte " << i << ", bit " << bit;
    }
  }
}

TEST(Record, EveryTruncationIsNoticed) {
  const std::string text = encode_record(finished_job(k_id));
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(decode_record(text.substr(0, n))) << n;
  EXPECT_THAT(reason_of(text + " "), HasSubstr("bytes after its first line"));
}

TEST(Record, ANewerVersionIsToldFromABrokenOne) {
  const auto newer = decode_record("histod-job 4 99 what comes then is not known\n");
  ASSERT_FALSE(newer);
  EXPECT_TRUE(newer.error().newer);
  EXPECT_EQ(newer.error().reason, "the record has version 4, but this release knows 3");
  for (const char* text :
       {"histod-job 0 2 x\n{}", "histod-job -1 2 x\n{}", "histod-job two 2 x\n{}",
        "histod-job 99999999999999999999 2 x\n{}", "histod-job 1\n", "histod-job \n", "histod-job"}) {
    const auto broken = decode_record(text);
    ASSERT_FALSE(broken) << text;
    EXPECT_FALSE(broken.error().newer) << text;
  }
}

TEST(Record, ReasonsSayWhatIsWrong) {
  EXPECT_THAT(reason_of(""), HasSubstr("does not start with"));
  EXPECT_THAT(reason_of("\n\n\n"), HasSubstr("does not start with"));
  EXPECT_THAT(reason_of(std::string(1000, 'x')), HasSubstr("does not start with"));
  EXPECT_THAT(reason_of("histod-job " + std::string(200, '1') + "\n"), HasSubstr("does not start with"));
  EXPECT_THAT(reason_of("histod-job 1 5 0\n{}"), HasSubstr("has 2 bytes after its first line, but should have 5"));
  EXPECT_THAT(reason_of("histod-job 1 2 0\n{}"), HasSubstr("checksum is wrong"));
  EXPECT_THAT(reason_of(std::string(k_record_bytes_max + 1, 'x')), HasSubstr("more than 1048576"));
  EXPECT_THAT(reason_of(wrapped("{")), HasSubstr("no JSON"));
  EXPECT_THAT(reason_of(wrapped(std::string(100, '[') + std::string(100, ']'))), HasSubstr("no JSON"));
  EXPECT_THAT(reason_of(wrapped("[]")), HasSubstr("content must be an object"));
  EXPECT_THAT(reason_of(wrapped("{}")), HasSubstr("id is missing"));
}

/// The reason after one member was replaced.
std::string reason_with(const JobRecord& base, const std::string& member, const boost::json::value& value) {
  boost::json::object payload = payload_of(base);
  payload[member] = value;
  return reason_of(wrapped(boost::json::serialize(payload)));
}

TEST(Record, HostileMembersAreRefused) {
  const JobRecord job = finished_job(k_id);
  EXPECT_THAT(reason_with(job, "id", "../../etc/passwd"), HasSubstr("id is no ULID"));
  EXPECT_THAT(reason_with(job, "id", 7), HasSubstr("id must be a text"));
  EXPECT_THAT(reason_with(job, "state", "paused"), HasSubstr("state is none"));
  EXPECT_THAT(reason_with(job, "created_ms", -1), HasSubstr("created_ms must not be negative"));
  EXPECT_THAT(reason_with(job, "created_ms", 1.5), HasSubstr("created_ms must be a number"));
  EXPECT_THAT(reason_with(job, "attempts", 1ull << 40), HasSubstr("attempts must be a number in its range"));
  EXPECT_THAT(reason_with(job, "options", boost::json::array{}), HasSubstr("options must be an object"));
  EXPECT_THAT(reason_with(job, "options", {{"rule", 3}}), HasSubstr("options.rule must be a text"));
  EXPECT_THAT(reason_with(job, "options", {{"rule", "a\r\nb"}}), HasSubstr("control characters"));
  EXPECT_THAT(reason_with(job, "planes", "none"), HasSubstr("planes must be a list"));
  EXPECT_THAT(reason_with(job, "planes", boost::json::array{boost::json::object{}}),
              HasSubstr("planes.counted is missing"));
  EXPECT_THAT(reason_with(job, "timing_ms", {{"total", "fast"}}), HasSubstr("timing_ms.total must be a number"));
  EXPECT_THAT(reason_with(job, "timing_ms", {{"total", -5.0}}), HasSubstr("timing_ms.total must not be negative"));
  EXPECT_THAT(reason_with(job, "owner", ""), HasSubstr("owner is no ULID"));
  EXPECT_THAT(reason_with(job, "owner", "../../etc/passwd"), HasSubstr("owner is no ULID"));
  EXPECT_THAT(reason_with(job, "holder", 5), HasSubstr("holder must be a text"));
  EXPECT_THAT(reason_with(job, "request_sha256", "abc"), HasSubstr("must be a SHA-256"));
  EXPECT_THAT(reason_with(job, "error", {{"type", "about:blank"}}), HasSubstr("urn:histod:problem:"));
}

TEST(Record, NothingThatEndsInAHeaderFieldMayBreakOut) {
  boost::json::object result = payload_of(finished_job(k_id))["result"].as_object();
  result["media_type"] = "image/png\r\nSet-Cookie: a=b";
  EXPECT_THAT(reason_with(finished_job(k_id), "result", result), HasSubstr("media_type has control characters"));
  boost::json::object input = payload_of(sample_job(k_id))["input"].as_object();
  input["filename"] = "a\nb";
  EXPECT_THAT(reason_with(sample_job(k_id), "input", input), HasSubstr("filename has control characters"));
}

TEST(Record, StateAndContentFitTogether) {
  boost::json::object done = payload_of(finished_job(k_id));
  done.erase("result");
  EXPECT_THAT(reason_of(wrapped(boost::json::serialize(done))), HasSubstr("result is missing"));
  boost::json::object failed = payload_of(failed_job());
  failed.erase("error");
  EXPECT_THAT(reason_of(wrapped(boost::json::serialize(failed))), HasSubstr("error is missing"));
  boost::json::object input = payload_of(sample_job(k_id))["input"].as_object();
  input["mask_bytes"] = 5;
  EXPECT_THAT(reason_with(sample_job(k_id), "input", input), HasSubstr("does not fit mask_bytes"));
}

TEST(Record, BytesThatAreNoUtf8StillMakeARecord) {
  JobRecord record = sample_job(k_id);
  record.input.filename = "caf\xe9.png";
  record.timing_ms["odd"] = std::numeric_limits<double>::quiet_NaN();
  const auto again = decode_record(encode_record(record));
  ASSERT_TRUE(again) << again.error().reason;
  EXPECT_EQ(again->input.filename, "caf?.png");
  EXPECT_FALSE(again->timing_ms.contains("odd"));
}

TEST(Record, RandomPayloadsNeverCrash) {
  std::mt19937 random(7);
  JobRecord record = finished_job(k_id);
  record.owner = record.holder = k_id;
  const std::string base = boost::json::serialize(payload_of(record));
  const std::string_view noise = "{}[]\",:0123456789-+.eE\\untrfals ";
  std::size_t refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string payload = base;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      payload[random() % payload.size()] = noise[random() % noise.size()];
    }
    const auto read = decode_record(wrapped(payload, 2));
    EXPECT_TRUE(!read || decode_record(encode_record(*read)) == *read);
    refused += !read;
  }
  EXPECT_GT(refused, 1000u);
}

TEST(JobStates, NamesGoBothWays) {
  for (const JobState state :
       {JobState::queued, JobState::running, JobState::done, JobState::failed, JobState::cancelled}) {
    EXPECT_EQ(state_from_name(state_name(state)), state);
    EXPECT_EQ(is_final(state), state != JobState::queued && state != JobState::running);
  }
  EXPECT_EQ(state_from_name("Done"), std::nullopt);
}

TEST(DatasetRecord, ComesBackAsItWas) {
  DatasetRecord record{
      .id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
      .name = "a \"name\"",
      .created_ms = 1,
      .changed_ms = 2,
      .options = {{"rule", "exact"}},
      .reference = "01ARZ3NDEKTSV4RRFFQ69G5FAW",
      .lut =
          DatasetLut{
              3, "sha-256=00", LutOrigin::matched, 5, std::string(64, 'a'), 7, {{"brightness", 1, 256, 256, 5, 10, 2}}},
      .applied_revision = 3,
      .removed = true};
  EXPECT_EQ(decode_dataset(encode_dataset(record)).value(), record);
  record.applied_revision = 4;
  EXPECT_THAT(decode_dataset(encode_dataset(record)).error().reason, HasSubstr("later than its tables"));
  record.applied_revision = 3;
  record.id = "x";
  EXPECT_THAT(decode_dataset(encode_dataset(record)).error().reason, HasSubstr("no ULID"));
  EXPECT_THAT(decode_dataset("histod-job 1 0 0\n").error().reason, HasSubstr("histod-dataset"));
  EXPECT_TRUE(decode_dataset("histod-dataset 2 0 0\n").error().newer);
}

}  // namespace
}  // namespace histod::test
