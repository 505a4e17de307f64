// SPDX-License-Identifier: Apache-2.0
// Datasets, their parts, and the roster of nodes, over every store.
#include "tests/control/catalog_suite.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "control/mirror.hpp"
#include "control/roster.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::SizeIs;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CatalogSuite);

namespace {

std::vector<std::string> names(const Result<std::vector<Entry>>& parts) {
  std::vector<std::string> out;
  for (const Entry& part : *parts) out.push_back(part.path.substr(part.path.rfind('/') + 1));
  return out;
}

Mirror::Items::size_type count(const Mirror& mirror) { return mirror.items().size(); }

}  // namespace

TEST_P(CatalogSuite, PublishesAnEntryOnce) {
  ASSERT_TRUE(one_.publish(set_, {{"owner", "one"}, {"phase", "open"}}));
  const auto entry = two_.read(set_);
  ASSERT_TRUE(entry);
  EXPECT_EQ(text_of(entry->fields, "owner"), "one");
  EXPECT_EQ(entry->version, 0);
  EXPECT_EQ(two_.publish(set_, {}).error(), Errc::node_exists);
  EXPECT_EQ(text_of(one_.read(set_)->fields, "owner"), "one");
}

TEST_P(CatalogSuite, EachNodeHasOnePart) {
  EXPECT_EQ(one_.enroll(set_, "a").error(), Errc::no_node);
  ASSERT_TRUE(one_.publish(set_, {}));
  EXPECT_THAT(*one_.parts(set_), SizeIs(0));
  for (const char* part : {"b", "a", "b"}) ASSERT_TRUE(one_.enroll(set_, part));
  ASSERT_TRUE(two_.enroll(set_, "a"));
  EXPECT_THAT(names(two_.parts(set_)), ElementsAre("a", "b"));
  EXPECT_EQ(two_.parts(set_ + "x").error(), Errc::no_node);
}

TEST_P(CatalogSuite, UpdatesAreVersionedAndALeadersAreFenced) {
  Fleet fleet(*rig_, 2, milliseconds(3000));
  ASSERT_TRUE(fleet.settle());
  const std::string set = fleet.paths().dataset("d2");
  ASSERT_TRUE(one_.publish(set, {{"owner", "gone"}}));
  Entry entry = *one_.read(set);
  Entry stale = entry;
  const std::size_t leader = fleet.leaders().front();
  const Fence fence = fleet[leader].election.leadership();
  entry.fields["owner"] = "one";
  ASSERT_EQ(one_.update(entry, fence), 1);
  EXPECT_EQ(two_.update(stale).error().error, Errc::bad_version);
  fleet[leader].election.withdraw();
  ASSERT_TRUE(fleet.settle());
  entry = *one_.read(set);
  EXPECT_EQ(text_of(entry.fields, "owner"), "one");
  EXPECT_EQ(one_.update(entry, fence).error().error, Errc::bad_version);
  EXPECT_EQ(one_.remove(set, fence).error(), Errc::bad_version);
  EXPECT_EQ(two_.update(entry, fleet[1 - leader].election.leadership()), 2);
}

TEST_P(CatalogSuite, RemovesAnEntryWithItsParts) {
  ASSERT_TRUE(one_.publish(set_, {}));
  for (const char* part : {"a", "b", "c"}) ASSERT_TRUE(two_.enroll(set_, part));
  ASSERT_TRUE(one_.remove(set_));
  EXPECT_EQ(one_.read(set_).error(), Errc::no_node);
  EXPECT_EQ(one_.remove(set_).error(), Errc::no_node);
}

TEST_P(CatalogSuite, OneReleaseWorksBesideTheNext) {
  Worker next(*rig_, RecordFormat(2, 1)), far(*rig_, RecordFormat(9, 9));
  ASSERT_TRUE(next.publish(set_, {{"shape", "round"}}));
  auto entry = one_.read(set_);
  ASSERT_TRUE(entry);
  entry->fields["phase"] = "done";
  ASSERT_TRUE(one_.update(*entry));
  EXPECT_EQ(text_of(next.read(set_)->fields, "shape"), "round");
  EXPECT_EQ(number_of(next.read(set_)->fields, "format"), 2);
  ASSERT_TRUE(next.enroll(set_, "next"));
  ASSERT_TRUE(one_.enroll(set_, "one"));
  EXPECT_THAT(names(one_.parts(set_)), ElementsAre("next", "one"));

  ASSERT_TRUE(far.publish(set_ + "-far", {}));
  EXPECT_EQ(one_.read(set_ + "-far").error(), Errc::newer_format);
}

TEST_P(CatalogSuite, AMirrorShowsWhatIsThereAndEachChange) {
  ASSERT_TRUE(one_.publish(set_, {{"n", 1}}));
  Mirror mirror(two_.session, paths_.datasets());
  int changes = 0;
  mirror.start([&] { ++changes; });
  ASSERT_TRUE(rig_->loop().drive([&] { return mirror.complete(); }));
  ASSERT_EQ(count(mirror), 1u);
  EXPECT_GT(changes, 0);
  Entry entry = *one_.read(set_);
  ASSERT_TRUE(one_.update(entry));
  ASSERT_TRUE(rig_->loop().drive([&] { return mirror.items().at("d1").version == 1; }));
  ASSERT_TRUE(one_.publish(paths_.dataset("d2"), {}));
  ASSERT_TRUE(rig_->loop().drive([&] { return count(mirror) == 2; }));
  ASSERT_TRUE(one_.remove(set_));
  ASSERT_TRUE(rig_->loop().drive([&] { return count(mirror) == 1; }));
  // Gone and come again, perhaps between two looks: the watch of before must not hide the new one.
  ASSERT_TRUE(one_.publish(set_, {{"again", true}}));
  ASSERT_TRUE(rig_->loop().drive([&] { return count(mirror) == 2; }));
  entry = *one_.read(set_);
  ASSERT_TRUE(one_.update(entry));
  EXPECT_TRUE(rig_->loop().drive([&] { return mirror.items().at("d1").version == 1; }));
}

TEST_P(CatalogSuite, TheLeaderRetiresAndTheNodeItselfComesBack) {
  Fleet fleet(*rig_, 2, milliseconds(3000));
  ASSERT_TRUE(fleet.settle());
  Roster one(one_.session, fleet.paths(), RecordFormat(), "id-one", "one");
  Roster two(two_.session, fleet.paths(), RecordFormat(), "id-two", "two");
  one.start([] {});
  two.start([] {});
  const auto full = [&] { return one.complete() && two.complete() && one.all().size() == 2 && two.all().size() == 2; };
  ASSERT_TRUE(rig_->loop().drive(full));
  EXPECT_EQ(one.all().at("id-two"), (Standing{"two", false, 0}));

  const std::size_t leader = fleet.leaders().front();
  const Leadership lead = *fleet[leader].election.leadership();
  const auto retire = [&](const std::string& identity) {
    return one_.wait<Result<void>>([&](auto reply) { one.retire(identity, lead, std::move(reply)); });
  };
  EXPECT_EQ(retire("id-unknown").error(), Errc::no_node);
  ASSERT_TRUE(retire("id-two"));
  const auto is_retired = [](const Roster& roster) { return roster.all().at("id-two").retired; };
  ASSERT_TRUE(rig_->loop().drive([&] { return is_retired(one) && is_retired(two); }));
  ASSERT_TRUE(two_.wait<Result<void>>([&](auto reply) { two.reinstate(std::move(reply)); }));
  ASSERT_TRUE(rig_->loop().drive([&] { return !is_retired(one) && !is_retired(two); }));

  fleet[leader].election.withdraw();
  ASSERT_TRUE(fleet.settle());
  EXPECT_EQ(retire("id-two").error(), Errc::bad_version);
}

}  // namespace histod::control::tests
