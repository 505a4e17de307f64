// SPDX-License-Identifier: Apache-2.0
// Images that are named and not sent: what the API says to them, and what the job engine keeps of them.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/api_rig.hpp"
#include "tests/daemon/datasets_fixture.hpp"

namespace histod::daemon::api {
namespace {

namespace fs = std::filesystem;
using test::ApiRig;
using test::Told;
using testing::HasSubstr;

const std::string k_image = "P5\n3 2\n255\n\x01\x02\x03\x04\x05\x06";

class FileReference : public testing::Test {
 protected:
  FileReference() {
    fs::create_directories(folder_.path() / "scans/sub");
    fs::create_directories(folder_.path() / "out");
    put("scans/a.pgm", k_image);
    put("scans/sub/b c+d.pgm", k_image + "!");
    std::vector<FileRoot> roots;
    roots.push_back(std::move(*FileRoot::open({"scans", folder_.path() / "scans", false})));
    roots.push_back(std::move(*FileRoot::open({"out", folder_.path() / "out", true})));
    rig_.services.files = std::make_unique<SharedFiles>(std::move(roots), SharedFiles::Options{.identity = "node"});
  }
  ~FileReference() override {
    rig_.engine_rig.engine->drain();
    rig_.engine_rig.engine->stop();
    rig_.services.files->stop();
  }
  void put(const std::string& path, const std::string& content) const {
    std::ofstream(folder_.path() / path, std::ios::binary | std::ios::trunc) << content;
  }
  Told submit(const std::string& query, test::Fields fields = {}, const std::string& body = {}) {
    return rig_.post("/v1/jobs", query, body, std::move(fields));
  }
  jobs::JobRecord record_of(const Told& told) {
    EXPECT_EQ(told.status, 202u) << told.body;
    return rig_.engine_rig.get(std::string(told.json().at("id").as_string())).value();
  }
  static std::string told(const Told& answer) { return std::to_string(answer.status) + " " + answer.code(); }

  test::TemporaryFolder folder_;
  ApiRig rig_;
};

TEST_F(FileReference, AFileBecomesAJobAsIfItHadBeenSent) {
  const jobs::JobRecord named = record_of(submit("rule=exact&file=scans/a.pgm"));
  const jobs::JobRecord sent = record_of(submit("rule=exact", {}, k_image));
  EXPECT_EQ(named.input.sha256, jobs::sha256_hex(k_image));
  EXPECT_EQ(named.request_sha256, sent.request_sha256);
  EXPECT_EQ(named.options, sent.options);
  EXPECT_EQ(named.input.filename, "a.pgm");
  EXPECT_EQ(named.files, (jobs::JobFiles{"scans/a.pgm", "", false, ""}));
  EXPECT_EQ(rig_.engine_rig.read_input(named).value(), k_image) << "it is in the spool";
  const Told other = submit("file=file:scans/sub/b%20c%2Bd.pgm");
  EXPECT_EQ(record_of(other).files.source, "scans/sub/b c+d.pgm");
  EXPECT_EQ(other.json().at("input").at("file").as_string(), "scans/sub/b c+d.pgm");
  EXPECT_EQ(other.json().at("input").at("filename").as_string(), "b c+d.pgm");
  EXPECT_FALSE(other.json().contains("result_file"));
}

TEST_F(FileReference, AKeyKnowsFilesAndSentBytesAsTheSame) {
  const test::Fields key = {{"Idempotency-Key", "k"}};
  const Told first = submit("file=scans/a.pgm", key);
  EXPECT_EQ(submit("", key, k_image).json().at("id"), first.json().at("id"));
  EXPECT_EQ(told(submit("file=scans/sub/b%20c%2Bd.pgm", key)), "409 conflict");
  EXPECT_EQ(told(submit("file=scans/a.pgm&result=out", key)), "409 conflict") << "it is to be somewhere else, too";
}

TEST_F(FileReference, WhereTheResultGoesIsKept) {
  const auto target = [&](const std::string& result) {
    return record_of(submit("file=scans/a.pgm&result=" + result)).files.result;
  };
  EXPECT_EQ(target("out"), "out/");
  EXPECT_EQ(target("out/new.png"), "out/new.png");
  const Told sent = submit("result=out/sent.png&overwrite=true", {}, k_image);
  EXPECT_EQ(record_of(sent).files, (jobs::JobFiles{"", "out/sent.png", true, ""})) << "what is sent may go there, too";
  EXPECT_EQ(sent.json().at("result_file").as_string(), "out/sent.png");
  put("out/here.pgm", k_image);
  fs::create_directory(folder_.path() / "out/sub");
  put("out/sub/here.pgm", k_image);
  EXPECT_EQ(record_of(submit("file=out/here.pgm&result=beside")).files.result, "out/");
  EXPECT_EQ(record_of(submit("file=out/sub/here.pgm&result=beside")).files.result, "out/sub/");
}

TEST_F(FileReference, WhatIsWrongIsSaid) {
  fs::create_symlink("a.pgm", folder_.path() / "scans/link.pgm");
  ASSERT_EQ(::mkfifo((folder_.path() / "scans/fifo.pgm").c_str(), 0600), 0);
  put("scans/text.txt", "no image at all");
  put("secret", k_image);
  const std::pair<const char*, const char*> cases[] = {
      {"file=scans/nothing.pgm", "404 not-found"},
      {"file=other/a.pgm", "403 no-file-root"},
      {"file=scans/link.pgm", "422 file-refused"},
      {"file=scans/fifo.pgm", "422 file-refused"},
      {"file=scans/sub", "422 file-refused"},
      {"file=scans/sub/", "400 bad-option"},
      {"file=scans", "400 bad-option"},
      {"file=", "400 bad-option"},
      {"file=scans/../secret", "400 bad-option"},
      {"file=scans/%2e%2e/secret", "400 bad-option"},
      {"file=scans/sub/%2e%2e%2f%2e%2e%2fsecret", "400 bad-option"},
      {"file=/etc/passwd", "400 bad-option"},
      {"file=file:///etc/passwd", "400 bad-option"},
      {"file=scans/a.pgm%00.png", "400 bad-option"},
      {"file=scans/a.pgm&file=scans/a.pgm", "400 bad-option"},
      {"file=scans/text.txt", "415 unknown-format"},
      {"file=scans/a.pgm&rule=none", "400 bad-option"},
      {"file=scans/a.pgm&result=scans/r.png", "403 no-file-root"},
      {"file=scans/a.pgm&result=beside", "403 no-file-root"},
      {"file=scans/a.pgm&result=other/r.png", "403 no-file-root"},
      {"file=scans/a.pgm&result=out/nothing/r.png", "404 not-found"},
      {"file=scans/a.pgm&result=out/../r.png", "400 bad-option"},
      {"file=scans/a.pgm&overwrite=true", "400 bad-option"},
      {"file=scans/a.pgm&result=out&overwrite=yes", "400 bad-option"},
      {"result=beside", "400 bad-option"},
      {"result=out", "400 bad-request"},
  };
  for (const auto& [query, expected] : cases) EXPECT_EQ(told(submit(query)), expected) << query;
  EXPECT_EQ(told(submit("file=scans/a.pgm", {}, k_image)), "400 bad-request");
  EXPECT_EQ(told(rig_.post("/v1/equalize", "file=scans/a.pgm", k_image)), "400 bad-option");
  EXPECT_EQ(rig_.ask({.method = "POST",
                      .path = "/v1/jobs",
                      .query = "file=scans/a.pgm",
                      .token = std::string(test::k_read_token)})
                .status,
            403u);
  EXPECT_TRUE(rig_.engine_rig.list(10).empty());
}

TEST_F(FileReference, WhoNamesAFileNeedNotSayThatHeSendsNone) {
  const auto bytes_max = [&](const std::string& path, const std::string& query) {
    return rig_.admit({.method = "POST", .path = path, .query = query})->bytes_max;
  };
  EXPECT_EQ(bytes_max("/v1/jobs", "rule=exact&file=scans/a.pgm"), 0u);
  EXPECT_EQ(bytes_max("/v1/datasets/01KDVK7W00000000000000000C/images", "file=scans/a.pgm"), 0u);
  for (const char* query : {"", "rule=exact", "file=a&file=b", "result=file"})
    EXPECT_GT(bytes_max("/v1/jobs", query), 0u) << query;
  EXPECT_GT(bytes_max("/v1/equalize", "file=scans/a.pgm"), 0u);
}

TEST_F(FileReference, SizesAreCheckedBeforeThereIsMemory) {
  rig_.options.max_upload_bytes = 1'000;
  put("scans/large.pgm", k_image + std::string(1'000, 'x'));
  const Told large = submit("file=scans/large.pgm");
  EXPECT_EQ(told(large), "413 too-large");
  EXPECT_EQ(large.json().at("limit").to_number<int>(), 1'000);
  rig_.options.max_upload_bytes = 1u << 30;
  fs::resize_file(folder_.path() / "scans/large.pgm", ApiRig::k_budget_bytes + 1);
  EXPECT_EQ(told(submit("file=scans/large.pgm")), "413 limit-exceeded");
  net::Lease all = rig_.at_worker([&] { return rig_.worker().pool().lease(ApiRig::k_budget_bytes); });
  EXPECT_EQ(told(submit("file=scans/a.pgm")), "503 overloaded");
  rig_.at_worker([&] { all = {}; });
}

TEST_F(FileReference, WithoutARootNothingIsRead) {
  ApiRig bare;
  const Told named = bare.post("/v1/jobs", "file=scans/a.pgm", "");
  EXPECT_EQ(told(named), "403 no-file-root");
  EXPECT_THAT(named.body, HasSubstr("--file-root"));
  EXPECT_EQ(told(bare.post("/v1/jobs", "result=out", k_image)), "403 no-file-root");
}

}  // namespace
}  // namespace histod::daemon::api

namespace histod::daemon::jobs {
namespace {

using test::bytes_of;
using test::EngineRig;

api::Problem no_room() { return problem(503, "file-failed", "out/r.png: writing the result: no room"); }

Finished made(std::string_view result) {
  Finished outcome;
  outcome.result = bytes_of(result);
  outcome.described = {result.size(), "image/png", "png", "sha-256=00"};
  return outcome;
}

TEST(EngineFiles, AWrittenResultIsNoted) {
  const test::TemporaryFolder folder;
  EngineRig rig(folder.path() / "spool");
  const NewJob job{{}, bytes_of("image"), {}, "a.png", "", "", false, "", {"in/a.png", "out/", false, ""}};
  const std::string id = rig.submit(job).value().record.id;
  rig.engine->resume();
  EXPECT_EQ(rig.attempts.next().id, id);
  Finished outcome = made("result");
  outcome.files = JobFiles{"in/a.png", "out/a_equalized.png", false, sha256_hex("result")};
  rig.end(id, std::move(outcome));
  const JobRecord record = rig.get(id).value();
  EXPECT_EQ(record.state, JobState::done);
  EXPECT_EQ(record.files.result, "out/a_equalized.png");
  EXPECT_EQ(record.files.written_sha256, sha256_hex("result"));
  EXPECT_FALSE(record.error);
  EXPECT_FALSE(rig.has("jobs/" + id + "/input"));
  EXPECT_EQ(rig.record_on_disk(id), record);
}

TEST(EngineFiles, AResultThatCouldNotBeWrittenIsMadeAgainAfterARestart) {
  const test::TemporaryFolder folder;
  const auto spool = folder.path() / "spool";
  const NewJob job{{}, bytes_of("image"), {}, "a.png", "key", "", false, "", {"in/a.png", "out/r.png", false, ""}};
  std::string id;
  {
    EngineRig rig(spool);
    id = rig.submit(job).value().record.id;
    rig.engine->resume();
    EXPECT_EQ(rig.attempts.next().id, id);
    Finished outcome = made("result");
    outcome.unwritten = no_room();
    rig.end(id, std::move(outcome));
    const JobRecord record = rig.get(id).value();
    EXPECT_EQ(record.state, JobState::done);
    EXPECT_EQ(record.error, no_room());
    std::string result(6, '\0');
    ASSERT_TRUE(rig.read_result(id, std::as_writable_bytes(std::span(result))));
    EXPECT_EQ(result, "result") << "it is there all the same";
  }
  EngineRig after(spool);
  EXPECT_EQ(after.get(id).value().state, JobState::queued);
  EXPECT_TRUE(after.get(id).value().result) << "until it is made again, there is the result of before";
  EXPECT_TRUE(after.submit(job).value().replayed);
  after.engine->resume();
  const JobRecord attempt = after.attempts.next();
  EXPECT_EQ(attempt.attempts, 1u);
  EXPECT_FALSE(attempt.error);
  EXPECT_EQ(after.read_input(attempt).value(), "image");
  Finished outcome = made("result");
  outcome.files = attempt.files;
  after.end(id, std::move(outcome));
  EXPECT_FALSE(after.get(id).value().error);
  EXPECT_FALSE(after.has("jobs/" + id + "/input"));
}

TEST(EngineFiles, WhoTakesAJobOverKnowsWhereItsResultGoes) {
  const test::TemporaryFolder folder;
  const EngineRig first(folder.path() / "first"), second(folder.path() / "second");
  const NewJob job{{}, bytes_of("image"), {}, "a.png", "", "", false, "", {"in/a.png", "out/r.png", true, ""}};
  JobRecord copy = first.submit(job).value().record;
  const std::string id = copy.id, owner = "01KDVK7W00000000000000000C";
  copy.owner = owner;
  ASSERT_TRUE(second.ask<void>(&Engine::hold, copy, bytes_of("image"), Bytes()));
  EXPECT_TRUE(second.file("jobs/" + id + "/record").starts_with("histod-job 3 "));
  EXPECT_EQ(second.ask<std::uint64_t>(&Engine::adopt, owner).value(), 1u);
  EXPECT_EQ(second.get(id).value().files, first.get(id).value().files);
}

class DatasetFiles : public DatasetsTest {};

TEST_F(DatasetFiles, AnImageThatCouldNotBeWrittenIsMadeAgainByTheTablesInForce) {
  const std::string id = create();
  const std::string image =
      rig_->submit({{}, bytes_of("image"), {}, "a.png", "", id, false, "", {"in/a.png", "out/", false, ""}})
          .value()
          .record.id;
  count_next(k_dark);
  EXPECT_EQ(rig_->get(image).value().files.result, "out/");
  ASSERT_TRUE(finalize(id));
  ASSERT_TRUE(apply(id));
  EXPECT_EQ(rig_->attempts.next().id, image);
  Finished outcome = made("result");
  outcome.unwritten = no_room();
  rig_->end(image, std::move(outcome));
  EXPECT_EQ(state(image), JobState::done);
  EXPECT_EQ(rig_->get(image).value().error, no_room());
  crash();
  EXPECT_EQ(make_next(), exact_table(k_dark));
  EXPECT_EQ(state(image), JobState::done);
  EXPECT_FALSE(rig_->get(image).value().error);
  crash();
  rig_->settle();
  EXPECT_EQ(state(image), JobState::done) << "it is not made a third time";
}

}  // namespace
}  // namespace histod::daemon::jobs
