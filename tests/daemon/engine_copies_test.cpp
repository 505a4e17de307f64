// SPDX-License-Identifier: Apache-2.0
// Copies of other nodes' jobs, and the engine without a thread, which holds them in most of these tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/step_node.hpp"

namespace histod::daemon::jobs {
namespace {

using test::ByOwner;
using test::bytes_of;
using test::Ids;
using test::jobs_of_another;
using test::k_a;
using test::k_b;
using test::k_c;
using test::MemoryDisk;
using test::Sent;
using Node = test::StepNode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(EngineCopies, AreKeptAndNotWorkedOnListedOrExpired) {
  Engine::Options options;
  options.result_ttl = std::chrono::milliseconds(1'000);
  Node node(std::make_unique<MemoryDisk>(), options);
  node.engine.resume();
  Sent job = jobs_of_another(1, "mask").front();
  job.record.state = JobState::done;
  job.record.attempts = 3;
  job.record.holder = k_b;
  job.record.result = JobResult{5, "image/png", "png", "sha-256=00"};
  ASSERT_TRUE(node.hold(job.record, k_a, job.input, job.mask));
  const std::string id = job.record.id;
  EXPECT_THAT(node.copies(), ElementsAre(Pair(k_a, ElementsAre(id))));
  const JobRecord kept = node.on_disk(id);
  EXPECT_EQ(kept.state, JobState::queued);
  EXPECT_EQ(kept.attempts, 0u);
  EXPECT_EQ(kept.holder, "");
  EXPECT_FALSE(kept.result);
  EXPECT_EQ(kept.owner, k_a);
  EXPECT_EQ(kept.options, job.record.options);
  EXPECT_EQ(kept.input, job.record.input);
  EXPECT_EQ(kept.created_ms, job.record.created_ms);
  EXPECT_EQ(node.file(id, "input"), job.input);
  EXPECT_EQ(node.file(id, "mask"), job.mask);
  node.now_ms += 3'600'000;
  node.engine.step();
  EXPECT_EQ(node.get(id).error().status, 404u);
  EXPECT_THAT(node.ask<std::vector<JobRecord>>(&Engine::list, 10, std::nullopt).value(), IsEmpty());
  EXPECT_THAT(node.own_ids(), IsEmpty());
  EXPECT_THAT(node.uncopied({}), IsEmpty());
  EXPECT_EQ(node.ask<void>(&Engine::remove, id).error().status, 404u);
  EXPECT_THAT(node.begun, IsEmpty());
  EXPECT_THAT(node.copies(), ElementsAre(Pair(k_a, ElementsAre(id))));
  EXPECT_EQ(node.engine.counts().copies, 1u);
  EXPECT_EQ(node.engine.counts().queued, 0u);
  EXPECT_EQ(node.engine.counts().expired, 0u);
}

TEST(EngineCopies, TheSameAgainWritesNothingAndAnotherOwnerReplacesTheFirst) {
  Node node;
  const Sent job = jobs_of_another(1).front();
  ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  const std::uint64_t calls = node.disk->calls;
  ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  EXPECT_EQ(node.disk->calls, calls);
  ASSERT_TRUE(node.hold(job.record, k_b, job.input));
  EXPECT_THAT(node.copies(), ElementsAre(Pair(k_b, ElementsAre(job.record.id))));
  EXPECT_EQ(node.on_disk(job.record.id).owner, k_b);
  EXPECT_EQ(node.adopt(k_a).value(), 0u);
  Sent other = job;
  other.record.input.sha256 = sha256_hex("another");
  EXPECT_EQ(node.hold(other.record, k_b, job.input).error().code, "conflict");
}

TEST(EngineCopies, WhatDoesNotFitIsRefused) {
  Engine::Options options;
  options.kept_max = 2;
  Node node(std::make_unique<MemoryDisk>(), options, 8'000);
  const auto sent = jobs_of_another(3, "mask");
  EXPECT_EQ(node.hold(sent[0].record, "", sent[0].input, "mask").error().status, 400u) << "no owner";
  EXPECT_EQ(node.hold(sent[0].record, k_a, "image ", "mask").error().status, 400u) << "too short";
  EXPECT_EQ(node.hold(sent[0].record, k_a, "image X", "mask").error().status, 400u) << "another digest";
  EXPECT_EQ(node.hold(sent[0].record, k_a, sent[0].input, "mesk").error().status, 400u);
  EXPECT_EQ(node.hold(sent[0].record, k_a, sent[0].input).error().status, 400u) << "no mask";
  Sent strange = sent[0];
  strange.record.id = "../../etc/passwd";
  EXPECT_EQ(node.hold(strange.record, k_a, strange.input, "mask").error().status, 400u);
  const JobRecord own = node.submit("mine");
  EXPECT_EQ(node.hold(own, k_a, "mine").error().code, "conflict");
  Sent large = sent[1];
  large.input = std::string(8'000, 'x');
  large.record.input.bytes = large.input.size();
  large.record.input.sha256 = sha256_hex(large.input);
  EXPECT_EQ(node.hold(large.record, k_a, large.input, "mask").error().status, 507u);
  EXPECT_THAT(node.copies(), IsEmpty());
  ASSERT_TRUE(node.hold(sent[0].record, k_a, sent[0].input, "mask"));
  EXPECT_EQ(node.hold(sent[1].record, k_a, sent[1].input, "mask").error().limit, api::amount(2));
  EXPECT_EQ(node.ask<Submitted>(&Engine::submit, NewJob{{}, bytes_of("more"), {}, "", ""}).error().status, 507u)
      << "jobs and copies are kept together";
}

TEST(EngineCopies, AreReleasedWithTheirFiles) {
  Node node;
  const auto sent = jobs_of_another(40);
  Ids ids;
  for (const Sent& job : sent) {
    ASSERT_TRUE(node.hold(job.record, k_a, job.input));
    ids.push_back(job.record.id);
  }
  const JobRecord own = node.submit("mine");
  const std::string kept = ids.back();
  ids.back() = own.id;
  ids.push_back("no id");
  ASSERT_TRUE(node.ask<void>(&Engine::release, ids));
  EXPECT_THAT(node.copies(), ElementsAre(Pair(k_a, ElementsAre(kept))));
  EXPECT_TRUE(node.get(own.id)) << "an own job is no copy";
  EXPECT_EQ(node.spool.usage().jobs, 2u);
  EXPECT_TRUE(node.ask<void>(&Engine::release, Ids{}));
}

TEST(EngineCopies, ALostNodesJobsAreAdoptedInOrderWhateverMayBeQueued) {
  Engine::Options options;
  options.queued_max = 1;
  Node node(std::make_unique<MemoryDisk>(), options);
  const auto lost = jobs_of_another(40, "mask"), others = jobs_of_another(2);
  for (const Sent& job : lost) ASSERT_TRUE(node.hold(job.record, k_a, job.input, job.mask));
  for (const Sent& job : others) ASSERT_TRUE(node.hold(job.record, k_b, job.input));
  EXPECT_EQ(node.adopt(k_a).value(), 40u);
  EXPECT_EQ(node.adopt(k_a).value(), 0u);
  EXPECT_EQ(node.copies().size(), 1u);
  EXPECT_EQ(node.copies()[k_b].size(), 2u);
  EXPECT_EQ(node.own_ids().size(), 40u);
  EXPECT_EQ(node.engine.counts().adopted, 40u);
  EXPECT_EQ(node.engine.counts().queued, 40u);
  node.engine.resume();
  for (const Sent& job : lost) {
    node.engine.step();
    ASSERT_FALSE(node.begun.empty());
    const JobRecord attempt = node.begun.front();
    node.begun.pop_front();
    EXPECT_EQ(attempt.id, job.record.id);
    EXPECT_EQ(attempt.owner, "");
    std::string input(job.input.size(), '\0'), mask(job.mask.size(), '\0');
    ASSERT_TRUE(node.ask<void>(&Engine::read_input, attempt, std::as_writable_bytes(std::span(input)),
                               std::as_writable_bytes(std::span(mask))));
    EXPECT_EQ(input + mask, job.input + job.mask);
    node.finish(attempt.id);
    EXPECT_EQ(node.get(attempt.id).value().state, JobState::done);
    const auto late = node.ask<void>(&Engine::read_own, attempt, std::as_writable_bytes(std::span(input)),
                                     std::as_writable_bytes(std::span(mask)));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().status, 404u) << "its image is no longer needed: no trouble with the disk";
  }
}

TEST(EngineCopies, AnAdoptedJobAnswersToItsKey) {
  Node owner, holder;
  const JobRecord keyed = owner.submit("image", {}, {}, "key");
  ASSERT_TRUE(holder.hold(keyed, k_a, "image"));
  // While it is a copy, its key is that of nobody here.
  const JobRecord younger = holder.submit("image", {}, {}, "key");
  EXPECT_NE(younger.id, keyed.id);
  EXPECT_EQ(holder.adopt(k_a).value(), 1u);
  EXPECT_EQ(holder.submit("image", {}, {}, "key").id, younger.id);
  EXPECT_TRUE(holder.ask<void>(&Engine::remove, keyed.id));
  EXPECT_EQ(holder.submit("image", {}, {}, "key").id, younger.id) << "the key is still that of the other";

  Node second;
  ASSERT_TRUE(second.hold(keyed, k_a, "image"));
  EXPECT_EQ(second.adopt(k_a).value(), 1u);
  EXPECT_EQ(second.submit("image", {}, {}, "key").id, keyed.id);
}

TEST(EngineCopies, ImagesOfADatasetThatIsNotKnownHereStayCopiesUntilItIsToldThatItIsRemoved) {
  Node owner, holder;
  const JobRecord image = owner.submit("image", {}, owner.create_dataset());
  const JobRecord plain = owner.submit("plain");
  ASSERT_TRUE(holder.hold(image, k_a, "image"));
  ASSERT_TRUE(holder.hold(plain, k_a, "plain"));
  EXPECT_EQ(holder.adopt(k_a).value(), 1u);
  EXPECT_THAT(holder.copies(), ElementsAre(Pair(k_a, ElementsAre(image.id))));
  EXPECT_THAT(holder.own_ids(), ElementsAre(plain.id));
  EXPECT_EQ(holder.on_disk(image.id).owner, k_a);
  ASSERT_TRUE(holder.ask<void>(&Engine::release_images, std::set<std::string>{"another"}));
  EXPECT_EQ(holder.copies().size(), 1u);
  ASSERT_TRUE(holder.ask<void>(&Engine::release_images, std::set<std::string>{image.dataset}));
  EXPECT_THAT(holder.copies(), IsEmpty());
}

TEST(EngineCopies, WhatIsOwnedIsTold) {
  Node node;
  const Sent copy = jobs_of_another(1).front();
  ASSERT_TRUE(node.hold(copy.record, k_a, copy.input));
  const std::string first = node.submit("one").id, second = node.submit("two").id;
  EXPECT_THAT(node.own_ids(), ElementsAre(first, second));
  EXPECT_THAT(node.ask<Ids>(&Engine::owned, Ids{second, copy.record.id, "no id", first}).value(),
              ElementsAre(second, first));
}

TEST(EngineCopies, JobsThatWereTakenOverAreGoneAndWhoeverWaitsIsAnswered) {
  Node node;
  const JobRecord running = node.submit("one"), queued = node.submit("two", {}, {}, "key"),
                  other = node.submit("three");
  node.engine.resume();
  node.engine.step();
  ASSERT_EQ(node.begun.size(), 2u);
  std::optional<Outcome<JobRecord>> waited;
  node.engine.wait(running.id, std::chrono::hours(1), [&](Outcome<JobRecord> record) { waited = std::move(record); });
  ASSERT_TRUE(node.ask<void>(&Engine::disown, Ids{running.id, "no id", queued.id}));
  EXPECT_EQ(waited.value().value().state, JobState::running) << "it is not cancelled: another node goes on with it";
  EXPECT_THAT(node.own_ids(), ElementsAre(other.id));
  EXPECT_EQ(node.get(running.id).error().status, 404u);
  EXPECT_FALSE(node.disk->exists("jobs/" + running.id));
  EXPECT_EQ(node.engine.counts().disowned, 2u);
  EXPECT_EQ(node.hold(running, k_b, "one").error().status, 503u) << "its attempt here has not ended";
  node.finish(running.id);
  EXPECT_FALSE(node.disk->exists("jobs/" + running.id));
  EXPECT_TRUE(node.hold(running, k_b, "one"));
  EXPECT_NE(node.submit("two", {}, {}, "key").id, queued.id);
}

TEST(EngineCopies, WhoLetsGoOfAJobWasPerhapsWhoHadItsCopy) {
  Node node;
  const std::string id = node.submit("one").id;
  node.engine.copied(id, k_b);
  node.engine.resume();
  node.engine.step();
  ASSERT_EQ(node.on_disk(id).holder, k_b);
  EXPECT_THAT(node.ask<Ids>(&Engine::keep, Ids{id}, std::string(k_c)).value(), ElementsAre(id));
  EXPECT_EQ(node.on_disk(id).holder, k_b);
  EXPECT_THAT(node.ask<Ids>(&Engine::keep, Ids{id}, std::string(k_b)).value(), ElementsAre(id));
  EXPECT_EQ(node.on_disk(id).holder, "") << "also after a restart it is known that there is no copy";
  node.engine.copied(id, k_b);
  node.disk->fail_at = node.disk->calls;
  EXPECT_EQ(node.ask<Ids>(&Engine::keep, Ids{id}, std::string(k_b)).error().status, 500u) << "nothing is promised";
}

TEST(EngineCopies, WhatAClientRemovesAfterItWasTakenOverIsKnownToBeGone) {
  const auto sent = jobs_of_another(3);
  const std::string removed = sent[0].record.id, let_go = sent[1].record.id, still = sent[2].record.id;
  const auto kept_by = [&](Node& node) {
    return node.ask<Ids>(&Engine::keep, Ids{removed, let_go, still}, std::string(k_a)).value();
  };
  Node node;
  for (const Sent& job : sent) ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  ASSERT_EQ(node.adopt(k_a).value(), 3u);
  EXPECT_EQ(node.on_disk(still).former, k_a);
  ASSERT_TRUE(node.ask<void>(&Engine::remove, removed));
  ASSERT_TRUE(node.ask<void>(&Engine::disown, Ids{let_go}));
  const std::string own = node.submit("own").id;
  ASSERT_TRUE(node.ask<void>(&Engine::remove, own));
  EXPECT_THAT(node.ask<Ids>(&Engine::keep, Ids{own}, std::string(k_a)).value(), IsEmpty()) << "nobody else ever had it";
  EXPECT_THAT(node.ask<Ids>(&Engine::owned, Ids{removed, still}).value(), ElementsAre(still));
  Node again(node.disk->after_power_loss(false));
  EXPECT_THAT(kept_by(again), ElementsAre(removed, still)) << "who had it before lets go of it";
  ASSERT_TRUE(again.hold(sent[0].record, k_b, sent[0].input));
  EXPECT_EQ(again.adopt(k_b).value(), 0u);
  EXPECT_THAT(again.copies(), IsEmpty());
}

TEST(EngineCopies, ARemovalElsewhereTakesTheCopyAndTheJob) {
  const auto sent = jobs_of_another(2);
  Node node;
  ASSERT_TRUE(node.hold(sent[0].record, k_a, sent[0].input));
  ASSERT_EQ(node.adopt(k_a).value(), 1u);
  ASSERT_TRUE(node.hold(sent[1].record, k_a, sent[1].input));
  const std::string removed = node.submit("own").id, other = node.submit("other").id;
  for (const std::string& id : {sent[0].record.id, sent[1].record.id, removed, jobs_of_another(1).front().record.id})
    EXPECT_TRUE(node.ask<void>(&Engine::removed_elsewhere, id));
  EXPECT_THAT(node.own_ids(), ElementsAre(other));
  EXPECT_THAT(node.copies(), IsEmpty());
}

TEST(EngineCopies, ADisownedImageIsTakenOutOfItsDataset) {
  Node node;
  const std::string dataset = node.create_dataset();
  std::vector<std::uint8_t> samples{1, 2, 2, 3};
  compute::Arena arena({.cpus = {}, .threads = 1});
  compute::EqualizePage page;
  page.image = {reinterpret_cast<std::byte*>(samples.data()), 4, 1, 4, {}};
  const auto tally = compute::tally_of(std::span(&page, 1), {}, arena).value().to_bytes();
  const std::string first = node.submit("one", {}, dataset).id, second = node.submit("two", {}, dataset).id;
  node.engine.resume();
  node.engine.step();
  for (const std::string& id : {first, second}) {
    Finished outcome;
    outcome.tally = tally;
    node.end(id, std::move(outcome));
  }
  const auto images = [&] { return node.ask<Share>(&Engine::share, dataset).value().images.size(); };
  EXPECT_EQ(images(), 2u);
  ASSERT_TRUE(node.ask<void>(&Engine::disown, Ids{first}));
  EXPECT_EQ(images(), 1u);
  EXPECT_EQ(node.ask<DatasetStatus>(&Engine::get_dataset, dataset).value().images.total, 1u);
  EXPECT_THAT(node.uncopied({}), ElementsAre(second)) << "a counted image is needed while its dataset is there";
  ASSERT_TRUE(node.ask<void>(&Engine::remove_dataset, dataset));
  EXPECT_THAT(node.uncopied({}), IsEmpty());
}

TEST(EngineCopies, WhatNobodyKeepsACopyOfIsToldUntilSomebodyDoes) {
  auto disk = std::make_unique<MemoryDisk>();
  std::string one, two, three;
  {
    Node node(std::move(disk));
    one = node.submit("one").id;
    two = node.submit("two").id;
    three = node.submit("three").id;
    EXPECT_THAT(node.uncopied({k_b, k_c}), ElementsAre(one, two, three));
    EXPECT_THAT(node.uncopied({k_b, k_c}, 2), ElementsAre(one, two));
    const std::uint64_t calls = node.disk->calls;
    node.engine.copied(one, k_b);
    node.engine.copied(two, k_c);
    node.engine.copied("gone meanwhile", k_c);
    EXPECT_THAT(node.uncopied({k_b, k_c}), ElementsAre(three));
    EXPECT_THAT(node.uncopied({k_b}), ElementsAre(two, three)) << "its holder is none any more";
    EXPECT_EQ(node.disk->calls, calls) << "no write of its own";
    node.engine.resume();
    node.engine.step();
    EXPECT_EQ(node.on_disk(one).holder, k_b) << "written with the attempt";
    node.finish(two);
    EXPECT_THAT(node.uncopied({k_b}), ElementsAre(three)) << "it has ended";
    std::string input(3, '\0');
    EXPECT_TRUE(node.ask<void>(&Engine::read_own, node.get(one).value(), std::as_writable_bytes(std::span(input)),
                               std::span<std::byte>()));
    EXPECT_EQ(input, "one");
    disk = node.disk->after_power_loss(false);
  }
  Node again(std::move(disk));
  EXPECT_THAT(again.uncopied({k_b, k_c}), ElementsAre(three));
  EXPECT_THAT(again.uncopied({}), ElementsAre(one, three));
}

TEST(EngineCopies, AreFoundAgainAfterARestart) {
  const auto sent = jobs_of_another(3);
  Node node;
  for (const Sent& job : sent) ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  const JobRecord own = node.submit("mine");
  Node again(node.disk->after_power_loss(false));
  EXPECT_THAT(again.copies(),
              ElementsAre(Pair(k_a, ElementsAre(sent[0].record.id, sent[1].record.id, sent[2].record.id))));
  EXPECT_THAT(again.own_ids(), ElementsAre(own.id));
  EXPECT_EQ(again.engine.counts().recovered, 1u);
  EXPECT_EQ(again.engine.counts().copies, 3u);
  EXPECT_EQ(again.adopt(k_a).value(), 3u);
  Node last(again.disk->after_power_loss(false));
  EXPECT_THAT(last.copies(), IsEmpty());
  EXPECT_EQ(last.own_ids().size(), 4u);
  EXPECT_EQ(last.engine.counts().recovered, 4u);
}

TEST(EngineCopies, AnEarlierReleaseLeavesThemAlone) {
  const Sent job = jobs_of_another(1).front();
  Node node;
  ASSERT_TRUE(node.hold(job.record, k_a, job.input));
  const std::string text = node.file(job.record.id, "record");
  // What the release before decodes with.
  const auto read = decode_payload("histod-job ", 1, text);
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().newer);
  EXPECT_EQ(node.adopt(k_a).value(), 1u);
  EXPECT_TRUE(decode_payload("histod-job ", 1, node.file(job.record.id, "record")));
}

TEST(EngineWithoutAThread, DoesNothingByItselfAndEndsInOrder) {
  std::unique_ptr<MemoryDisk> left;
  std::string put_off, running;
  {
    Node node;
    bool answered = false;
    node.engine.own_ids([&](Outcome<Ids>) { answered = true; });
    EXPECT_FALSE(answered);
    EXPECT_FALSE(node.engine.step());
    EXPECT_TRUE(answered);
    put_off = node.submit("one").id;
    running = node.submit("two").id;
    node.engine.resume();
    node.engine.step();
    EXPECT_EQ(node.begun.size(), 2u);
    node.engine.yielded(put_off);
    std::optional<Outcome<JobRecord>> waited, late;
    node.engine.wait(running, std::chrono::hours(1), [&](Outcome<JobRecord> record) { waited = std::move(record); });
    node.engine.drain();
    node.engine.get(running, [&](Outcome<JobRecord> record) { late = std::move(record); });
    EXPECT_FALSE(waited);
    node.engine.stop();
    EXPECT_EQ(waited.value().value().state, JobState::running);
    EXPECT_TRUE(late.value()) << "whoever asked before the end is answered";
    std::optional<Outcome<Ids>> refused;
    node.engine.own_ids([&](Outcome<Ids> ids) { refused = std::move(ids); });
    EXPECT_EQ(refused.value().error().status, 503u);
    node.engine.stop();
    EXPECT_EQ(node.on_disk(put_off).attempts, 0u) << "an attempt that did not come about does not count";
    EXPECT_EQ(node.on_disk(running).attempts, 1u);
    left = node.disk->after_power_loss(false);
  }
  Node again(std::move(left));
  EXPECT_THAT(again.own_ids(), ElementsAre(put_off, running));
}

TEST(EngineWithAThread, WhatAnotherNodeRestsOnIsNotLetGoOfForAWhile) {
  const test::TemporaryFolder folder;
  test::EngineRig rig(folder.path() / "spool");
  const std::string kept = rig.submit("kept"), other = rig.submit("other");
  const std::string absent = jobs_of_another(1).front().record.id;
  rig.engine->copied(kept, k_b);
  const auto uncopied = [&] {
    return rig.ask<std::vector<JobRecord>>(&Engine::uncopied, std::set<std::string>{k_b}, 10).value().size();
  };
  EXPECT_EQ(uncopied(), 1u);
  EXPECT_THAT(rig.ask<Ids>(&Engine::keep, Ids{kept, absent}, std::string(k_b)).value(), ElementsAre(kept));
  EXPECT_EQ(uncopied(), 2u) << "who lets go of it had the copy";
  ASSERT_TRUE(rig.ask<void>(&Engine::disown, Ids{kept, other}));
  EXPECT_THAT(rig.ask<Ids>(&Engine::own_ids).value(), ElementsAre(kept));
  rig.now_ms += 60'000;
  ASSERT_TRUE(rig.ask<void>(&Engine::disown, Ids{kept}));
  EXPECT_THAT(rig.ask<Ids>(&Engine::own_ids).value(), IsEmpty());
}

TEST(EngineWithAThread, ManyAreAdoptedAndDisownedWhileOthersAreServed) {
  const test::TemporaryFolder folder;
  test::EngineRig rig(folder.path() / "spool");
  const auto sent = jobs_of_another(50);
  Ids ids;
  for (const Sent& job : sent) {
    JobRecord record = job.record;
    record.owner = k_a;
    ASSERT_TRUE(rig.ask<void>(&Engine::hold, record, bytes_of(job.input), Bytes()));
    ids.push_back(record.id);
  }
  test::Answer<std::uint64_t> adopted;
  rig.engine->adopt(k_a, adopted.reply());
  rig.submit("in between");
  EXPECT_EQ(adopted.get().value(), 50u);
  test::Answer<void> disowned;
  rig.engine->disown(ids, disowned.reply());
  rig.submit("in between, too");
  EXPECT_TRUE(disowned.get());
  EXPECT_EQ(rig.list(100).size(), 2u);
}

}  // namespace
}  // namespace histod::daemon::jobs
