// SPDX-License-Identifier: Apache-2.0
#include "control/memory_store.hpp"

#include <gtest/gtest.h>

#include "tests/control/catalog_suite.hpp"
#include "tests/control/fleet_suite.hpp"
#include "tests/control/store_suite.hpp"

namespace histod::control::tests {

INSTANTIATE_TEST_SUITE_P(Memory, StoreSuite,
                         testing::Values(RigKind{"memory", [] { return std::make_unique<MemoryRig>(); }}), kind_name);
INSTANTIATE_TEST_SUITE_P(Memory, FleetSuite,
                         testing::Values(RigKind{"memory", [] { return std::make_unique<MemoryRig>(); }}), kind_name);
INSTANTIATE_TEST_SUITE_P(Memory, CatalogSuite,
                         testing::Values(RigKind{"memory", [] { return std::make_unique<MemoryRig>(); }}), kind_name);

TEST(MemoryStore, TellsItsSessionAndTimeout) {
  TestLoop loop;
  MemoryServer server(loop);
  StoreEvent seen;
  auto store = server.opener({std::chrono::seconds(3), ""})([&](const StoreEvent& event) { seen = event; });
  ASSERT_TRUE(store);
  EXPECT_EQ(seen.session_id, 0);  // not inside the call
  EXPECT_TRUE(loop.drive([&] { return seen.session_id != 0; }));
  EXPECT_EQ(seen.kind, StoreEvent::Kind::connected);
  EXPECT_EQ(seen.timeout_ms, std::chrono::seconds(3));
}

TEST(MemoryStore, AStoreThatGoesBeforeItIsConnectedSaysNothing) {
  TestLoop loop;
  MemoryServer server(loop);
  bool told = false;
  server.opener({})([&](const StoreEvent&) { told = true; })->reset();
  loop.pass(std::chrono::seconds(1));
  EXPECT_FALSE(told);
}

TEST(MemoryStore, TheEphemeralsOfASessionGoWithItWhateverTheirAcl) {
  MemoryRig rig;
  Client watcher(rig), owner(rig, "a:b");
  ASSERT_TRUE(owner.create("/r"));
  for (const char* path : {"/r/1", "/r/2", "/top"}) ASSERT_TRUE(owner.create(path, "", CreateMode::ephemeral));
  owner.close();
  EXPECT_FALSE(watcher.exists("/r/1"));
  EXPECT_FALSE(watcher.exists("/top"));
  EXPECT_EQ(watcher.exists("/r")->num_children, 0);
}

TEST(Errors, AreNamedAndCompared) {
  for (int value = 1; value <= static_cast<int>(Errc::unexpected); ++value) {
    const std::error_code error = static_cast<Errc>(value);
    EXPECT_EQ(error.message().find("unknown"), std::string::npos) << value;
    EXPECT_EQ(is_ambiguous(error), error == Errc::connection_loss || error == Errc::session_lost);
  }
  EXPECT_EQ(std::error_code(99, error_category()).message(), "unknown error 99");
  EXPECT_STREQ(error_category().name(), "histod.control");
}

}  // namespace histod::control::tests
