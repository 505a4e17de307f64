// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/bus.hpp"

#include <thread>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/event_samples.hpp"
#include "tests/daemon/memory_disk.hpp"

namespace histod::daemon::telemetry {
namespace {

using test::event_named;
using test::ids_of;
using test::MemoryDisk;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t k_now_ms = 1'700'000'000'000;
constexpr std::size_t k_many = 1'000, k_many_bytes = 1u << 30;
const std::string k_self = "01ARZ3NDEKTSV4RRFFQ69G5FAV", k_other = "01ARZ3NDEKTSV4RRFFQ69G5FAW";

struct BusRig {
  explicit BusRig(jobs::Disk* disk = nullptr, EventRing::Options ring = {}, std::int64_t now_ms = k_now_ms)
      : bus(
            {k_self, "a", ring, {.pause = std::chrono::milliseconds(1)}}, [now_ms] { return now_ms; }, disk,
            [this](const std::string& what) {
              const std::lock_guard lock(mutex);
              troubles.push_back(what);
            }) {}
  std::vector<std::string> ids() const { return ids_of(bus.read(0, k_many, k_many_bytes).events); }
  std::mutex mutex;
  std::vector<std::string> troubles;
  Bus bus;
};

Bus::Foreign foreign(std::uint64_t sequence, const std::string& id) { return {sequence, event_named(id)}; }

TEST(Bus, FillsWhatIsEmptyAndNumbersInOrder) {
  BusRig rig;
  rig.bus.publish({.id = "", .source = "", .type = "io.histod.x"});
  rig.bus.publish(event_named("b"));
  const auto events = rig.bus.read(0, k_many, k_many_bytes).events;
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0]->sequence, k_now_ms * 1'000 + 1) << "from the clock on";
  EXPECT_EQ(events[1]->sequence, k_now_ms * 1'000 + 2);
  const auto object = boost::json::parse(events[0]->json).as_object();
  EXPECT_EQ(object.at("source"), "/nodes/a");
  EXPECT_EQ(object.at("node"), "a");
  EXPECT_EQ(object.at("time"), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(object.at("id").as_string().size(), 26u);
  EXPECT_EQ(std::string(object.at("sequence").as_string()), std::to_string(events[0]->sequence));
  const auto again = read_event(object);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(rig.bus.last(), events[1]->sequence);
}

TEST(Bus, TakesAnIdentityOnceAndNobodysSequence) {
  BusRig rig;
  Event event = event_named("a");
  event.extensions["sequence"] = "17";
  const auto first = rig.bus.publish({event, event_named("b"), event});
  EXPECT_EQ(first.accepted, 2u);
  EXPECT_EQ(first.duplicates, 1u);
  event.source = "/others";
  EXPECT_EQ(rig.bus.publish(event).accepted, 1u) << "another source may use the same id";
  EXPECT_THAT(rig.ids(), ElementsAre("a", "b", "a"));
  for (const auto& stored : rig.bus.read(0, k_many, k_many_bytes).events)
    EXPECT_EQ(stored->json.find("\"17\""), std::string::npos);
  EXPECT_EQ(rig.bus.counts().duplicates, 1u);
}

TEST(Bus, CursorsReadInPiecesAndAreToldWhatTheyMissed) {
  BusRig rig(nullptr, {.events_max = 4});
  const std::uint64_t start = rig.bus.last();
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) rig.bus.publish(event_named(id));
  auto read = rig.bus.read(start, 3, k_many_bytes);
  EXPECT_THAT(ids_of(read.events), ElementsAre("c", "d", "e"));
  EXPECT_EQ(read.missed, 2u);
  read = rig.bus.read(read.next, 3, k_many_bytes);
  EXPECT_THAT(ids_of(read.events), ElementsAre("f"));
  EXPECT_EQ(read.missed, 0u);
  read = rig.bus.read(read.next, 3, k_many_bytes);
  EXPECT_THAT(read.events, IsEmpty());
  EXPECT_EQ(read.next, rig.bus.last());
  EXPECT_THAT(ids_of(rig.bus.read_last(2, k_many_bytes).events), ElementsAre("e", "f"));
  EXPECT_THAT(ids_of(rig.bus.read(start, 9, 1).events), ElementsAre("c")) << "at least one, however large";
  EXPECT_EQ(rig.bus.lag(start).events, 4u);
  EXPECT_EQ(rig.bus.lag(rig.bus.last()).events, 0u);
  EXPECT_EQ(rig.bus.publish(event_named("a")).accepted, 1u) << "it is not remembered any more";
  EXPECT_EQ(rig.bus.counts().evicted, 3u);
}

TEST(Bus, RingIsBoundedByBytes) {
  BusRig rig(nullptr, {.events_max = 1'000, .bytes_max = 20'000});
  Event event = event_named("");
  event.data = std::string(5'000, 'x');
  for (int i = 0; i < 10; ++i) {
    event.id = std::to_string(i);
    rig.bus.publish(event);
    EXPECT_LE(rig.bus.counts().ring_bytes, 20'000u);
  }
  EXPECT_THAT(rig.ids(), ElementsAre("7", "8", "9"));
  EXPECT_GT(rig.bus.lag(0).bytes, 15'000u);
}

TEST(Bus, FiltersByTypeNodeAndSeverity) {
  BusRig rig;
  Event event = event_named("a", "io.histod.secops.znode");
  event.severity = Severity::warning;
  event.node = "b";
  rig.bus.publish({event, event_named("b"), event_named("c", "com.example")});
  const auto ids = [&](const EventFilter& filter) { return ids_of(rig.bus.read(0, 99, k_many_bytes, filter).events); };
  EXPECT_THAT(ids({.types = {"io.histod.secops", "com."}}), ElementsAre("a", "c"));
  EXPECT_THAT(ids({.node = "b"}), ElementsAre("a"));
  EXPECT_THAT(ids({.at_least = Severity::ok}), ElementsAre("a"));
  EXPECT_THAT(ids({.types = {"io.histod.job"}, .at_least = Severity::ok}), IsEmpty());
  EXPECT_EQ(rig.bus.read(0, 99, k_many_bytes, {.node = "none"}).next, rig.bus.last()) << "the cursor passes them over";
}

TEST(Bus, WakesOnceUntilTheReaderReads) {
  BusRig rig;
  int woken = 0;
  auto subscription = rig.bus.subscribe([&] { ++woken; });
  rig.bus.publish(event_named("a"));
  rig.bus.publish(event_named("b"));
  EXPECT_EQ(woken, 1);
  rig.bus.publish(event_named("b"));
  subscription->reading();
  rig.bus.publish(event_named("b"));
  EXPECT_EQ(woken, 1) << "nothing was taken";
  rig.bus.publish(event_named("c"));
  EXPECT_EQ(woken, 2);
  subscription.reset();
  rig.bus.publish(event_named("d"));
  EXPECT_EQ(woken, 2);
}

TEST(Bus, ManyPublishersAndAReaderThatLosesNothing) {
  BusRig rig;
  constexpr int k_threads = 4, k_each = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < k_threads; ++t)
    threads.emplace_back([&rig, t] {
      for (int i = 0; i < k_each; ++i) rig.bus.publish(event_named(std::to_string(t) + "/" + std::to_string(i)));
    });
  std::set<std::string> seen;
  std::uint64_t cursor = 0;
  while (seen.size() < k_threads * k_each) {
    const auto read = rig.bus.read(cursor, 64, k_many_bytes);
    for (const auto& event : read.events) {
      EXPECT_GT(event->sequence, cursor);
      cursor = event->sequence;
      EXPECT_TRUE(seen.insert(event->key).second);
    }
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Bus, ANodesEventsAreTakenOnceAndInOrder) {
  BusRig rig;
  EXPECT_EQ(rig.bus.receive(k_other, 0, {}), 0u) << "nothing is had yet";
  EXPECT_EQ(rig.bus.receive(k_other, 0, {foreign(5, "a"), foreign(9, "b")}), 9u);
  EXPECT_EQ(rig.bus.receive(k_other, 0, {foreign(5, "a"), foreign(9, "b"), foreign(10, "c")}), 10u);
  EXPECT_EQ(rig.bus.receive(k_other, 12, {foreign(13, "e")}), 10u) << "it would leave a gap";
  EXPECT_EQ(rig.bus.receive(k_other, 10, {{12, std::nullopt}, foreign(13, "e")}), 13u);
  EXPECT_THAT(rig.ids(), ElementsAre("a", "b", "c", "e"));
  EXPECT_EQ(rig.bus.counts().received, 4u);
  rig.bus.publish(event_named("e"));
  rig.bus.publish(event_named("own"));
  EXPECT_EQ(rig.bus.receive(k_other, 13, {foreign(14, "own")}), 14u) << "posted to both: known by its identity";
  EXPECT_THAT(rig.ids(), ElementsAre("a", "b", "c", "e", "own"));
  EXPECT_THAT(ids_of(rig.bus.read_own(0, 9, k_many_bytes)), ElementsAre("own")) << "others tell their own";
  EXPECT_THAT(rig.bus.read_own(rig.bus.last(), 9, k_many_bytes), IsEmpty());
}

TEST(Bus, ContinuesOverARestart) {
  MemoryDisk disk;
  std::uint64_t last = 0;
  {
    BusRig rig(&disk);
    rig.bus.publish({event_named("a"), event_named("b")});
    rig.bus.receive(k_other, 0, {foreign(7, "c"), {8, std::nullopt}});
    rig.bus.flush();
    EXPECT_EQ(rig.bus.counts().spool.written, 4u);
    last = rig.bus.last();
  }
  BusRig rig(&disk, {}, k_now_ms - 5'000);  // the clock was set back
  EXPECT_THAT(rig.ids(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(rig.bus.last(), last);
  EXPECT_EQ(rig.bus.publish(event_named("b")).duplicates, 1u);
  rig.bus.publish(event_named("d"));
  EXPECT_EQ(rig.bus.last(), last + 1);
  EXPECT_EQ(rig.bus.receive(k_other, 0, {foreign(7, "c"), foreign(8, "x"), foreign(9, "y")}), 9u);
  EXPECT_THAT(rig.ids(), ElementsAre("a", "b", "c", "d", "y"));
  EXPECT_THAT(rig.troubles, IsEmpty());
}

TEST(Bus, ADiskThatFailsCostsNobodyAnythingButWhatItShouldKeep) {
  MemoryDisk disk;
  {
    BusRig rig(&disk);
    rig.bus.publish(event_named("kept"));
    rig.bus.flush();
    disk.fail_at = disk.calls;
    disk.failure = std::make_error_code(std::errc::no_space_on_device);
    rig.bus.publish(event_named("lost"));
    rig.bus.flush();
    EXPECT_THAT(rig.ids(), ElementsAre("kept", "lost"));
    EXPECT_EQ(rig.bus.counts().spool.failed, 1u);
    rig.bus.publish(event_named("after"));
    rig.bus.flush();
    EXPECT_EQ(rig.bus.counts().spool.written, 2u);
    rig.bus.stop();
    EXPECT_THAT(rig.troubles, ElementsAre("events are not kept: No space left on device"));
  }
  BusRig again(&disk);
  EXPECT_THAT(again.ids(), ElementsAre("kept", "after"));
}

}  // namespace
}  // namespace histod::daemon::telemetry
