// SPDX-License-Identifier: Apache-2.0
// Nodes that tell each other what happened, over a network that loses questions and answers, in simulated time.
#include "daemon/event_pump.hpp"

#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/event_message.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "tests/control/test_loop.hpp"
#include "tests/daemon/event_samples.hpp"
#include "tests/daemon/memory_disk.hpp"

namespace histod::daemon {
namespace {

using namespace std::chrono_literals;
using control::tests::TestLoop;
using telemetry::Bus;
using test::event_named;
using test::ids_of;
using testing::ElementsAre;
using testing::IsEmpty;

std::span<const std::byte> as_message(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string pump_identity(const std::string& name) { return std::string(26 - name.size(), '0') + name; }

class PumpFleet {
 public:
  struct Node {
    test::MemoryDisk disk;
    FleetBoard board;
    PumpStats stats;
    std::optional<Bus> bus;
    std::unique_ptr<EventPump> pump;
  };

  explicit PumpFleet(std::size_t nodes, std::uint64_t seed = 1) : loop(TestLoop::Time::simulated, seed) {
    for (std::size_t i = 1; i <= nodes; ++i) nodes_["N" + std::to_string(i)] = std::make_unique<Node>();
    for (auto& [name, node] : nodes_) start(name);
    publish_members();
  }
  ~PumpFleet() {
    for (auto& [name, node] : nodes_) stop(name);
    loop.forget();
  }
  Node& operator[](const std::string& name) { return *nodes_.at(name); }
  void start(const std::string& name) {
    Node& node = *nodes_.at(name);
    const std::int64_t now_ms = 1'700'000'000'000 + ++starts_ * 1'000;
    node.bus.emplace(
        Bus::Options{.identity = pump_identity(name), .node = name, .ring = ring}, [now_ms] { return now_ms; },
        &node.disk, [](const std::string&) {});
    node.pump = std::make_unique<EventPump>(loop, *node.bus, node.board, std::make_unique<Link>(*this), node.stats);
  }
  /// What it published and wrote is there after the next start.
  void stop(const std::string& name) {
    Node& node = *nodes_.at(name);
    node.pump.reset();
    node.bus.reset();
  }
  void publish_members() {
    for (auto& [name, node] : nodes_) {
      FleetSnapshot fleet;
      fleet.self = name;
      for (const auto& [other, unused] : nodes_)
        fleet.members.push_back({.name = other, .identity = pump_identity(other), .address = "http://" + other});
      node->board.publish(std::make_shared<const FleetSnapshot>(std::move(fleet)));
    }
  }
  std::vector<std::string> ids(const std::string& name) {
    return ids_of(nodes_.at(name)->bus->read(0, 10'000, 1u << 30).events);
  }
  bool lost() { return loss_percent > 0 && loop.random() % 100 < loss_percent; }

  std::uint64_t loss_percent = 0;
  telemetry::EventRing::Options ring;
  TestLoop loop;

 private:
  class Link final : public EventLink {
   public:
    explicit Link(PumpFleet& fleet) : fleet_(fleet) {}
    void tell(std::string node, std::string message, jobs::Reply<std::uint64_t> have) override {
      const auto way = std::chrono::milliseconds(1 + fleet_.loop.random() % 20);
      fleet_.loop.after(way, [&fleet = fleet_, way, node, message, have = std::move(have)]() mutable {
        auto answer = fleet.arrive(node, message);
        if (fleet.lost()) answer = std::unexpected(jobs::problem(502, "peer-failed", "lost"));
        fleet.loop.after(way, [answer, have = std::move(have)]() mutable { have(std::move(answer)); });
      });
    }

   private:
    PumpFleet& fleet_;
  };
  jobs::Outcome<std::uint64_t> arrive(const std::string& name, const std::string& text) {
    Node& node = *nodes_.at(name);
    auto message = parse_event_message(as_message(text));
    EXPECT_TRUE(message) << message.error();
    if (!node.bus || !message || lost()) return std::unexpected(jobs::problem(502, "peer-failed", "lost"));
    const auto have = node.bus->receive(message->identity, message->after, std::move(message->events));
    return parse_have(as_message(have_text(have))).value();
  }
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  int starts_ = 0;
};

TEST(EventPump, AnEventIsSoonOnceOnEach) {
  PumpFleet fleet(3);
  fleet.loop.pass(2s);
  fleet["N1"].bus->publish(event_named("a"));
  fleet["N2"].bus->publish(event_named("b"));
  fleet["N3"].bus->publish({event_named("a"), event_named("c")});
  fleet.loop.pass(200ms);
  for (const char* name : {"N1", "N2", "N3"}) {
    const auto ids = fleet.ids(name);
    EXPECT_EQ(std::set(ids.begin(), ids.end()), (std::set<std::string>{"a", "b", "c"})) << name;
    EXPECT_EQ(ids.size(), 3u) << name;
  }
  EXPECT_GE(fleet["N2"].stats.told, 2u);
  EXPECT_EQ(fleet["N1"].stats.failures, 0u);
}

TEST(EventPump, WhoComesLateGetsTheRingInOrder) {
  PumpFleet fleet(2);
  fleet.stop("N2");
  std::vector<std::string> wanted;
  for (int i = 0; i < 1'000; ++i) {
    wanted.push_back(std::to_string(i));
    fleet["N1"].bus->publish(event_named(wanted.back()));
  }
  fleet.loop.pass(60s);
  EXPECT_GT(fleet["N1"].stats.failures, 2u);
  EXPECT_LT(fleet["N1"].stats.failures, 20u) << "it is asked more and more seldom";
  fleet.start("N2");
  fleet.loop.pass(20s);
  EXPECT_EQ(fleet.ids("N2"), wanted);
}

TEST(EventPump, OverLossesAndRestartsNothingIsLostOrDoubled) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    PumpFleet fleet(3, seed);
    fleet.loss_percent = 30;
    std::map<std::string, std::vector<std::string>> told;
    for (int round = 0; round < 30; ++round) {
      const std::string name = "N" + std::to_string(1 + fleet.loop.random() % 3);
      for (std::uint64_t i = fleet.loop.random() % 9; i > 0; --i) {
        told[name].push_back(name + "/" + std::to_string(told[name].size()));
        fleet[name].bus->publish(event_named(told[name].back()));
      }
      if (fleet.loop.random() % 4 == 0) {
        fleet.stop(name);
        fleet.loop.pass(300ms);
        fleet.start(name);
      }
      fleet.loop.pass(std::chrono::milliseconds(fleet.loop.random() % 400));
    }
    fleet.loss_percent = 0;
    fleet.loop.pass(60s);
    for (const char* name : {"N1", "N2", "N3"}) {
      std::map<std::string, std::vector<std::string>> seen;
      for (const std::string& id : fleet.ids(name)) seen[id.substr(0, 2)].push_back(id);
      EXPECT_EQ(seen, told) << name << " seed " << seed;
    }
  }
}

TEST(EventPump, AReceiverThatForgotIsToldAgain) {
  PumpFleet fleet(2);
  fleet["N1"].bus->publish({event_named("a"), event_named("b")});
  fleet.loop.pass(3s);
  fleet.stop("N2");
  for (const std::string& path : fleet["N2"].disk.all_paths())
    if (path.ends_with(".log")) {
      ASSERT_TRUE(fleet["N2"].disk.remove_file(path));
    }
  fleet.start("N2");
  fleet["N1"].bus->publish(event_named("c"));
  fleet.loop.pass(3s);
  EXPECT_THAT(fleet.ids("N2"), ElementsAre("a", "b", "c"));
}

TEST(EventPump, WhatIsNotInTheRingIsNotTold) {
  PumpFleet fleet(2);
  fleet.stop("N1");
  fleet.ring.events_max = 3;
  fleet.start("N1");
  for (const char* id : {"a", "b", "c", "d", "e"}) fleet["N1"].bus->publish(event_named(id));
  fleet.loop.pass(3s);
  EXPECT_THAT(fleet.ids("N2"), ElementsAre("c", "d", "e"));
}

TEST(EventMessage, ComesBackAsItWas) {
  Bus bus({.identity = pump_identity("N1"), .node = "N1"}, [] { return 5; }, nullptr, [](const std::string&) {});
  bus.publish({event_named("a"), event_named("b")});
  const auto events = bus.read_own(0, 9, 1u << 20);
  const auto message = parse_event_message(as_message(event_message_text(bus.identity(), 7, events)));
  ASSERT_TRUE(message) << message.error();
  EXPECT_EQ(message->identity, bus.identity());
  EXPECT_EQ(message->after, 7u);
  ASSERT_EQ(message->events.size(), 2u);
  EXPECT_EQ(message->events[1].sequence, 5'002u);
  EXPECT_EQ(message->events[1].event->id, "b");
  EXPECT_THAT(parse_event_message(as_message(event_message_text(bus.identity(), 0, {})))->events, IsEmpty());
  EXPECT_EQ(parse_have(as_message(have_text(12))).value(), 12u);
}

TEST(EventMessage, MayBeAnything) {
  const std::string head = "{\"identity\":\"" + pump_identity("N1") + "\",";
  const auto parse = [](const std::string& text) { return parse_event_message(as_message(text)); };
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{}"),
        std::string("{\"identity\":\"x\",\"after\":0,\"events\":[]}"), head + "\"after\":-1,\"events\":[]}",
        head + "\"after\":18446744073709551615,\"events\":[]}", head + "\"after\":0}",
        head + "\"after\":0,\"events\":{}}", head + "\"after\":0,\"events\":[7]}",
        head + "\"after\":0,\"events\":[{\"event\":{}}]}", head + "\"after\":3,\"events\":[{\"sequence\":3}]}",
        head + "\"after\":0,\"events\":[{\"sequence\":3},{\"sequence\":2}]}"})
    EXPECT_FALSE(parse(bad)) << bad;
  std::string many = head + "\"after\":0,\"events\":[";
  for (int i = 1; i <= 257; ++i) many += (i == 1 ? "" : ",") + ("{\"sequence\":" + std::to_string(i) + "}");
  EXPECT_FALSE(parse(many + "]}"));
  const auto odd =
      parse(head + "\"later\":[],\"after\":0,\"events\":[{\"sequence\":4,\"event\":{\"id\":1}},{\"sequence\":5}]}");
  ASSERT_TRUE(odd) << odd.error();
  EXPECT_EQ(odd->events.size(), 2u);
  EXPECT_FALSE(odd->events[0].event) << "only its number counts";
  for (const char* bad : {"", "1", "{}", "{\"have\":\"1\"}", "{\"have\":-1}", "{\"have\":1e30}"})
    EXPECT_FALSE(parse_have(as_message(bad))) << bad;
}

}  // namespace
}  // namespace histod::daemon
