// SPDX-License-Identifier: Apache-2.0
// Jobs and shards over every store.
#include "tests/control/catalog_suite.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace histod::control::tests {

using std::chrono::milliseconds;
using testing::SizeIs;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CatalogSuite);

TEST_P(CatalogSuite, PublishesAnEntryWithItsShards) {
  ASSERT_TRUE(one_.publish(job_, {{"owner", "one"}, {"phase", "open"}}, 3));
  const auto entry = two_.read(job_);
  ASSERT_TRUE(entry);
  EXPECT_EQ(text_of(entry->fields, "owner"), "one");
  EXPECT_EQ(entry->shards, 3);
  EXPECT_EQ(entry->version, 0);
  const auto shards = two_.shards(job_);
  ASSERT_THAT(shards, SizeIs(3));
  EXPECT_EQ(shards[2].path, job_ + "/000002");
  EXPECT_EQ(number_of(shards[2].fields, "images"), 10);
  EXPECT_FALSE(shards[2].claimed || shards[2].done());
}

TEST_P(CatalogSuite, PublishesAllOrNothing) {
  ASSERT_TRUE(one_.publish(job_, {}, 0));
  EXPECT_EQ(two_.publish(job_, {}, 2).error(), Errc::node_exists);
  EXPECT_EQ(one_.read(job_)->shards, 0);
  EXPECT_EQ(one_.publish(job_ + "-large", {}, 9'000).error(), Errc::too_large);
  EXPECT_EQ(one_.read(job_ + "-large").error(), Errc::no_node);
}

TEST_P(CatalogSuite, AShardIsClaimedByOneAndFinishedOnce) {
  ASSERT_TRUE(one_.publish(job_, {}, 1));
  const Shard shard = two_.shards(job_).front();
  const auto claim = one_.claim(shard);
  ASSERT_TRUE(claim);
  EXPECT_EQ(two_.claim(shard).error(), Errc::node_exists);
  const Shard during = two_.shards(job_).front();
  EXPECT_TRUE(during.claimed);
  EXPECT_EQ(text_of(during.fields, "worker"), "one");
  EXPECT_EQ(two_.claim(during).error(), Errc::node_exists);
  ASSERT_TRUE(one_.finish(*claim));
  EXPECT_FALSE(one_.finish(*claim));
  const Shard after = two_.shards(job_).front();
  EXPECT_TRUE(after.done());
  EXPECT_FALSE(after.claimed);
  EXPECT_EQ(text_of(after.fields.at("result").as_object(), "digest"), "abc");
  EXPECT_EQ(two_.claim(after).error(), Errc::bad_version);
  EXPECT_EQ(two_.claim(during).error(), Errc::bad_version);
}

TEST_P(CatalogSuite, AReleasedShardIsFreeForOthers) {
  ASSERT_TRUE(one_.publish(job_, {}, 1));
  const auto claim = one_.claim(one_.shards(job_).front());
  ASSERT_TRUE(one_.release(*claim));
  EXPECT_EQ(one_.finish(*claim).error(), Errc::bad_version);
  const Shard shard = two_.shards(job_).front();
  EXPECT_FALSE(shard.claimed);
  ASSERT_TRUE(two_.finish(*two_.claim(shard)));
  EXPECT_EQ(number_of(one_.shards(job_).front().fields, "attempts"), 2);
}

// The original system hung for ever here.
TEST_P(CatalogSuite, ADeadWorkersShardIsNoticedAndTakenOver) {
  ASSERT_TRUE(one_.publish(job_, {}, 1));
  auto dying = std::make_unique<Worker>(*rig_, "dying");
  const auto claim = dying->claim(dying->shards(job_).front());
  ASSERT_TRUE(claim);
  bool noticed = false;
  ASSERT_EQ(two_.wait<Result<bool>>([&](auto reply) {
    two_.catalog.watch_claim(claim->shard, std::move(reply), [&](const WatchEvent&) { noticed = true; });
  }),
            true);
  dying.reset();
  ASSERT_TRUE(rig_->loop().drive([&] { return noticed; }));
  const auto taken = two_.claim(two_.shards(job_).front());
  ASSERT_TRUE(taken);
  // Had it only been asleep, it would finish nothing now.
  EXPECT_EQ(one_.finish(*claim).error(), Errc::bad_version);
  EXPECT_TRUE(two_.finish(*taken));
}

TEST_P(CatalogSuite, AClaimThatDiedWithItsSessionFinishesNothingEvenIfNobodyTookOver) {
  ASSERT_TRUE(one_.publish(job_, {}, 1));
  auto dying = std::make_unique<Worker>(*rig_, "dying");
  const auto claim = dying->claim(dying->shards(job_).front());
  dying.reset();
  EXPECT_EQ(one_.finish(*claim).error(), Errc::no_node);
  EXPECT_FALSE(one_.shards(job_).front().done());
}

TEST_P(CatalogSuite, UpdatesAreVersionedAndALeadersAreFenced) {
  Fleet fleet(*rig_, 2, milliseconds(3000));
  ASSERT_TRUE(fleet.settle());
  const std::string job = fleet.paths().jobs() + "/j2";
  ASSERT_TRUE(one_.publish(job, {{"owner", "gone"}}, 0));
  Entry entry = *one_.read(job);
  Entry stale = entry;
  const std::size_t leader = fleet.leaders().front();
  const Fence fence = fleet[leader].election.leadership();
  entry.fields["owner"] = "one";
  ASSERT_EQ(one_.update(entry, fence), 1);
  EXPECT_EQ(two_.update(stale).error().error, Errc::bad_version);
  fleet[leader].election.withdraw();
  ASSERT_TRUE(fleet.settle());
  entry = *one_.read(job);
  EXPECT_EQ(text_of(entry.fields, "owner"), "one");
  EXPECT_EQ(one_.update(entry, fence).error().error, Errc::bad_version);
  EXPECT_EQ(one_.remove(job, fence).error(), Errc::bad_version);
  EXPECT_EQ(two_.update(entry, fleet[1 - leader].election.leadership()), 2);
}

TEST_P(CatalogSuite, RemovesAnEntryWithShardsAndClaims) {
  ASSERT_TRUE(one_.publish(job_, {}, 3));
  const auto claim = two_.claim(two_.shards(job_)[1]);
  ASSERT_TRUE(one_.remove(job_));
  EXPECT_EQ(one_.read(job_).error(), Errc::no_node);
  EXPECT_EQ(one_.remove(job_).error(), Errc::no_node);
  EXPECT_EQ(two_.finish(*claim).error(), Errc::no_node);
}

TEST_P(CatalogSuite, OneReleaseWorksBesideTheNext) {
  Worker next(*rig_, "next", RecordFormat(2, 1)), far(*rig_, "far", RecordFormat(9, 9));
  ASSERT_TRUE(next.publish(job_, {{"shape", "round"}}, 2));
  auto entry = one_.read(job_);
  ASSERT_TRUE(entry);
  entry->fields["phase"] = "done";
  ASSERT_TRUE(one_.update(*entry));
  EXPECT_EQ(text_of(next.read(job_)->fields, "shape"), "round");
  EXPECT_EQ(number_of(next.read(job_)->fields, "format"), 2);
  ASSERT_TRUE(one_.finish(*one_.claim(one_.shards(job_)[0])));
  ASSERT_TRUE(next.finish(*next.claim(next.shards(job_)[1])));
  EXPECT_TRUE(one_.shards(job_)[1].done() && next.shards(job_)[0].done());

  ASSERT_TRUE(far.publish(job_ + "-far", {}, 1));
  EXPECT_EQ(one_.read(job_ + "-far").error(), Errc::newer_format);
  EXPECT_EQ(
      one_.wait<Result<std::vector<Shard>>>([&](auto reply) { one_.catalog.shards(job_ + "-far", std::move(reply)); })
          .error(),
      Errc::newer_format);
}

}  // namespace histod::control::tests
