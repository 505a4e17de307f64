// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/event_log.hpp"

#include <boost/json/serialize.hpp>
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
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

const std::string k_own = "01ARZ3NDEKTSV4RRFFQ69G5FAV", k_foreign = "01ARZ3NDEKTSV4RRFFQ69G5FAW";

LogEntry entry(std::uint64_t sequence, const std::string& origin = k_own, std::size_t data_bytes = 0) {
  Event event = event_named(std::to_string(sequence));
  if (data_bytes > 0) event.data = std::string(data_bytes, 'x');
  StoredEvent stored{.sequence = sequence, .origin = origin, .origin_sequence = sequence * 10};
  stored.json = with_sequence(sequence, boost::json::serialize(write_event(event)));
  stored.key = event_key(event);
  return {origin, stored.origin_sequence, std::make_shared<const StoredEvent>(std::move(stored))};
}

EventLog::Recovered recover(MemoryDisk& disk, EventLog::Options options = {.identity = k_own}) {
  return EventLog(disk, std::move(options)).recover();
}

std::vector<std::string> ids(const EventLog::Recovered& found) {
  return ids_of({found.events.begin(), found.events.end()});
}

std::vector<std::string> segments(const MemoryDisk& disk) {
  std::vector<std::string> out;
  for (const std::string& path : disk.all_paths())
    if (path.ends_with(".log")) out.push_back(path);
  return out;
}

void write(MemoryDisk& disk, std::vector<LogEntry> entries, EventLog::Options options = {.identity = k_own}) {
  EventLog log(disk, std::move(options));
  log.recover();
  ASSERT_TRUE(log.append(entries));
}

TEST(EventLog, GivesBackWhatWasWrittenWithItsMarks) {
  MemoryDisk disk;
  EXPECT_THAT(ids(recover(disk)), IsEmpty());
  write(disk, {entry(3), entry(4, k_foreign), {k_foreign, 41, nullptr}});
  write(disk, {entry(7)});
  const auto found = recover(disk);
  EXPECT_THAT(ids(found), ElementsAre("3", "4", "7"));
  EXPECT_EQ(found.last, 7u);
  EXPECT_THAT(found.marks, ElementsAre(Pair(k_foreign, 41)));
  EXPECT_EQ(found.events[1]->origin, k_foreign);
  EXPECT_EQ(found.events[1]->origin_sequence, 40u);
  EXPECT_EQ(found.events[1]->json, entry(4).event->json);
  EXPECT_EQ(found.broken_lines, 0u);
  EXPECT_THAT(found.troubles, IsEmpty());
  EXPECT_THAT(segments(disk), SizeIs(2)) << "each start begins one";
}

TEST(EventLog, DropsATornEndWhereverItIsTorn) {
  MemoryDisk whole;
  write(whole, {entry(1), entry(2)});
  const std::string path = segments(whole).front();
  const std::string text = whole.content(path);
  const std::size_t header_end = text.find('\n'), first_end = text.find('\n', header_end + 1);
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes) {
    MemoryDisk disk;
    disk.put(path, text.substr(0, bytes));
    const auto found = recover(disk);
    const std::size_t lines = bytes == text.size() ? 2 : bytes > first_end ? 1 : 0;
    ASSERT_EQ(found.events.size(), lines) << bytes;
    // Behind a torn end new events are written and found.
    write(disk, {entry(9)});
    ASSERT_EQ(recover(disk).events.size(), lines + 1) << bytes;
  }
}

TEST(EventLog, PassesOverWhatIsNoLineOfOurs) {
  MemoryDisk disk;
  write(disk, {entry(5)});
  const std::string path = segments(disk).front();
  const std::string good = disk.content(path);
  for (const char* bad : {"{}", "null", "[1]", "{\"origin\":1,\"number\":2,\"event\":null}", "\xff\xfe",
                          "{\"origin\":\"x\",\"number\":-2,\"event\":null}",
                          "{\"origin\":\"x\",\"number\":2,\"event\":{\"specversion\":\"1.0\"}}"}) {
    disk.put(path, good + bad + "\n");
    const auto found = recover(disk);
    EXPECT_THAT(ids(found), ElementsAre("5")) << bad;
    EXPECT_EQ(found.broken_lines, 1u) << bad;
  }
  const std::string line = good.substr(good.find('\n') + 1);
  disk.put(path, good + line);
  EXPECT_THAT(ids(recover(disk)), ElementsAre("5")) << "what does not ascend is not told twice";
}

TEST(EventLog, LeavesALaterReleasesFileAlone) {
  MemoryDisk disk;
  const std::string path = "events/00000000000000000005.log";
  disk.put(path, "{\"version\":3,\"since\":2,\"last\":4}\nwhatever it is\n");
  const auto found = recover(disk);
  EXPECT_THAT(found.events, IsEmpty());
  EXPECT_THAT(found.troubles, ElementsAre(HasSubstr("a later release wrote it")));
  write(disk, {entry(9)}, {.identity = k_own, .segment_bytes_max = 1, .bytes_max = 1, .segments_max = 1});
  EXPECT_TRUE(disk.exists(path));
  disk.put(path, "{\"version\":3,\"since\":1,\"last\":4,\"marks\":{},\"more\":[]}\n");
  EXPECT_EQ(recover(disk).troubles.size(), 0u) << "one that says that this release understands it is read";
}

TEST(EventLog, IsBoundedByBytesAndFiles) {
  MemoryDisk disk;
  const EventLog::Options bounds{.identity = k_own, .segment_bytes_max = 10'000, .bytes_max = 30'000};
  EventLog log(disk, bounds);
  log.recover();
  for (std::uint64_t i = 1; i <= 100; ++i) {
    const LogEntry one = entry(i, i == 1 ? k_foreign : k_own, 3'000);
    ASSERT_TRUE(log.append(std::span(&one, 1)));
    std::size_t bytes = 0;
    for (const std::string& path : segments(disk)) bytes += disk.content(path).size();
    ASSERT_LE(bytes, 30'000u + 2 * 3'500);
  }
  const auto found = recover(disk, bounds);
  EXPECT_GE(found.events.size(), 4u);
  EXPECT_EQ(found.events.back()->sequence, 100u);
  EXPECT_THAT(found.marks, ElementsAre(Pair(k_foreign, 10))) << "marks outlive the events";
  for (int start = 0; start < 10; ++start)
    write(disk, {entry(200 + static_cast<std::uint64_t>(start))}, {.identity = k_own, .segments_max = 3});
  EXPECT_THAT(segments(disk), SizeIs(3));
}

TEST(EventLog, AnyFailureOfTheDiskLeavesWhatCanBeReadAndWrittenAgain) {
  for (std::uint64_t fail_at = 0; fail_at < 12; ++fail_at) {
    MemoryDisk disk;
    disk.fail_at = fail_at;
    EventLog log(disk, {.identity = k_own, .segment_bytes_max = 600, .bytes_max = 1'300});
    log.recover();
    std::uint64_t kept = 0;
    for (std::uint64_t i = 1; i <= 6; ++i) {
      const LogEntry one = entry(i);
      if (log.append(std::span(&one, 1))) kept = i;
    }
    const auto found = recover(disk);
    ASSERT_FALSE(found.events.empty()) << fail_at;
    EXPECT_EQ(found.events.back()->sequence, kept) << fail_at;
  }
}

TEST(EventLog, UnreadableFilesAreToldAndNoMore) {
  MemoryDisk disk;
  write(disk, {entry(5)});
  write(disk, {entry(6)});
  disk.unreadable.insert(segments(disk).front());
  const auto found = recover(disk);
  EXPECT_THAT(ids(found), ElementsAre("6"));
  EXPECT_THAT(found.troubles, SizeIs(1));
}

TEST(RaiseMark, ForgetsTheLowestOfTooMany) {
  Marks marks;
  for (std::size_t i = 0; i <= k_marks_max; ++i) raise_mark(marks, std::to_string(i), 1'000 + i);
  EXPECT_EQ(marks.size(), k_marks_max);
  EXPECT_FALSE(marks.contains("0"));
  raise_mark(marks, "7", 3);
  EXPECT_EQ(marks.at("7"), 1'007u) << "never lower";
}

}  // namespace
}  // namespace histod::daemon::telemetry
