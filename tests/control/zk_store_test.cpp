// SPDX-License-Identifier: Apache-2.0
#include "control/zk_store.hpp"

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/control/catalog_suite.hpp"
#include "tests/control/fleet_suite.hpp"
#include "tests/control/store_suite.hpp"
#include "tests/control/zookeeper_servers.hpp"

/// Debian's C client (3.8) does not free what its thread of sockets has just handed to its thread of answers when a
/// session is closed: some hundred bytes, now and then. All that is leaked through it is left out.
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier) the sanitizer's name
extern "C" const char* __lsan_default_suppressions() { return "leak:libzookeeper_mt.so"; }

namespace histod::control::tests {

using std::chrono::milliseconds;

INSTANTIATE_TEST_SUITE_P(ZooKeeper, StoreSuite,
                         testing::Values(RigKind{"zookeeper", [] { return std::make_unique<ZooKeeperRig>(); }}),
                         kind_name);
INSTANTIATE_TEST_SUITE_P(ZooKeeper, FleetSuite,
                         testing::Values(RigKind{"zookeeper", [] { return std::make_unique<ZooKeeperRig>(); }}),
                         kind_name);
INSTANTIATE_TEST_SUITE_P(ZooKeeper, CatalogSuite,
                         testing::Values(RigKind{"zookeeper", [] { return std::make_unique<ZooKeeperRig>(); }}),
                         kind_name);

TEST(ZkStore, ServersAreThere) {
  ASSERT_FALSE(ZooKeeperServers::shared().address().empty()) << ZooKeeperServers::shared().why();
}

TEST(ZkStore, NamesThatDoNotResolveAreUnavailable) {
  testing::internal::CaptureStderr();
  TestLoop loop(TestLoop::Time::real);
  const auto store = zookeeper_opener(loop, {"no.such.host.invalid:2181", milliseconds(1000), {}})([](const auto&) {});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error(), Errc::unavailable);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ZkStore, ServersThatDoNotAnswerGiveConnectionLossOrNothing) {
  TestLoop loop(TestLoop::Time::real);
  testing::internal::CaptureStderr();
  int events = 0, answers = 0;
  auto store = zookeeper_opener(loop, {"127.0.0.1:1", milliseconds(1000), {}})([&](const auto&) { ++events; });
  ASSERT_TRUE(store);
  (*store)->create("/a", "", CreateMode::persistent, [&](auto result) {
    ++answers;
    ASSERT_FALSE(result);
    EXPECT_TRUE(is_ambiguous(result.error()));
  });
  loop.drive([&] { return answers == 1; }, milliseconds(500));
  store->reset();
  EXPECT_TRUE(loop.drive([&] { return answers == 1; }));
  EXPECT_EQ(events, 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // the library's own log is not ours
}

TEST(ZkStore, TellsTheTimeoutThatTheServerGrants) {
  ZooKeeperRig rig;
  StoreEvent seen;
  auto store = rig.opener("", milliseconds(300))([&](const StoreEvent& event) { seen = event; });
  ASSERT_TRUE(store);
  ASSERT_TRUE(rig.loop().drive([&] { return seen.session_id != 0; }));
  EXPECT_EQ(seen.kind, StoreEvent::Kind::connected);
  EXPECT_EQ(seen.timeout_ms, milliseconds(400));  // two ticks of tests/support/zookeeper_servers.py
}

/// The same random requests to the store in memory and to the real one: each answer must be the same.
class Twins {
 public:
  explicit Twins(std::uint64_t seed) : random_(seed) {}

  void run(int rounds) {
    ASSERT_TRUE(both("create root", [&](Client& client) { return shown(client.create(root_)); }));
    for (int round = 0; round < rounds; ++round) {
      if (random_() % 3 == 0) {
        ASSERT_TRUE(read()) << "round " << round;
      } else {
        ASSERT_TRUE(write()) << "round " << round;
      }
    }
  }

 private:
  template <class F>
  bool both(const std::string& what, F ask) {
    const std::string memory = ask(memory_), real = ask(real_);
    EXPECT_EQ(memory, real) << what;
    return memory == real;
  }
  static std::string shown(const std::error_code& error) { return error.message(); }
  static std::string shown(const Result<std::string>& made) { return made ? *made : shown(made.error()); }
  static std::string shown(const Stat& stat) {
    return fmt::format("v{} c{} n{} e{}", stat.version, stat.cversion, stat.num_children, stat.ephemeral_owner != 0);
  }
  static std::string shown(const std::expected<std::vector<OpResult>, MultiError>& done) {
    if (!done) return fmt::format("{} at {}", shown(done.error().error), done.error().index);
    std::string text;
    for (const OpResult& each : *done) text += each.path + " v" + std::to_string(each.stat.version) + "; ";
    return text;
  }

  /// Few names, so that they meet.
  std::string path(std::uint64_t depth_min = 0) {
    std::string below = root_;
    for (std::uint64_t depth = depth_min + random_() % 3; depth > 0; --depth)
      below += "/" + std::string(1, "abc"[random_() % 3]);
    return below;
  }
  std::int32_t version() { return static_cast<std::int32_t>(random_() % 4) - 1; }
  Op op() {
    switch (random_() % 5) {
      case 0:
        return Set{path(), std::to_string(random_() % 100), version()};
      case 1:
        return Remove{path(), version()};
      case 2:
        return Check{path(), version()};
      default:
        return Create{path(1), std::to_string(random_() % 100), static_cast<CreateMode>(random_() % 4)};
    }
  }
  bool write() {
    std::vector<Op> ops;
    for (std::uint64_t count = 1 + random_() % 4; count > 0; --count) ops.push_back(op());
    return both("multi", [&](Client& client) { return shown(client.multi(ops)); });
  }
  bool read() {
    const std::string where = path();
    return both("exists " + where,
                [&](Client& client) {
                  const auto stat = client.exists(where);
                  return stat ? shown(*stat) : shown(stat.error());
                }) &&
           both("get " + where,
                [&](Client& client) {
                  const auto node = client.get(where);
                  return node ? node->data + " " + shown(node->stat) : shown(node.error());
                }) &&
           both("children " + where, [&](Client& client) {
             const auto names = client.children(where);
             return names ? fmt::format("{}", fmt::join(*names, " ")) : shown(names.error());
           });
  }

  std::mt19937_64 random_;
  MemoryRig memory_rig_;
  ZooKeeperRig real_rig_;
  std::string root_ = real_rig_.root();
  Client memory_{memory_rig_}, real_{real_rig_};
};

TEST(ZkStore, AnswersAsTheOneInMemoryDoes) {
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Twins(seed).run(500);
    if (HasFatalFailure()) return;
  }
}

}  // namespace histod::control::tests
