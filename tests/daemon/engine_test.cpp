// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/engine.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/engine_rig.hpp"

namespace histod::daemon::jobs {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::bytes_of;
using test::EngineRig;
using test::k_patience;
using testing::ElementsAre;
using testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  EngineRig& open(const Engine::Options& options = {}, std::uint64_t budget_bytes = 1u << 30) {
    rig_.emplace(folder_.path() / "spool", options, budget_bytes);
    return *rig_;
  }

 private:
  test::TemporaryFolder folder_;
  std::optional<EngineRig> rig_;
};

Engine::Options with_queue(std::size_t queued_max) {
  Engine::Options options;
  options.queued_max = queued_max;
  return options;
}

Finished failure(std::string code) {
  Finished outcome;
  outcome.error.emplace();
  outcome.error->status = 422;
  outcome.error->code = std::move(code);
  return outcome;
}

TEST_F(EngineTest, AJobGoesFromItsBytesToItsResult) {
  EngineRig& rig = open();
  const auto submitted = rig.submit({{{"rule", "exact"}}, bytes_of("pixels"), bytes_of("mask!"), "a.png", ""});
  ASSERT_TRUE(submitted);
  const std::string id = submitted->record.id;
  EXPECT_TRUE(is_ulid(id));
  EXPECT_FALSE(submitted->replayed);
  EXPECT_EQ(submitted->record.state, JobState::queued);
  EXPECT_EQ(submitted->record.created_ms, EngineRig::k_start_ms);
  EXPECT_EQ(submitted->record.input.sha256, sha256_hex("pixels"));
  EXPECT_EQ(submitted->record.input.mask_sha256, sha256_hex("mask!"));
  EXPECT_EQ(rig.record_on_disk(id), submitted->record);
  EXPECT_EQ(rig.file("jobs/" + id + "/input"), "pixels");
  EXPECT_EQ(rig.file("jobs/" + id + "/mask"), "mask!");
  EXPECT_EQ(rig.attempts.waiting(), 0u) << "nothing is begun before resume()";

  rig.now_ms += 10;
  rig.engine->resume();
  const JobRecord attempt = rig.attempts.next();
  EXPECT_EQ(attempt.id, id);
  EXPECT_EQ(attempt.attempts, 1u);
  EXPECT_EQ(rig.record_on_disk(id), attempt) << "the attempt is on the disk before it begins";
  EXPECT_EQ(attempt.started_ms, EngineRig::k_start_ms + 10);
  std::string input(6, '\0'), mask(5, '\0');
  Answer<void> read;
  rig.engine->read_input(attempt, std::as_writable_bytes(std::span(input)), std::as_writable_bytes(std::span(mask)),
                         read.reply());
  ASSERT_TRUE(read.get());
  EXPECT_EQ(input, "pixels");
  EXPECT_EQ(mask, "mask!");

  rig.now_ms += 10;
  rig.finish(id, "the result");
  const JobRecord done = rig.get(id).value();
  EXPECT_EQ(done.state, JobState::done);
  EXPECT_EQ(done.finished_ms, EngineRig::k_start_ms + 20);
  EXPECT_EQ(done.result.value().bytes, 10u);
  EXPECT_EQ(done.input.width, 4u);
  EXPECT_EQ(done.program_version, "1.2.3");
  EXPECT_EQ(rig.record_on_disk(id), done);
  EXPECT_EQ(rig.file("jobs/" + id + "/result"), "the result");
  EXPECT_FALSE(rig.has("jobs/" + id + "/input"));
  EXPECT_FALSE(rig.has("jobs/" + id + "/mask"));
  std::string result(10, '\0');
  ASSERT_TRUE(rig.read_result(id, std::as_writable_bytes(std::span(result))));
  EXPECT_EQ(result, "the result");
}

TEST_F(EngineTest, AFailedAttemptIsKeptWithItsReason) {
  EngineRig& rig = open();
  const std::string id = rig.submit("broken");
  rig.engine->resume();
  rig.attempts.next();
  rig.end(id, failure("broken-image"));
  const JobRecord record = rig.get(id).value();
  EXPECT_EQ(record.state, JobState::failed);
  EXPECT_EQ(record.error.value().code, "broken-image");
  EXPECT_FALSE(record.result);
  EXPECT_EQ(rig.record_on_disk(id), record);
  EXPECT_FALSE(rig.has("jobs/" + id + "/input"));
}

TEST_F(EngineTest, TheSameKeyAndRequestAreTheSameJob) {
  EngineRig& rig = open();
  const NewJob job{{{"rule", "exact"}}, bytes_of("pixels"), {}, "a.png", "key-1"};
  const auto first = rig.submit(job);
  const auto again = rig.submit({job.options, bytes_of("pixels"), {}, "other-name.png", "key-1"});
  ASSERT_TRUE(first && again);
  EXPECT_FALSE(first->replayed);
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->record.id, first->record.id);
  EXPECT_EQ(rig.list(10).size(), 1u);
  rig.settle();
  EXPECT_EQ(rig.engine->counts().submitted, 1u);
  EXPECT_EQ(rig.engine->counts().replayed, 1u);
}

TEST_F(EngineTest, TheSameKeyWithAnotherRequestIsAConflict) {
  EngineRig& rig = open();
  const auto first = rig.submit({{{"rule", "exact"}}, bytes_of("pixels"), {}, "", "key"});
  ASSERT_TRUE(first);
  const NewJob others[] = {{{{"rule", "exact"}}, bytes_of("pixelz"), {}, "", "key"},
                           {{{"rule", "vips"}}, bytes_of("pixels"), {}, "", "key"},
                           {{}, bytes_of("pixels"), {}, "", "key"},
                           {{{"rule", "exact"}}, bytes_of("pixels"), bytes_of("mask"), "", "key"}};
  for (const NewJob& other : others) {
    const auto refused = rig.submit(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().status, 409u);
    EXPECT_EQ(refused.error().code, "conflict");
    EXPECT_THAT(refused.error().detail, HasSubstr(first->record.id));
  }
  EXPECT_EQ(rig.list(10).size(), 1u);
}

TEST_F(EngineTest, WithoutAKeyEachRequestIsAJobAndARemovedJobFreesItsKey) {
  EngineRig& rig = open();
  EXPECT_NE(rig.submit("pixels"), rig.submit("pixels"));
  const auto keyed = rig.submit({{}, bytes_of("one"), {}, "", "key"});
  ASSERT_TRUE(keyed && rig.remove(keyed->record.id));
  const auto next = rig.submit({{}, bytes_of("two"), {}, "", "key"});
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->replayed);
}

TEST_F(EngineTest, AFullQueueIsA503ThatSaysTheLimitAndStillReplays) {
  EngineRig& rig = open(with_queue(2));
  ASSERT_TRUE(rig.submit({{}, bytes_of("1"), {}, "", "key"}));
  rig.submit("2");
  const auto refused = rig.submit({{}, bytes_of("3"), {}, "", ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 503u);
  EXPECT_EQ(refused.error().code, "overloaded");
  EXPECT_EQ(refused.error().limit, api::amount(2));
  EXPECT_EQ(rig.list(10).size(), 2u);
  const auto replayed = rig.submit({{}, bytes_of("1"), {}, "", "key"});
  ASSERT_TRUE(replayed);
  EXPECT_TRUE(replayed->replayed);
}

TEST_F(EngineTest, RemovingAQueuedJobLeavesNothingOfIt) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  const std::string other = rig.submit("two");
  Answer<JobRecord> waiter;
  rig.engine->wait(id, k_patience, waiter.reply());
  ASSERT_TRUE(rig.remove(id));
  EXPECT_EQ(waiter.get().value().state, JobState::cancelled);
  EXPECT_FALSE(rig.has("jobs/" + id));
  EXPECT_EQ(rig.get(id).error().status, 404u);
  EXPECT_EQ(rig.remove(id).error().status, 404u);
  rig.engine->resume();
  EXPECT_EQ(rig.attempts.next().id, other);
  rig.finish(other);
  EXPECT_EQ(rig.attempts.waiting(), 0u);
}

TEST_F(EngineTest, RemovingARunningJobIgnoresWhatItsAttemptLeaves) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  const JobRecord attempt = rig.attempts.next();
  Answer<JobRecord> waiter;
  rig.engine->wait(id, k_patience, waiter.reply());
  ASSERT_TRUE(rig.remove(id));
  EXPECT_EQ(waiter.get().value().state, JobState::cancelled);
  EXPECT_FALSE(rig.read_input(attempt)) << "the attempt may still ask for its image";
  rig.finish(id);
  EXPECT_EQ(rig.get(id).error().status, 404u);
  EXPECT_FALSE(rig.has("jobs/" + id));
  rig.settle();
  EXPECT_EQ(rig.engine->counts().running + rig.engine->counts().done, 0u);
  EXPECT_EQ(rig.engine->usage().bytes, 0u);
}

TEST_F(EngineTest, ARemovedJobWhoseAttemptYieldsIsNotTriedAgain) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.next();
  ASSERT_TRUE(rig.remove(id));
  rig.engine->yielded(id);
  rig.now_ms += 10 * test::k_put_off_ms;
  rig.settle();
  EXPECT_EQ(rig.attempts.waiting(), 0u);
}

TEST_F(EngineTest, AJobThatYieldsIsTriedAgainFirstALittleLaterAndWithoutCountingIt) {
  Engine::Options options;
  options.running_max = 1;
  EngineRig& rig = open(options);
  const std::string id = rig.submit("one");
  const std::string second = rig.submit("two");
  rig.engine->resume();
  for (int i = 0; i < 10; ++i) {
    const JobRecord attempt = rig.attempts.next();
    EXPECT_EQ(attempt.id, id);
    EXPECT_EQ(attempt.attempts, 1u);
    rig.engine->yielded(id);
    rig.settle();
    EXPECT_EQ(rig.get(id).value().state, JobState::queued);
    EXPECT_EQ(rig.attempts.waiting(), 0u) << "not before its time";
    rig.now_ms += test::k_put_off_ms;
  }
  EXPECT_EQ(rig.attempts.next().id, id);
  rig.finish(id);
  EXPECT_EQ(rig.get(id).value().attempts, 1u);
  EXPECT_EQ(rig.attempts.next().id, second);
  rig.finish(second);
}

TEST_F(EngineTest, ARetryIsNotLostWhenTheClockIsSetBack) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.next();
  rig.engine->yielded(id);
  rig.settle();
  rig.now_ms -= 3'600'000;
  EXPECT_EQ(rig.attempts.next().id, id);
  rig.finish(id);
}

TEST_F(EngineTest, NoMoreAttemptsThanAllowedRunAtOneTime) {
  Engine::Options options;
  options.running_max = 2;
  EngineRig& rig = open(options);
  const std::string ids[] = {rig.submit("1"), rig.submit("2"), rig.submit("3"), rig.submit("4")};
  rig.engine->resume();
  EXPECT_EQ(rig.attempts.next().id, ids[0]);
  EXPECT_EQ(rig.attempts.next().id, ids[1]);
  rig.settle();
  EXPECT_EQ(rig.attempts.waiting(), 0u);
  EXPECT_EQ(rig.engine->counts().running, 2u);
  EXPECT_EQ(rig.engine->counts().queued, 2u);
  rig.finish(ids[1]);
  EXPECT_EQ(rig.attempts.next().id, ids[2]);
  rig.settle();
  EXPECT_EQ(rig.attempts.waiting(), 0u);
  rig.finish(ids[0]);
  EXPECT_EQ(rig.attempts.next().id, ids[3]);
  rig.finish(ids[2]);
  rig.finish(ids[3]);
}

TEST_F(EngineTest, AJobThatNobodyTakesIsOfferedAgain) {
  EngineRig& rig = open();
  rig.attempts.accept(false);
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.await_offers(1);
  rig.settle();
  EXPECT_EQ(rig.get(id).value().state, JobState::queued);
  rig.attempts.accept(true);
  rig.now_ms += test::k_put_off_ms;
  EXPECT_EQ(rig.attempts.next().attempts, 1u);
  rig.finish(id);
}

TEST_F(EngineTest, WaitersAreAnsweredAtTheEndAndAtTheirDeadline) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  Answer<JobRecord> patient, hasty, lost, late;
  rig.engine->wait(id, milliseconds(30'000), patient.reply());
  rig.engine->wait(id, milliseconds(1'000), hasty.reply());
  rig.engine->wait("01ARZ3NDEKTSV4RRFFQ69G5FAV", milliseconds(1'000), lost.reply());
  EXPECT_EQ(lost.get().error().status, 404u);
  rig.now_ms += 999;
  rig.settle();
  EXPECT_FALSE(hasty.is_there());
  rig.now_ms += 1;
  rig.settle();
  EXPECT_EQ(hasty.get().value().state, JobState::queued);
  EXPECT_FALSE(patient.is_there());
  rig.engine->resume();
  rig.attempts.next();
  rig.settle();
  EXPECT_FALSE(patient.is_there()) << "a job that runs has not ended";
  rig.finish(id);
  EXPECT_EQ(patient.get().value().state, JobState::done);
  rig.engine->wait(id, milliseconds(30'000), late.reply());
  EXPECT_EQ(late.get().value().state, JobState::done);
}

TEST_F(EngineTest, ResultsExpireAndWhatIsUnfinishedDoesNot) {
  Engine::Options options;
  options.result_ttl = milliseconds(1'000);
  EngineRig& rig = open(options);
  const auto done = rig.submit({{}, bytes_of("1"), {}, "", "key"});
  const std::string id = done.value().record.id;
  rig.engine->resume();
  rig.attempts.next();
  rig.now_ms += 500;
  rig.finish(id);
  const std::string running = rig.submit("2");
  rig.attempts.next();
  rig.now_ms += 999;
  rig.settle();
  EXPECT_TRUE(rig.get(id)) << "the time runs from the end of the job, not from its beginning";
  rig.now_ms += 1'000;  // the engine looks once a second
  rig.settle();
  EXPECT_EQ(rig.get(id).error().status, 404u);
  EXPECT_FALSE(rig.has("jobs/" + id));
  rig.settle();
  EXPECT_EQ(rig.engine->counts().expired, 1u);
  rig.now_ms += 1'000'000;
  rig.settle();
  EXPECT_EQ(rig.get(running).value().state, JobState::running);
  EXPECT_FALSE(rig.submit({{}, bytes_of("other"), {}, "", "key"}).value().replayed) << "the key is free again";
  rig.finish(running);
  rig.finish(rig.attempts.next().id);
}

TEST_F(EngineTest, ListsTheNewestFirstByStateAndUpToALimit) {
  EngineRig& rig = open();
  const std::string a = rig.submit("a"), b = rig.submit("b"), c = rig.submit("c");
  EXPECT_THAT(rig.list(10), ElementsAre(c, b, a));
  EXPECT_THAT(rig.list(2), ElementsAre(c, b));
  EXPECT_TRUE(rig.list(10, JobState::done).empty());
  rig.engine->resume();
  rig.attempts.next();
  rig.attempts.next();
  rig.finish(a);
  rig.finish(b);
  rig.attempts.next();
  EXPECT_THAT(rig.list(10, JobState::done), ElementsAre(b, a));
  EXPECT_THAT(rig.list(1, JobState::done), ElementsAre(b));
  EXPECT_THAT(rig.list(10, JobState::running), ElementsAre(c));
  rig.finish(c);
}

TEST_F(EngineTest, NamesThatAreNoIdsAreJustUnknown) {
  EngineRig& rig = open();
  for (const char* id : {"", "..", "../../etc/passwd", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "\xff\n"}) {
    std::byte nothing[1];
    EXPECT_EQ(rig.get(id).error().status, 404u) << id;
    EXPECT_EQ(rig.remove(id).error().status, 404u) << id;
    EXPECT_EQ(rig.read_result(id, nothing).error().status, 404u) << id;
  }
}

TEST_F(EngineTest, AResultThatIsNotThereOrOfAnotherSizeIsAnError) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  std::byte into[4];
  EXPECT_EQ(rig.read_result(id, into).error().status, 500u);
  rig.engine->resume();
  rig.attempts.next();
  rig.finish(id, "12345");
  EXPECT_EQ(rig.read_result(id, into).error().status, 500u);
}

TEST_F(EngineTest, AFullMailboxAnswersAtOnceAndAttemptsStillGetThrough) {
  Engine::Options options;
  options.mailbox_messages = 3;
  EngineRig& rig = open(options);
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.next();
  rig.attempts.hold(true);
  const std::string second = rig.submit("two");
  rig.attempts.await_offers(2);  // the engine's thread is in dispatch() now and reads nothing
  std::vector<Answer<JobRecord>> taken(3);
  for (auto& answer : taken) rig.engine->get(id, answer.reply());
  Answer<JobRecord> refused;
  rig.engine->get(id, refused.reply());
  ASSERT_TRUE(refused.is_there());
  const auto problem = refused.get().error();
  EXPECT_EQ(problem.status, 503u);
  EXPECT_EQ(problem.limit, api::amount(3));
  Answer<Submitted> submit_refused;
  rig.engine->submit({{}, bytes_of("x"), {}, "", ""}, submit_refused.reply());
  EXPECT_EQ(submit_refused.get().error().status, 503u);
  std::promise<void> stored;
  rig.engine->finished(id, failure("broken-image"), [&stored] { stored.set_value(); });
  rig.attempts.hold(false);
  for (auto& answer : taken) EXPECT_TRUE(answer.get());
  ASSERT_EQ(stored.get_future().wait_for(k_patience), std::future_status::ready);
  EXPECT_EQ(rig.get(id).value().state, JobState::failed);
  EXPECT_EQ(rig.attempts.next().id, second);
  rig.finish(second);
}

TEST_F(EngineTest, DrainingBeginsNothingEndsWhatRunsAndAnswersWhoWaits) {
  Engine::Options options;
  options.running_max = 1;
  EngineRig& rig = open(options);
  const std::string running = rig.submit("one"), queued = rig.submit("two");
  rig.engine->resume();
  rig.attempts.next();
  Answer<JobRecord> waiter, late;
  rig.engine->wait(queued, milliseconds(3'600'000), waiter.reply());
  rig.engine->drain();
  EXPECT_EQ(waiter.get().value().state, JobState::queued);
  rig.engine->wait(queued, milliseconds(3'600'000), late.reply());
  EXPECT_EQ(late.get().value().state, JobState::queued) << "nobody waits for a job that is not going to be begun";
  auto stopped = std::async(std::launch::async, [&] { rig.engine->stop(); });
  rig.finish(running, "kept");
  ASSERT_EQ(stopped.wait_for(k_patience), std::future_status::ready);
  EXPECT_EQ(rig.attempts.waiting(), 0u);
  EXPECT_EQ(rig.record_on_disk(running).state, JobState::done);
  EXPECT_EQ(rig.file("jobs/" + running + "/result"), "kept");
  EXPECT_EQ(rig.record_on_disk(queued).state, JobState::queued);
  EXPECT_EQ(rig.file("jobs/" + queued + "/input"), "two");
}

TEST_F(EngineTest, StoppingWaitsForAnAttemptThatYields) {
  EngineRig& rig = open();
  const std::string id = rig.submit("one");
  rig.engine->resume();
  rig.attempts.next();
  rig.engine->drain();
  auto stopped = std::async(std::launch::async, [&] { rig.engine->stop(); });
  rig.engine->yielded(id);
  ASSERT_EQ(stopped.wait_for(k_patience), std::future_status::ready);
  const JobRecord record = rig.record_on_disk(id);
  EXPECT_EQ(record.state, JobState::queued);
  EXPECT_EQ(record.attempts, 0u) << "an attempt that was put off does not count after a restart";
}

}  // namespace
}  // namespace histod::daemon::jobs
