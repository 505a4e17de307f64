// SPDX-License-Identifier: Apache-2.0
#include "tests/control/store_suite.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace histod::control::tests {

using testing::ElementsAre;
using testing::IsEmpty;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreSuite);

#define EXPECT_ERROR(result, errc)                               \
  do {                                                           \
    const auto answer = (result);                                \
    ASSERT_FALSE(answer);                                        \
    EXPECT_EQ(answer.error(), errc) << answer.error().message(); \
  } while (false)

TEST_P(StoreSuite, WritesAndReads) {
  Client client(rig());
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.create(root_, "first"), root_);
  const auto made = client.get(root_);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->data, "first");
  EXPECT_EQ(made->stat.version, 0);
  EXPECT_EQ(made->stat.czxid, made->stat.mzxid);
  EXPECT_EQ(made->stat.ephemeral_owner, 0);
  const auto written = client.set(root_, std::string("\0\xff", 2), 0);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->version, 1);
  EXPECT_GT(written->mzxid, written->czxid);
  EXPECT_EQ(client.get(root_)->data, std::string("\0\xff", 2));
  EXPECT_TRUE(client.set(root_, ""));
  EXPECT_EQ(client.get(root_)->data, "");
  EXPECT_EQ(client.exists(root_)->version, 2);
  EXPECT_TRUE(client.remove(root_, 2));
  EXPECT_ERROR(client.exists(root_), Errc::no_node);
}

TEST_P(StoreSuite, RefusesWhatZooKeeperRefuses) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  EXPECT_ERROR(client.create(root_), Errc::node_exists);
  EXPECT_ERROR(client.create(at("/a/b")), Errc::no_node);
  EXPECT_ERROR(client.get(at("/a")), Errc::no_node);
  EXPECT_ERROR(client.children(at("/a")), Errc::no_node);
  EXPECT_ERROR(client.set(at("/a"), ""), Errc::no_node);
  EXPECT_ERROR(client.remove(at("/a")), Errc::no_node);
  EXPECT_ERROR(client.set(root_, "", 7), Errc::bad_version);
  EXPECT_ERROR(client.remove(root_, 7), Errc::bad_version);
  ASSERT_TRUE(client.create(at("/a")));
  EXPECT_ERROR(client.remove(root_), Errc::not_empty);
  EXPECT_ERROR(client.remove(root_, 7), Errc::bad_version);  // which is looked at first
  ASSERT_TRUE(client.create(at("/e"), "", CreateMode::ephemeral));
  EXPECT_ERROR(client.create(at("/e/f")), Errc::no_children_for_ephemerals);
}

TEST_P(StoreSuite, RefusesMalformedPaths) {
  Client client(rig());
  for (const char* path : {"", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/a\n", "/\x80"}) {
    EXPECT_ERROR(client.create(path), Errc::bad_arguments);
    EXPECT_ERROR(client.exists(path), Errc::bad_arguments);
    EXPECT_ERROR(client.get(path), Errc::bad_arguments);
    EXPECT_ERROR(client.children(path), Errc::bad_arguments);
  }
  const auto nothing = client.multi({});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().error, Errc::bad_arguments);
}

TEST_P(StoreSuite, RefusesWhatTheServerWouldCutTheConnectionFor) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  EXPECT_ERROR(client.create(at("/a"), std::string(k_request_bytes_max, 'x')), Errc::too_large);
  EXPECT_ERROR(client.set(root_, std::string(2 * k_request_bytes_max, 'x')), Errc::too_large);
  // What is just small enough really passes.
  const std::string large(k_request_bytes_max - 100 - at("/b").size(), 'x');
  ASSERT_TRUE(client.create(at("/b"), large));
  EXPECT_EQ(client.get(at("/b"))->data, large);
}

TEST_P(StoreSuite, RequestsInNumbersFitOneMulti) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  std::vector<Op> ops;
  for (int i = 0; i < 5'000; ++i) ops.emplace_back(Create{at("/" + std::to_string(i)), "data"});
  ASSERT_TRUE(client.multi(std::move(ops)));
  EXPECT_EQ(client.exists(root_)->num_children, 5'000);
}

TEST_P(StoreSuite, NumbersSequentialZnodesByTheChildrenEverMade) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  EXPECT_EQ(client.create(at("/n_"), "", CreateMode::persistent_sequential), at("/n_0000000000"));
  ASSERT_TRUE(client.create(at("/other")));
  ASSERT_TRUE(client.remove(at("/other")));
  EXPECT_EQ(client.create(at("/"), "", CreateMode::ephemeral_sequential), at("/0000000002"));
  EXPECT_THAT(*client.children(root_), ElementsAre("0000000002", "n_0000000000"));
  const auto stat = client.exists(root_);
  EXPECT_EQ(stat->cversion, 4);
  EXPECT_EQ(stat->num_children, 2);
  EXPECT_EQ(stat->version, 0);
}

TEST_P(StoreSuite, EphemeralsDieWithTheirSession) {
  Client first(rig()), second(rig());
  ASSERT_TRUE(first.create(root_));
  ASSERT_TRUE(first.create(at("/mine"), "", CreateMode::ephemeral));
  ASSERT_TRUE(first.create(at("/kept")));
  EXPECT_EQ(second.exists(at("/mine"))->ephemeral_owner, first.session_id());
  EXPECT_NE(first.session_id(), second.session_id());
  std::vector<std::string> seen;
  ASSERT_TRUE(second.exists(at("/mine"), noted(seen)));
  first.close();
  EXPECT_TRUE(see([&] { return !seen.empty(); }));
  EXPECT_THAT(seen, ElementsAre("removed " + at("/mine")));
  EXPECT_THAT(*second.children(root_), ElementsAre("kept"));
}

TEST_P(StoreSuite, AMultiIsDoneWholeOrNotAtAll) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_, "0"));
  const auto done = client.multi({Check{root_, 0}, Create{at("/a"), "a"}, Set{at("/a"), "b", 0}, Set{root_, "1", 0},
                                  Create{at("/s"), "", CreateMode::persistent_sequential}});
  ASSERT_TRUE(done);
  ASSERT_EQ(done->size(), 5u);
  EXPECT_EQ((*done)[1].path, at("/a"));
  EXPECT_EQ((*done)[2].stat.version, 1);
  EXPECT_EQ((*done)[3].stat.version, 1);
  EXPECT_EQ((*done)[4].path, at("/s0000000001"));

  const auto before = client.exists(root_);
  const auto failed =
      client.multi({Set{root_, "2"}, Remove{at("/a")}, Create{at("/c")}, Check{root_, 1}, Create{at("/d")}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().error, Errc::bad_version);
  EXPECT_EQ(failed.error().index, 3u);
  EXPECT_EQ(client.get(root_)->data, "1");
  EXPECT_EQ(client.get(at("/a"))->data, "b");
  EXPECT_EQ(client.exists(root_), before);
  EXPECT_ERROR(client.exists(at("/c")), Errc::no_node);
}

TEST_P(StoreSuite, AMultiReplacesAnEphemeralOfAnotherSession) {
  Client first(rig()), second(rig());
  ASSERT_TRUE(first.create(root_));
  ASSERT_TRUE(first.create(at("/node"), "old", CreateMode::ephemeral));
  ASSERT_TRUE(second.multi({Remove{at("/node"), 0}, Create{at("/node"), "new", CreateMode::ephemeral}}));
  first.close();
  EXPECT_EQ(second.get(at("/node"))->data, "new");  // the old session's end does not take it along
  EXPECT_EQ(second.exists(at("/node"))->ephemeral_owner, second.session_id());
}

TEST_P(StoreSuite, AMultiOfChecksNamesTheFirstThatFails) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  EXPECT_TRUE(client.multi({Check{root_}, Check{root_, 0}}));
  const auto missing = client.multi({Check{root_}, Check{at("/a")}, Check{root_, 9}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().error, Errc::no_node);
  EXPECT_EQ(missing.error().index, 1u);
}

TEST_P(StoreSuite, WatchesFireOnceForWhatTheyWatch) {
  Client client(rig()), other(rig());
  ASSERT_TRUE(client.create(root_));
  std::vector<std::string> data, list, missing;
  ASSERT_TRUE(client.get(root_, noted(data)));
  ASSERT_TRUE(client.children(root_, noted(list)));
  ASSERT_FALSE(client.exists(at("/a"), noted(missing)));
  ASSERT_TRUE(other.set(root_, "1"));
  ASSERT_TRUE(other.set(root_, "2"));
  ASSERT_TRUE(other.create(at("/a")));
  ASSERT_TRUE(other.create(at("/b")));
  ASSERT_TRUE(other.set(at("/a"), "x"));
  EXPECT_TRUE(see([&] { return !data.empty() && !list.empty() && !missing.empty(); }));
  ASSERT_TRUE(client.get(at("/b")));  // whatever else there was has come before this
  EXPECT_THAT(data, ElementsAre("changed " + root_));
  EXPECT_THAT(list, ElementsAre("children " + root_));
  EXPECT_THAT(missing, ElementsAre("created " + at("/a")));
}

TEST_P(StoreSuite, RemovalFiresEveryWatchOnTheZnodeAndItsParentsChildren) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  ASSERT_TRUE(client.create(at("/a")));
  std::vector<std::string> data, exists, list, parent;
  ASSERT_TRUE(client.get(at("/a"), noted(data)));
  ASSERT_TRUE(client.exists(at("/a"), noted(exists)));
  ASSERT_TRUE(client.children(at("/a"), noted(list)));
  ASSERT_TRUE(client.children(root_, noted(parent)));
  ASSERT_TRUE(client.remove(at("/a")));
  EXPECT_TRUE(see([&] { return !data.empty() && !exists.empty() && !list.empty() && !parent.empty(); }));
  EXPECT_THAT(data, ElementsAre("removed " + at("/a")));
  EXPECT_THAT(exists, ElementsAre("removed " + at("/a")));
  EXPECT_THAT(list, ElementsAre("removed " + at("/a")));
  EXPECT_THAT(parent, ElementsAre("children " + root_));
}

// Pitfall 8: whoever waits for a claim below a shard must watch the shard's children, not the job's.
TEST_P(StoreSuite, AGrandchildFiresNoChildWatch) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  ASSERT_TRUE(client.create(at("/a")));
  std::vector<std::string> seen;
  ASSERT_TRUE(client.children(root_, noted(seen)));
  ASSERT_TRUE(client.create(at("/a/b")));
  ASSERT_TRUE(client.remove(at("/a/b")));
  ASSERT_TRUE(client.set(at("/a"), "x"));
  ASSERT_TRUE(client.exists(root_));
  EXPECT_THAT(seen, IsEmpty());
}

TEST_P(StoreSuite, AFailedReadLeavesNoWatch) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  std::vector<std::string> seen;
  ASSERT_FALSE(client.get(at("/a"), noted(seen)));
  ASSERT_FALSE(client.children(at("/a"), noted(seen)));
  ASSERT_TRUE(client.create(at("/a")));
  ASSERT_TRUE(client.set(at("/a"), "x"));
  ASSERT_TRUE(client.create(at("/a/b")));
  EXPECT_THAT(seen, IsEmpty());
}

TEST_P(StoreSuite, AWatchComesBeforeTheReplyThatShowsTheChange) {
  Client client(rig()), other(rig());
  ASSERT_TRUE(client.create(root_, "old"));
  std::string order;
  for (int round = 0; round < 20; ++round) {
    order.clear();
    ASSERT_TRUE(client.set(root_, "old"));
    ASSERT_TRUE(client.get(root_, [&](const WatchEvent&) { order += "w"; }));
    bool written = false, shown = false;
    other.store().set(root_, "new", k_any_version, [&](auto) { written = true; });
    std::function<void()> ask = [&] {
      client.store().get(root_, [&](Result<Node> node) {
        shown = node->data == "new";
        if (shown) order += "r";
        if (!shown) ask();
      });
    };
    ask();
    ASSERT_TRUE(see([&] { return written && shown; }));
    ASSERT_EQ(order, "wr");
  }
}

TEST_P(StoreSuite, RepliesComeInTheOrderOfTheRequests) {
  Client client(rig());
  ASSERT_TRUE(client.create(root_));
  std::vector<int> order;
  for (int i = 0; i < 40; i += 4) {
    client.store().create(at("/" + std::to_string(i)), "", CreateMode::persistent,
                          [&order, i](auto) { order.push_back(i); });
    client.store().exists(root_, [&order, i](auto) { order.push_back(i + 1); });
    client.store().children(root_, [&order, i](auto) { order.push_back(i + 2); });
    client.store().set(root_, "", 99, [&order, i](auto) { order.push_back(i + 3); });
    EXPECT_THAT(order, IsEmpty());  // none inside the call
  }
  EXPECT_TRUE(see([&] { return order.size() == 40; }));
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_P(StoreSuite, ADestroyedStoreAnswersWhatIsUnderWayAndThenIsSilent) {
  Client client(rig()), other(rig());
  ASSERT_TRUE(client.create(root_));
  std::vector<std::string> seen;
  ASSERT_TRUE(client.get(root_, noted(seen)));
  int answers = 0;
  for (int i = 0; i < 10; ++i) {
    client.store().create(at("/" + std::to_string(i)), "", CreateMode::persistent, [&](auto result) {
      ++answers;
      EXPECT_TRUE(result || is_ambiguous(result.error()));
    });
    client.store().get(root_, [&](auto result) {
      ++answers;
      EXPECT_TRUE(result || is_ambiguous(result.error()));
    });
  }
  client.close();
  EXPECT_EQ(answers, 0);
  EXPECT_TRUE(see([&] { return answers == 20; }));
  ASSERT_TRUE(other.set(root_, "x"));
  EXPECT_THAT(seen, IsEmpty());
}

TEST_P(StoreSuite, OnlyWhoMadeAZnodeMayUseIt) {
  Client owner(rig(), "histod:secret"), same(rig(), "histod:secret"), stranger(rig(), "histod:guess"), nobody(rig());
  ASSERT_TRUE(owner.create(root_, "ours"));
  ASSERT_TRUE(owner.create(at("/a")));
  EXPECT_EQ(same.get(root_)->data, "ours");
  EXPECT_TRUE(same.set(at("/a"), "x"));
  for (Client* client : {&stranger, &nobody}) {
    EXPECT_ERROR(client->get(root_), Errc::no_auth);
    EXPECT_ERROR(client->children(root_), Errc::no_auth);
    EXPECT_ERROR(client->set(root_, "theirs"), Errc::no_auth);
    EXPECT_ERROR(client->set(root_, "theirs", 9), Errc::no_auth);  // not even whether the version is right
    EXPECT_ERROR(client->create(at("/b")), Errc::no_auth);
    EXPECT_ERROR(client->remove(at("/a")), Errc::no_auth);
    EXPECT_TRUE(client->exists(root_));
  }
  EXPECT_TRUE(same.remove(at("/a")));
  EXPECT_TRUE(same.remove(root_));
}

TEST_P(StoreSuite, WhoElseMayChangeAZnodeIsTold) {
  Client owner(rig(), "histod:secret"), same(rig(), "histod:secret"), stranger(rig(), "histod:guess"), nobody(rig());
  ASSERT_TRUE(owner.create(root_));
  EXPECT_EQ(owner.guarded(root_), true);
  EXPECT_EQ(same.guarded(root_), true);
  EXPECT_EQ(stranger.guarded(root_), false);
  ASSERT_TRUE(owner.remove(root_));
  EXPECT_ERROR(owner.guarded(root_), Errc::no_node);
  ASSERT_TRUE(stranger.create(root_));
  EXPECT_EQ(owner.guarded(root_), false) << "it is for another one alone";
  ASSERT_TRUE(stranger.remove(root_));
  ASSERT_TRUE(nobody.create(root_));
  EXPECT_EQ(owner.guarded(root_), false) << "it is for everybody";
  EXPECT_EQ(nobody.guarded(root_), true) << "who has no credential shares with all";
  EXPECT_ERROR(owner.guarded("nowhere"), Errc::bad_arguments);
}

}  // namespace histod::control::tests
