// SPDX-License-Identifier: Apache-2.0
// What the job engine finds in its spool after it ended: orderly, or at any moment (a copy of the directory).
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/engine_rig.hpp"

namespace histod::daemon::jobs {
namespace {

using test::bytes_of;
using test::EngineRig;
using testing::ElementsAre;

class EngineRecovery : public testing::Test {
 protected:
  std::filesystem::path spool(int number) const { return folder_.path() / ("spool" + std::to_string(number)); }
  /// The spool as a power loss would leave it now.
  void copy(int from, int to) const {
    std::filesystem::copy(spool(from), spool(to), std::filesystem::copy_options::recursive);
  }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(EngineRecovery, QueuedAndRunningJobsAreDoneAfterACrash) {
  EngineRig before(spool(0));
  const std::string done = before.submit("one"), running = before.submit("two");
  before.engine->resume();
  EXPECT_EQ(before.attempts.next().id, done);
  EXPECT_EQ(before.attempts.next().id, running);
  before.finish(done, "result one");
  before.engine->drain();
  const auto queued = before.submit({{{"rule", "vips"}}, bytes_of("three"), bytes_of("mask"), "c.png", "key"});
  ASSERT_TRUE(queued);
  const std::string id = queued->record.id;
  copy(0, 1);
  before.finish(running);

  EngineRig after(spool(1));
  EXPECT_THAT(after.list(10), ElementsAre(id, running, done));
  EXPECT_EQ(after.get(done).value(), before.get(done).value());
  EXPECT_EQ(after.get(running).value().state, JobState::queued);
  EXPECT_EQ(after.get(id).value(), queued->record);
  EXPECT_EQ(after.engine->counts().recovered, 2u);
  EXPECT_TRUE(after.submit({{{"rule", "vips"}}, bytes_of("three"), bytes_of("mask"), "", "key"}).value().replayed)
      << "keys are remembered across a restart";
  EXPECT_EQ(after.submit({{}, bytes_of("three"), {}, "", "key"}).error().status, 409u);
  std::string result(10, '\0');
  ASSERT_TRUE(after.read_result(done, std::as_writable_bytes(std::span(result))));
  EXPECT_EQ(result, "result one");

  after.engine->resume();
  const JobRecord second = after.attempts.next();
  EXPECT_EQ(second.id, running);
  EXPECT_EQ(second.attempts, 2u) << "the attempt that the crash ended counts";
  EXPECT_EQ(after.read_input(second).value(), "two");
  EXPECT_EQ(after.attempts.next().id, id);
  after.finish(running);
  after.finish(id);
  EXPECT_EQ(after.get(running).value().state, JobState::done);
}

TEST_F(EngineRecovery, AJobDuringWhichTheProgramDiesEachTimeIsGivenUp) {
  Engine::Options options;
  options.attempts_max = 3;
  std::string id;
  {
    EngineRig first(spool(0), options);
    id = first.submit("killer");
    first.engine->resume();
    EXPECT_EQ(first.attempts.next().attempts, 1u);
    copy(0, 1);
    first.finish(id);
  }
  for (int i = 1; i < 3; ++i) {
    EngineRig again(spool(i), options);
    again.engine->resume();
    EXPECT_EQ(again.attempts.next().attempts, static_cast<unsigned>(i) + 1);
    copy(i, i + 1);
    again.finish(id);
  }
  EngineRig last(spool(3), options);
  const std::string innocent = last.submit("innocent");
  test::Answer<JobRecord> waiter;
  last.engine->wait(id, test::k_patience, waiter.reply());
  last.engine->resume();
  const JobRecord given_up = waiter.get().value();
  EXPECT_EQ(given_up.state, JobState::failed);
  EXPECT_EQ(given_up.error.value().code, "gave-up");
  EXPECT_EQ(given_up.error->limit, api::amount(3));
  EXPECT_EQ(last.record_on_disk(id), given_up);
  EXPECT_FALSE(last.has("jobs/" + id + "/input"));
  EXPECT_EQ(last.attempts.next().id, innocent) << "and the others go on";
  last.finish(innocent);
}

TEST_F(EngineRecovery, AnOrderlyRestartWhileMemoryIsShortCountsNoAttempt) {
  Engine::Options options;
  options.attempts_max = 2;
  std::string id;
  for (int i = 0; i < 6; ++i) {
    EngineRig rig(spool(0), options);
    if (i == 0) id = rig.submit("patient");
    rig.engine->resume();
    const JobRecord attempt = rig.attempts.next();
    EXPECT_EQ(attempt.id, id);
    EXPECT_EQ(attempt.attempts, 1u);
    rig.engine->yielded(id);
  }
  EngineRig rig(spool(0), options);
  rig.engine->resume();
  rig.attempts.next();
  rig.finish(id);
  EXPECT_EQ(rig.get(id).value().state, JobState::done);
}

TEST_F(EngineRecovery, ABrokenRecordIsPutAsideAndTheOthersAreKept) {
  std::string broken, whole;
  {
    EngineRig before(spool(0));
    broken = before.submit("one");
    whole = before.submit("two");
  }
  std::filesystem::resize_file(spool(0) / "jobs" / broken / "record", 20);
  EngineRig after(spool(0));
  EXPECT_THAT(after.list(10), ElementsAre(whole));
  EXPECT_EQ(after.engine->counts().quarantined, 1u);
  EXPECT_TRUE(after.has("quarantine/" + broken + ".0/record"));
  after.engine->resume();
  EXPECT_EQ(after.attempts.next().id, whole);
  after.finish(whole);
}

TEST_F(EngineRecovery, AnImageThatChangedOnTheDiskIsNotWorkedOn) {
  std::string id;
  {
    EngineRig before(spool(0));
    id = before.submit("pixels");
  }
  std::ofstream(spool(0) / "jobs" / id / "input", std::ios::binary | std::ios::trunc) << "pixelz";
  EngineRig after(spool(0));
  after.engine->resume();
  const JobRecord attempt = after.attempts.next();
  const auto read = after.read_input(attempt);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().status, 500u);
  Finished outcome;
  outcome.error = read.error();
  after.end(id, std::move(outcome));
  EXPECT_EQ(after.get(id).value().state, JobState::failed);
}

TEST_F(EngineRecovery, ASpoolThatIsInUseIsRefused) {
  const EngineRig rig(spool(0));
  const auto second = open_posix_disk(spool(0).string());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), std::errc::device_or_resource_busy);
}

}  // namespace
}  // namespace histod::daemon::jobs
