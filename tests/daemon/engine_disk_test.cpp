// SPDX-License-Identifier: Apache-2.0
// The job engine on a disk that is full or fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/engine_rig.hpp"

namespace histod::daemon::jobs {
namespace {

using test::Answer;
using test::bytes_of;
using test::EngineRig;
using test::k_patience;
using testing::ElementsAre;

class EngineDisk : public testing::Test {
 protected:
  EngineRig& open(const Engine::Options& options = {}, std::uint64_t budget_bytes = 1u << 30) {
    rig_.emplace(folder_.path() / "spool", options, budget_bytes);
    return *rig_;
  }

 private:
  test::TemporaryFolder folder_;
  std::optional<EngineRig> rig_;
};

TEST_F(EngineDisk, ASpoolWithoutRoomIsA507AndKeepsNothing) {
  EngineRig& rig = open({}, 8'000);
  const std::string small = rig.submit("small");
  const std::string large(8'000, 'x');
  const auto refused = rig.submit({{}, bytes_of(large), {}, "", "key"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 507u);
  EXPECT_EQ(refused.error().code, "spool-full");
  EXPECT_EQ(refused.error().limit, api::amount(8'000));
  EXPECT_THAT(rig.list(10), ElementsAre(small));
  EXPECT_TRUE(rig.submit({{}, bytes_of("fits"), {}, "", "key"})) << "a refused request does not take the key";
}

TEST_F(EngineDisk, AResultThatCanNeverFitFailsItsJobWithThatReason) {
  EngineRig& rig = open({}, 8'000);
  const std::string id = rig.submit("small");
  rig.engine->resume();
  rig.attempts.next();
  rig.finish(id, std::string(8'001, 'x'));
  const JobRecord record = rig.get(id).value();
  EXPECT_EQ(record.state, JobState::failed);
  EXPECT_EQ(record.error.value().status, 507u);
  EXPECT_FALSE(record.result);
  EXPECT_FALSE(rig.has("jobs/" + id + "/result"));
}

TEST_F(EngineDisk, AResultThatFindsNoRoomNowIsMadeAgainWhenThereIsSome) {
  EngineRig& rig = open({}, 16'000);
  const std::string other = rig.submit(std::string(9'000, 'o'));
  const std::string id = rig.submit("small");
  rig.engine->resume();
  EXPECT_EQ(rig.attempts.next().id, other);
  EXPECT_EQ(rig.attempts.next().id, id);
  rig.finish(id, std::string(7'000, 'x'));
  EXPECT_EQ(rig.get(id).value().state, JobState::queued);
  rig.finish(other, "tiny");
  EXPECT_TRUE(rig.remove(other));
  rig.now_ms += 1'000;
  EXPECT_EQ(rig.attempts.next().id, id);
  rig.finish(id, std::string(7'000, 'x'));
  EXPECT_EQ(rig.get(id).value().state, JobState::done);
  EXPECT_EQ(rig.file("jobs/" + id + "/result"), std::string(7'000, 'x'));
}

TEST_F(EngineDisk, AFullDiskIsA507AndAnyOtherFailureA500) {
  EngineRig& rig = open();
  const auto fail_with = [&](std::errc error) {
    rig.disk->set([error](std::string_view operation, const std::string&) {
      return operation == "create_file" ? std::make_error_code(error) : std::error_code();
    });
    return rig.submit({{}, bytes_of("one"), {}, "", ""}).error().status;
  };
  EXPECT_EQ(fail_with(std::errc::no_space_on_device), 507u);
  EXPECT_EQ(fail_with(std::errc::io_error), 500u);
  rig.disk->set({});
  EXPECT_TRUE(rig.list(10).empty());
  rig.submit("one");
  rig.settle();
  EXPECT_EQ(rig.engine->counts().disk_errors, 1u);
}

TEST_F(EngineDisk, AJobWhoseEndCannotBeStoredIsDoneAgain) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  // More often than a job may be tried: what the disk does is not the job's fault.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(rig.attempts.next().id, id);
    rig.disk->set([](std::string_view operation, const std::string& path) {
      const bool record = operation == "rename" && path.ends_with("/record");
      return record ? std::make_error_code(std::errc::io_error) : std::error_code();
    });
    rig.finish(id);
    rig.disk->set({});
    EXPECT_EQ(rig.get(id).value().state, JobState::queued);
    EXPECT_EQ(rig.record_on_disk(id).state, JobState::running) << "as a restart would find it";
    EXPECT_EQ(rig.file("jobs/" + id + "/input"), "one");
    rig.now_ms += 1'000;
  }
  const JobRecord last = rig.attempts.next();
  EXPECT_EQ(rig.read_input(last).value(), "one");
  rig.finish(id, "at last");
  EXPECT_EQ(rig.get(id).value().state, JobState::done);
  EXPECT_EQ(rig.record_on_disk(id).state, JobState::done);
  EXPECT_EQ(rig.file("jobs/" + id + "/result"), "at last");
}

TEST_F(EngineDisk, AnAttemptThatCannotBeStoredIsNotBegun) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.disk->set([](std::string_view operation, const std::string& path) {
    return operation == "create_file" && path.ends_with("/record.tmp") ? std::make_error_code(std::errc::io_error)
                                                                       : std::error_code();
  });
  rig.engine->resume();
  rig.settle();
  EXPECT_EQ(rig.attempts.waiting(), 0u);
  EXPECT_EQ(rig.get(id).value().state, JobState::queued);
  rig.disk->set({});
  rig.now_ms += test::k_put_off_ms;
  EXPECT_EQ(rig.attempts.next().attempts, 1u);
  rig.finish(id);
}

TEST_F(EngineDisk, ARemovalThatFailedHalfWayEndsTheJobAndBlocksNobody) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  const std::string next = rig.submit("two");
  Answer<JobRecord> waiter;
  rig.engine->wait(id, k_patience, waiter.reply());
  rig.disk->set([](std::string_view operation, const std::string& path) {
    return operation == "sync_directory" && path == "jobs" ? std::make_error_code(std::errc::io_error)
                                                           : std::error_code();
  });
  EXPECT_EQ(rig.remove(id).error().status, 500u);
  EXPECT_EQ(waiter.get().value().state, JobState::cancelled);
  EXPECT_EQ(rig.get(id).error().status, 404u);
  EXPECT_EQ(rig.remove(id).error().status, 500u) << "a power loss may bring it back still";
  rig.disk->set({});
  EXPECT_EQ(rig.remove(id).error().status, 404u);
  rig.engine->resume();
  EXPECT_EQ(rig.attempts.next().id, next);
  rig.finish(next);
}

TEST_F(EngineDisk, ARunningJobWhoseRemovalFailedHalfWayEndsWithItsAttempt) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.next();
  rig.disk->set([](std::string_view operation, const std::string& path) {
    return operation == "sync_directory" && path == "jobs" ? std::make_error_code(std::errc::io_error)
                                                           : std::error_code();
  });
  EXPECT_EQ(rig.remove(id).error().status, 500u);
  rig.disk->set({});
  rig.finish(id);
  EXPECT_EQ(rig.get(id).error().status, 404u);
  rig.now_ms += 10'000;
  rig.settle();
  EXPECT_EQ(rig.attempts.waiting(), 0u);
}

}  // namespace
}  // namespace histod::daemon::jobs
