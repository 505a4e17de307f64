// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/flood_gate.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/event_samples.hpp"

namespace histod::daemon::telemetry {
namespace {

using namespace std::chrono_literals;

Event flood_event(int number) {
  Event event = test::event_named(std::to_string(number));
  event.data = boost::json::object{{"message", "x"}};
  return event;
}
std::int64_t count_of(const Event& event) {
  const auto* count = event.data.as_object().if_contains("count");
  return count == nullptr ? 1 : count->to_number<std::int64_t>();
}

TEST(FloodGate, AFloodIsOneEventASecondWithItsNumber) {
  FloodGate gate({.burst = 1});
  FloodGate::Clock::time_point now{1h};
  std::int64_t told = 0, events = 0;
  for (int i = 0; i < 10'000; ++i, now += 1ms) {
    if (const auto event = gate.pass("192.0.2.1", flood_event(i), now)) {
      told += count_of(*event);
      ++events;
    }
    if (i % 1'000 == 500)
      for (const Event& event : gate.due(now)) {
        told += count_of(event);
        ++events;
      }
  }
  now += 1s;
  for (const Event& event : gate.due(now)) {
    EXPECT_EQ(event.id, "9999") << "the latest stands for all";
    told += count_of(event);
    ++events;
  }
  EXPECT_EQ(told, 10'000);
  EXPECT_LE(events, 12);
  now += 2s;
  EXPECT_TRUE(gate.due(now).empty());
}

TEST(FloodGate, KeysHaveBurstsOfTheirOwn) {
  FloodGate gate({.burst = 2});
  const FloodGate::Clock::time_point now{1h};
  for (const char* key : {"a", "b"}) {
    EXPECT_TRUE(gate.pass(key, flood_event(1), now));
    EXPECT_TRUE(gate.pass(key, flood_event(2), now));
    EXPECT_FALSE(gate.pass(key, flood_event(3), now));
  }
  EXPECT_TRUE(gate.due(now).empty()) << "not within the second";
  EXPECT_EQ(gate.due(now + 1s).size(), 2u);
}

TEST(FloodGate, TooManyKeysCountAsOne) {
  FloodGate gate({.burst = 1, .keys_max = 4});
  const FloodGate::Clock::time_point now{1h};
  int passed = 0;
  for (int i = 0; i < 100'000; ++i) passed += gate.pass(std::to_string(i), flood_event(i), now) ? 1 : 0;
  EXPECT_EQ(passed, 5);
  const auto due = gate.due(now + 1s);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(count_of(due[0]), 100'000 - 5);
}

}  // namespace
}  // namespace histod::daemon::telemetry
