// SPDX-License-Identifier: Apache-2.0
#include "control/session.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/control/session_log.hpp"
#include "tests/control/store_rig.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr milliseconds k_timeout{6000};

/// A session behind the bad network, with what it tells its listeners.
struct SessionTest : testing::Test {
  void cut(bool for_good) {
    rig.faults.expire_permille = for_good ? 1000 : 0;
    rig.faults.drop_permille = 1000;
    session.store().exists("/", [](auto) {});
    rig.faults.drop_permille = 0;
  }
  bool reach(const std::string& state) {
    return rig.loop().drive([&] { return heard.back() == state; }, std::chrono::minutes(5));
  }

  FaultyRig rig{1};
  Session session{rig.loop(), rig.opener("", k_timeout)};
  std::vector<std::string> heard{"nothing"};
  SessionLog log{session, heard};
};

TEST_F(SessionTest, IsConnectedWhenAHeartbeatIsAnswered) {
  EXPECT_EQ(session.state(), SessionState::connecting);
  EXPECT_EQ(session.number(), 0u);
  session.start();
  EXPECT_EQ(session.state(), SessionState::connecting);
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_EQ(session.state(), SessionState::connected);
  EXPECT_EQ(session.number(), 1u);
  EXPECT_EQ(session.timeout(), k_timeout);
  rig.loop().pass(std::chrono::hours(1));
  EXPECT_THAT(heard, ElementsAre("nothing", "CONNECTED"));
}

TEST_F(SessionTest, TellsLateListenersThatItIsConnected) {
  session.start();
  ASSERT_TRUE(reach("CONNECTED"));
  std::vector<std::string> late;
  SessionLog another{session, late};
  EXPECT_THAT(late, ElementsAre("CONNECTED"));
}

TEST_F(SessionTest, ABreakSuspendsItAndItsSessionGoesOn) {
  session.start();
  ASSERT_TRUE(reach("CONNECTED"));
  const auto id = session.id();
  for (int round = 0; round < 5; ++round) {
    cut(false);
    ASSERT_TRUE(reach("SUSPENDED"));
    EXPECT_EQ(session.state(), SessionState::suspended);
    rig.loop().drive([&] { return heard.back() != "SUSPENDED"; });
    if (heard.back() == "LOST") continue;  // given up here before the server would have: allowed
    EXPECT_EQ(session.id(), id);
  }
  EXPECT_EQ(session.counts().suspensions, 5u);
}

TEST_F(SessionTest, ALongBreakLosesItAndThenThereIsANewSession) {
  session.start();
  ASSERT_TRUE(reach("CONNECTED"));
  const auto id = session.id();
  cut(true);
  ASSERT_TRUE(reach("LOST"));
  EXPECT_EQ(session.state(), SessionState::lost);
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_NE(session.id(), id);
  EXPECT_EQ(session.number(), 2u);
  EXPECT_EQ(session.counts().losses, 1u);
  EXPECT_THAT(heard, ElementsAre("nothing", "CONNECTED", "SUSPENDED", "LOST", "CONNECTED"));
}

TEST_F(SessionTest, AFrozenProcessKnowsOfItsLossBeforeAnybodyTellsIt) {
  session.start();
  ASSERT_TRUE(reach("CONNECTED"));
  rig.loop().freeze(k_timeout * 3 / 4);
  EXPECT_EQ(session.state(), SessionState::suspended);
  rig.loop().freeze(k_timeout);
  EXPECT_EQ(session.state(), SessionState::lost);
  EXPECT_THAT(heard, ElementsAre("nothing", "CONNECTED"));  // nothing has run yet
  ASSERT_TRUE(reach("LOST"));
  ASSERT_TRUE(reach("CONNECTED"));
  EXPECT_EQ(session.number(), 2u);
}

TEST_F(SessionTest, BetweenSessionsRequestsAreAnsweredAllTheSame) {
  int answers = 0;
  const auto expect_lost = [&](const auto& result) {
    ++answers;
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error(), Errc::session_lost);
  };
  session.store().exists("/", expect_lost);
  session.store().get("/", expect_lost);
  session.store().children("/", expect_lost);
  session.store().create("/a", "", CreateMode::persistent, expect_lost);
  EXPECT_EQ(answers, 0);
  EXPECT_TRUE(rig.loop().drive([&] { return answers == 4; }));
}

TEST(Session, EndsInGoodOrderWhenItIsDestroyed) {
  MemoryRig rig;
  Client watcher(rig);
  auto session = std::make_unique<Session>(rig.loop(), rig.opener("", k_timeout));
  session->start();
  ASSERT_TRUE(rig.loop().drive([&] { return session->state() == SessionState::connected; }));
  session->store().create("/e", "", CreateMode::ephemeral, [](auto) {});
  ASSERT_TRUE(watcher.exists("/e"));
  session.reset();
  EXPECT_FALSE(watcher.exists("/e"));
}

TEST(Session, ServersThatCannotBeResolvedAreTriedAgain) {
  MemoryRig rig;
  int failures = 3;
  const auto open = rig.opener("", k_timeout);
  Session session(rig.loop(), [&](OnStoreEvent on_event) -> Result<std::unique_ptr<Store>> {
    if (failures-- > 0) return std::unexpected(Errc::unavailable);
    return open(std::move(on_event));
  });
  session.start();
  EXPECT_EQ(session.trouble(), Errc::unavailable);
  const auto began = rig.loop().now();
  ASSERT_TRUE(rig.loop().drive([&] { return session.state() == SessionState::connected; }));
  EXPECT_EQ(rig.loop().now() - began, std::chrono::seconds(3));
  EXPECT_FALSE(session.trouble());
}

/// A store that only says what it is told to.
struct Puppet final : Store {
  using Store::children, Store::exists, Store::get;
  void exists(std::string, Reply<Stat> reply, Watch) override {
    if (!answers) return kept.push_back(std::move(reply));
    executor->post([reply = std::move(reply)]() mutable { reply(Stat{}); });
  }
  void get(std::string, Reply<Node>, Watch) override {}
  void children(std::string, Reply<std::vector<std::string>>, Watch) override {}
  void guarded(std::string, Reply<bool>) override {}
  void multi(std::vector<Op>, MultiReply) override {}
  Executor* executor = nullptr;
  bool answers = true;
  std::vector<Reply<Stat>> kept;
  OnStoreEvent tell;
};

struct PuppetTest : testing::Test {
  OpenStore opener() {
    return [this](OnStoreEvent on_event) -> Result<std::unique_ptr<Store>> {
      auto made = std::make_unique<Puppet>();
      made->executor = &loop;
      made->tell = std::move(on_event);
      puppet = made.get();
      ++opened;
      return made;
    };
  }
  void tell(StoreEvent::Kind kind) { puppet->tell({kind, opened, k_timeout}); }

  TestLoop loop;
  Puppet* puppet = nullptr;
  int opened = 0;
  Session session{loop, opener()};
  std::vector<std::string> heard;
  SessionLog log{session, heard};
};

TEST_F(PuppetTest, TheLeaseRunsFromTheSendingOfTheHeartbeatThatWasAnswered) {
  session.start();
  puppet->answers = false;
  tell(StoreEvent::Kind::connected);
  loop.freeze(k_timeout / 2);
  puppet->kept.back()(Stat{});  // on its way for half of the timeout
  EXPECT_EQ(session.state(), SessionState::connected);
  loop.freeze(k_timeout / 2 - milliseconds(1));
  EXPECT_EQ(session.state(), SessionState::suspended);
  loop.freeze(milliseconds(1));
  EXPECT_EQ(session.state(), SessionState::lost);
}

TEST_F(PuppetTest, AnAnswerThatComesAfterTheLeaseDoesNotRevive) {
  session.start();
  tell(StoreEvent::Kind::connected);
  loop.pass(milliseconds(10));
  puppet->answers = false;
  loop.drive([&] { return !puppet->kept.empty(); });
  loop.freeze(2 * k_timeout);
  puppet->kept.back()(Stat{});
  EXPECT_EQ(session.state(), SessionState::lost);
  loop.pass(milliseconds(10));
  EXPECT_THAT(heard, ElementsAre("CONNECTED", "LOST"));
  EXPECT_EQ(opened, 2);
}

TEST_F(PuppetTest, SilenceOfAServerThatIsConnectedSuspendsAndLoses) {
  session.start();
  tell(StoreEvent::Kind::connected);
  loop.pass(milliseconds(10));
  puppet->answers = false;
  const auto began = loop.now();
  loop.drive([&] { return heard.back() == "SUSPENDED"; });
  EXPECT_LE(loop.now() - began, k_timeout);
  loop.drive([&] { return heard.back() == "LOST"; });
  EXPECT_LE(loop.now() - began, k_timeout);
  EXPECT_THAT(heard, ElementsAre("CONNECTED", "SUSPENDED", "LOST"));
}

TEST_F(PuppetTest, ARefusedCredentialIsTriedAgainInAWhile) {
  session.start();
  tell(StoreEvent::Kind::auth_failed);
  loop.pass(milliseconds(900));
  EXPECT_EQ(session.trouble(), Errc::auth_failed);
  EXPECT_THAT(heard, ElementsAre("LOST"));
  EXPECT_EQ(opened, 1);
  loop.pass(milliseconds(200));
  EXPECT_EQ(opened, 2);
  tell(StoreEvent::Kind::connected);
  loop.pass(milliseconds(10));
  EXPECT_FALSE(session.trouble());
  EXPECT_THAT(heard, ElementsAre("LOST", "CONNECTED"));
}

TEST_F(PuppetTest, AnExpiredSessionIsReplacedAtOnce) {
  session.start();
  tell(StoreEvent::Kind::connected);
  loop.pass(milliseconds(10));
  tell(StoreEvent::Kind::expired);
  EXPECT_EQ(session.state(), SessionState::lost);  // before any listener has heard of it
  loop.pass(milliseconds(10));
  EXPECT_EQ(opened, 2);
  EXPECT_THAT(heard, ElementsAre("CONNECTED", "LOST"));
}

// The promise on which everything above rests, over many breaks of every length.
TEST(Session, NeverBelievesInASessionWhoseEphemeralsAreGone) {
  std::uint64_t losses = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FaultyRig rig(seed);
    rig.faults.delay_max_ms = milliseconds(700);
    rig.faults.drop_permille = 40;
    rig.faults.expire_permille = 400;
    auto observer = rig.server().opener({})([](const auto&) {});
    Session session(rig.loop(), rig.opener("", k_timeout));
    session.listen([&](SessionState state) {
      if (state != SessionState::connected) return;
      const std::string path = "/e" + std::to_string(session.number());
      session.store().create(path, "", CreateMode::ephemeral, [&observer, &session, path](auto made) {
        if (!made) return;
        const auto id = session.id();
        (*observer)->exists(
            path, [](auto) {},
            [&session, id](const WatchEvent&) {
              EXPECT_TRUE(session.id() != id || session.state() == SessionState::lost) << state_name(session.state());
            });
      });
    });
    session.start();
    rig.loop().pass(std::chrono::minutes(10));
    losses += session.counts().losses;
  }
  EXPECT_GT(losses, 100u);
}

TEST(Session, StatesAreNamedAsTheDashboardShowsThem) {
  EXPECT_EQ(state_name(SessionState::connecting), "CONNECTING");
  EXPECT_EQ(state_name(SessionState::lost), "LOST");
}

}  // namespace histod::control::tests
