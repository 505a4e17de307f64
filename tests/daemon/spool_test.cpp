// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/spool.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/ulid.hpp"
#include "tests/daemon/job_samples.hpp"
#include "tests/daemon/memory_disk.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::test {
namespace {

using namespace daemon::jobs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t k_budget = 1u << 20;

std::string id_of(unsigned n) {
  UlidSource source([] { return UlidSource::Random{}; });
  return source.next(1'767'225'600'000 + n);
}

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

DiskResult<void> create(Spool& spool, const std::string& id) {
  const std::string input = content_of(id, "input");
  const Bytes parts[] = {bytes_of(input).first(10), bytes_of(input).subspan(10)};
  return spool.create(sample_job(id), parts, {});
}

DiskResult<void> finish(Spool& spool, const std::string& id) {
  const std::string result = content_of(id, "result");
  const Bytes part = bytes_of(result);
  if (const auto stored = spool.store_result(id, std::span(&part, 1)); !stored) return stored;
  return spool.update(finished_job(id));
}

std::string input_of(Spool& spool, const JobRecord& record) {
  std::string out(record.input.bytes, '\0');
  const auto read = spool.read_input(record, std::as_writable_bytes(std::span(out)));
  return read ? out : "(" + read.error().message() + ")";
}

std::string result_of(Spool& spool, const std::string& id) {
  const auto bytes = spool.result_bytes(id);
  if (!bytes) return "(" + bytes.error().message() + ")";
  std::string out(*bytes, '\0');
  const auto read = spool.read_result(id, std::as_writable_bytes(std::span(out)));
  return read ? out : "(" + read.error().message() + ")";
}

class SpoolTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(spool.open()); }
  /// What another process finds on the same disk.
  SpoolScan scan_again() {
    Spool other(disk, k_budget);
    return other.open().value();
  }
  MemoryDisk disk;
  Spool spool{disk, k_budget};
};

TEST_F(SpoolTest, AJobComesBackAsItWasCreated) {
  ASSERT_TRUE(create(spool, id_of(1)));
  Spool other(disk, k_budget);
  const auto scan = other.open();
  ASSERT_TRUE(scan);
  ASSERT_EQ(scan->jobs.size(), 1u);
  EXPECT_EQ(scan->jobs[0], sample_job(id_of(1)));
  EXPECT_EQ(input_of(other, scan->jobs[0]), content_of(id_of(1), "input"));
  EXPECT_EQ(other.usage().bytes, spool.usage().bytes);
  EXPECT_EQ(other.usage().jobs, 1u);
}

TEST_F(SpoolTest, JobsComeBackInTheOrderOfTheirAge) {
  for (const unsigned n : {3u, 1u, 2u}) ASSERT_TRUE(create(spool, id_of(n)));
  std::vector<std::string> ids;
  for (const JobRecord& job : scan_again().jobs) ids.push_back(job.id);
  EXPECT_THAT(ids, ElementsAre(id_of(1), id_of(2), id_of(3)));
}

TEST_F(SpoolTest, AMaskIsKeptBesideTheInput) {
  JobRecord record = sample_job(id_of(1));
  const std::string input = content_of(record.id, "input"), mask = content_of(record.id, "mask");
  record.input.mask_bytes = mask.size();
  record.input.mask_sha256 = sha256_hex(mask);
  const Bytes input_part = bytes_of(input), mask_part = bytes_of(mask);
  ASSERT_TRUE(spool.create(record, std::span(&input_part, 1), std::span(&mask_part, 1)));
  std::string found(mask.size(), '\0');
  ASSERT_TRUE(spool.read_mask(record, std::as_writable_bytes(std::span(found))));
  EXPECT_EQ(found, mask);
  EXPECT_EQ(scan_again().jobs.at(0), record);
}

TEST_F(SpoolTest, AFinishedJobHasItsResult) {
  ASSERT_TRUE(create(spool, id_of(1)));
  ASSERT_TRUE(finish(spool, id_of(1)));
  EXPECT_EQ(result_of(spool, id_of(1)), content_of(id_of(1), "result"));
  EXPECT_EQ(scan_again().jobs.at(0), finished_job(id_of(1)));
}

TEST_F(SpoolTest, AFinishedJobCanDoWithoutItsInput) {
  ASSERT_TRUE(create(spool, id_of(1)));
  ASSERT_TRUE(finish(spool, id_of(1)));
  const std::uint64_t before = spool.usage().bytes;
  ASSERT_TRUE(spool.remove_input(id_of(1)));
  EXPECT_EQ(before - spool.usage().bytes, content_of(id_of(1), "input").size());
  EXPECT_EQ(scan_again().jobs.size(), 1u);
}

TEST_F(SpoolTest, ARemovedJobLeavesNothing) {
  ASSERT_TRUE(create(spool, id_of(1)));
  ASSERT_TRUE(spool.remove(id_of(1)));
  EXPECT_EQ(spool.usage().bytes, 0u);
  EXPECT_EQ(spool.usage().jobs, 0u);
  EXPECT_THAT(disk.all_paths(), ElementsAre("datasets", "jobs", "quarantine", "removed"));
  EXPECT_EQ(spool.remove(id_of(1)).error(), SpoolErrc::no_such_job);
}

TEST_F(SpoolTest, WhatIsNoJobIsRefused) {
  EXPECT_EQ(create(spool, "../../etc/passwd").error(), SpoolErrc::bad_argument);
  EXPECT_EQ(spool.remove("..").error(), SpoolErrc::bad_argument);
  EXPECT_EQ(spool.result_bytes("").error(), SpoolErrc::bad_argument);
  EXPECT_EQ(spool.update(sample_job(id_of(1))).error(), SpoolErrc::no_such_job);
  EXPECT_EQ(finish(spool, id_of(1)).error(), SpoolErrc::no_such_job);
  ASSERT_TRUE(create(spool, id_of(1)));
  EXPECT_EQ(create(spool, id_of(1)).error(), SpoolErrc::exists);
}

TEST_F(SpoolTest, TheBudgetIsKept) {
  unsigned n = 0;
  DiskResult<void> last;
  while ((last = create(spool, id_of(n)))) ASSERT_LT(++n, 10'000u);
  EXPECT_EQ(last.error(), SpoolErrc::no_space);
  // Records are not held against the budget before they are written: one of them may exceed it.
  EXPECT_LE(spool.usage().bytes, k_budget + 2'000);
  EXPECT_FALSE(disk.exists("jobs/." + id_of(n) + ".tmp"));
  ASSERT_TRUE(spool.remove(id_of(0)));
  ASSERT_TRUE(spool.remove(id_of(1)));
  EXPECT_TRUE(create(spool, id_of(n)));
}

TEST_F(SpoolTest, AFullDiskIsAFullSpool) {
  for (const int error : {ENOSPC, EDQUOT}) {
    disk.failure = std::error_code(error, std::system_category());
    disk.fail_at = disk.calls + 3;
    EXPECT_EQ(create(spool, id_of(1)).error(), SpoolErrc::no_space);
  }
  EXPECT_THAT(disk.all_paths(), ElementsAre("datasets", "jobs", "quarantine", "removed"));
  EXPECT_TRUE(create(spool, id_of(1)));
}

TEST_F(SpoolTest, AnInputThatChangedOnTheDiskIsNoticed) {
  ASSERT_TRUE(create(spool, id_of(1)));
  std::string changed = content_of(id_of(1), "input");
  changed.back() ^= 1;
  disk.put("jobs/" + id_of(1) + "/input", changed);
  EXPECT_THAT(input_of(spool, sample_job(id_of(1))), HasSubstr("does not match"));
  disk.put("jobs/" + id_of(1) + "/input", "short");
  EXPECT_THAT(input_of(spool, sample_job(id_of(1))), HasSubstr("does not match"));
}

struct Breakage {
  const char* name;
  std::function<void(MemoryDisk&, const std::string& folder)> damage;
  const char* reason;
};

class SpoolQuarantine : public testing::TestWithParam<Breakage> {};

TEST_P(SpoolQuarantine, MovesABrokenJobAside) {
  MemoryDisk disk;
  Spool spool(disk, k_budget);
  ASSERT_TRUE(spool.open());
  ASSERT_TRUE(create(spool, id_of(1)));
  ASSERT_TRUE(create(spool, id_of(2)));
  GetParam().damage(disk, "jobs/" + id_of(1));
  Spool other(disk, k_budget);
  const auto scan = other.open();
  ASSERT_TRUE(scan);
  ASSERT_EQ(scan->jobs.size(), 1u);
  EXPECT_EQ(scan->jobs[0].id, id_of(2));
  ASSERT_EQ(scan->quarantined.size(), 1u);
  EXPECT_EQ(scan->quarantined[0].id, id_of(1));
  EXPECT_THAT(scan->quarantined[0].reason, HasSubstr(GetParam().reason));
  EXPECT_EQ(disk.content("quarantine/" + id_of(1) + ".0.reason"), scan->quarantined[0].reason);
  EXPECT_FALSE(disk.exists("jobs/" + id_of(1)));
}

INSTANTIATE_TEST_SUITE_P(
    All, SpoolQuarantine,
    testing::Values(
        Breakage{"NoRecord", [](MemoryDisk& d, const std::string& f) { (void)d.remove_file(f + "/record"); },
                 "cannot be read"},
        Breakage{"EmptyRecord", [](MemoryDisk& d, const std::string& f) { d.put(f + "/record", ""); },
                 "does not start"},
        Breakage{"Unreadable", [](MemoryDisk& d, const std::string& f) { d.unreadable.insert(f + "/record"); },
                 "cannot be read"},
        Breakage{"Huge", [](MemoryDisk& d, const std::string& f) { d.put(f + "/record", std::string(2u << 20, 'x')); },
                 "2097152 bytes"},
        Breakage{"OtherId",
                 [](MemoryDisk& d, const std::string& f) { d.put(f + "/record", encode_record(sample_job(id_of(9)))); },
                 "another one"},
        Breakage{"NoInput", [](MemoryDisk& d, const std::string& f) { (void)d.remove_file(f + "/input"); },
                 "input is missing"},
        Breakage{"ShortInput", [](MemoryDisk& d, const std::string& f) { d.put(f + "/input", "abc"); },
                 "input has 3 bytes"},
        Breakage{
            "NoResult",
            [](MemoryDisk& d, const std::string& f) { d.put(f + "/record", encode_record(finished_job(id_of(1)))); },
            "result is missing"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST_F(SpoolTest, WhatALaterReleaseWroteIsLeftAlone) {
  const std::string record = "histod-job 4 3 whatever\n{}!";
  disk.put("jobs/" + id_of(1) + "/record", record);
  const SpoolScan scan = scan_again();
  EXPECT_THAT(scan.jobs, IsEmpty());
  ASSERT_EQ(scan.left_alone.size(), 1u);
  EXPECT_THAT(scan.left_alone[0].reason, HasSubstr("version 4"));
  EXPECT_EQ(disk.content("jobs/" + id_of(1) + "/record"), record);
}

TEST_F(SpoolTest, LeftoversAreRemovedAndStrangersMovedAside) {
  ASSERT_TRUE(create(spool, id_of(1)));
  disk.put("jobs/." + id_of(2) + ".tmp/input", "half");
  disk.put("jobs/." + id_of(3) + ".gone/record", "old");
  disk.put("jobs/" + id_of(1) + "/record.tmp", "half");
  disk.put("jobs/notes.txt", "hello");
  const SpoolScan scan = scan_again();
  EXPECT_EQ(scan.leftovers_removed, 2u);
  EXPECT_EQ(scan.jobs.size(), 1u);
  ASSERT_EQ(scan.quarantined.size(), 1u);
  EXPECT_EQ(scan.quarantined[0].id, "notes.txt");
  EXPECT_EQ(disk.content("quarantine/notes.txt.0"), "hello");
  EXPECT_FALSE(disk.exists("jobs/" + id_of(1) + "/record.tmp"));
  EXPECT_FALSE(disk.exists("jobs/." + id_of(2) + ".tmp"));
}

/// What a client was told, job by job.
struct Told {
  std::set<std::string> created, done, removed, removal_tried;
};

/// A little of everything; goes on after failures, as the daemon does.
Told workload(Spool& spool) {
  Told told;
  for (unsigned n = 0; n < 4; ++n) {
    const std::string id = id_of(n);
    if (!create(spool, id)) continue;
    told.created.insert(id);
    if (n > 0 && finish(spool, id)) told.done.insert(id);
    if (n == 2) {
      told.removal_tried.insert(id);
      if (spool.remove(id)) told.removed.insert(id);
    }
  }
  return told;
}

void expect_kept(MemoryDisk& disk, const Told& told) {
  Spool spool(disk, k_budget);
  const auto scan = spool.open();
  ASSERT_TRUE(scan) << scan.error().message();
  EXPECT_THAT(scan->quarantined, IsEmpty());
  std::set<std::string> found;
  for (const JobRecord& job : scan->jobs) {
    found.insert(job.id);
    EXPECT_FALSE(told.removed.contains(job.id)) << job.id << " came back";
    EXPECT_EQ(input_of(spool, job), content_of(job.id, "input"));
    if (told.done.contains(job.id)) {
      EXPECT_EQ(job, finished_job(job.id));
    }
    if (job.state == JobState::done) {
      EXPECT_EQ(result_of(spool, job.id), content_of(job.id, "result"));
    }
  }
  for (const std::string& id : told.created) {
    if (!told.removal_tried.contains(id)) {
      EXPECT_TRUE(found.contains(id)) << id << " is lost";
    }
  }
}

/// The number of calls that the workload makes when nothing fails.
std::uint64_t calls_of_workload() {
  MemoryDisk disk;
  Spool spool(disk, k_budget);
  EXPECT_TRUE(spool.open());
  const Told told = workload(spool);
  EXPECT_EQ(told.done.size(), 3u);
  EXPECT_EQ(told.removed.size(), 1u);
  return disk.calls;
}

TEST(SpoolFaults, APowerLossAtAnyCallLosesNothingThatWasTold) {
  const std::uint64_t calls = calls_of_workload();
  ASSERT_GT(calls, 60u);
  for (std::uint64_t at = 0; at <= calls; ++at) {
    SCOPED_TRACE(at);
    MemoryDisk disk;
    disk.fail_at = at;
    disk.stay_down = true;
    Spool spool(disk, k_budget);
    const Told told = spool.open() ? workload(spool) : Told{};
    for (const bool lucky : {false, true}) {
      const auto left = disk.after_power_loss(lucky);
      expect_kept(*left, told);
    }
  }
}

TEST(SpoolFaults, OneFailedCallLosesNothingThatWasTold) {
  const std::uint64_t calls = calls_of_workload();
  MemoryDisk empty;
  Spool opened(empty, k_budget);
  ASSERT_TRUE(opened.open());
  const std::uint64_t calls_of_opening = empty.calls;
  for (const auto error : {std::errc::io_error, std::errc::no_space_on_device}) {
    for (std::uint64_t at = calls_of_opening; at < calls; ++at) {
      SCOPED_TRACE(at);
      MemoryDisk disk;
      disk.failure = std::make_error_code(error);
      disk.fail_at = at;
      Spool spool(disk, k_budget);
      ASSERT_TRUE(spool.open());
      const Told told = workload(spool);
      const auto left = disk.after_power_loss(false);
      expect_kept(*left, told);
      expect_kept(disk, told);
    }
  }
}

TEST(SpoolFaults, APowerLossDuringTheRecoveryLosesNothing) {
  for (std::uint64_t at = 0; at < 40; ++at) {
    SCOPED_TRACE(at);
    MemoryDisk disk;
    Spool spool(disk, k_budget);
    ASSERT_TRUE(spool.open());
    const Told told = workload(spool);
    disk.put("jobs/." + id_of(20) + ".tmp/input", "half");
    disk.put("jobs/" + id_of(21) + "/record", "broken");
    disk.fail_at = disk.calls + at;
    disk.stay_down = true;
    Spool recovering(disk, k_budget);
    (void)recovering.open();
    const auto left = disk.after_power_loss(false);
    Spool after(*left, k_budget);
    const auto scan = after.open();
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->jobs.size(), 3u);
    EXPECT_EQ(told.created.size(), 4u);
  }
}

TEST(PosixDisk, DoesWhatTheInterfaceSays) {
  const TemporaryFolder folder;
  const std::string root = (folder.path() / "spool").string();
  auto disk = open_posix_disk(root);
  ASSERT_TRUE(disk) << disk.error().message();
  Disk& d = **disk;
  ASSERT_TRUE(d.make_directory("a"));
  EXPECT_EQ(d.make_directory("a").error(), std::errc::file_exists);
  const std::string text = "hello world";
  {
    auto file = d.create_file("a/b");
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write(bytes_of(text)));
    ASSERT_TRUE((*file)->sync());
  }
  EXPECT_TRUE(d.sync_directory("a"));
  EXPECT_EQ(d.file_bytes("a/b").value(), text.size());
  EXPECT_EQ(d.file_bytes("a/c").error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(d.file_bytes("a").error(), std::errc::invalid_argument);
  std::string read(text.size(), '\0');
  ASSERT_TRUE(d.read_file("a/b", std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, text);
  std::string longer(text.size() + 1, '\0');
  EXPECT_EQ(d.read_file("a/b", std::as_writable_bytes(std::span(longer))).error(), std::errc::io_error);
  ASSERT_TRUE(d.rename("a/b", "a/c"));
  const auto entries = d.list("a");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->at(0).name, "c");
  EXPECT_FALSE(entries->at(0).is_directory);
  EXPECT_EQ(d.remove_directory("a").error(), std::errc::directory_not_empty);
  EXPECT_TRUE(d.remove_file("a/c"));
  EXPECT_TRUE(d.remove_directory("a"));
  EXPECT_GT(d.free_bytes().value(), 0u);
}

TEST(PosixDisk, IsPrivateAndHeldByOneProcess) {
  const TemporaryFolder folder;
  const std::string root = (folder.path() / "spool").string();
  {
    const auto disk = open_posix_disk(root);
    ASSERT_TRUE(disk);
    ASSERT_TRUE((*disk)->create_file("f"));
    struct stat status{};
    ASSERT_EQ(::stat(root.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0700u);
    ASSERT_EQ(::stat((root + "/f").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    EXPECT_EQ(open_posix_disk(root).error(), std::errc::device_or_resource_busy);
  }
  EXPECT_TRUE(open_posix_disk(root));
  EXPECT_EQ(open_posix_disk((folder.path() / "no" / "such").string()).error(), std::errc::no_such_file_or_directory);
}

TEST(PosixDisk, FollowsNoLinks) {
  const TemporaryFolder folder;
  const std::string outside = folder.file("secret", "secret");
  const std::string root = (folder.path() / "spool").string();
  const auto disk = open_posix_disk(root);
  ASSERT_TRUE(disk);
  std::filesystem::create_symlink(outside, root + "/link");
  std::string read(6, '\0');
  EXPECT_FALSE((*disk)->read_file("link", std::as_writable_bytes(std::span(read))));
  EXPECT_FALSE((*disk)->create_file("link"));
  EXPECT_FALSE((*disk)->file_bytes("link"));
}

TEST(PosixDisk, CarriesAWholeSpool) {
  const TemporaryFolder folder;
  const auto disk = open_posix_disk((folder.path() / "spool").string());
  ASSERT_TRUE(disk);
  Spool spool(**disk, k_budget);
  ASSERT_TRUE(spool.open());
  const Told told = workload(spool);
  Spool other(**disk, k_budget);
  const auto scan = other.open();
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->jobs.size(), told.created.size() - told.removed.size());
  EXPECT_EQ(other.usage().bytes, spool.usage().bytes);
}

TEST(Ulid, IdsAscendAndTellTheirTime) {
  UlidSource source;
  std::string last;
  for (const std::int64_t now :
       std::initializer_list<std::int64_t>{1000, 1000, 1000, 999, 0, 1001, 1'767'225'600'000}) {
    const std::string id = source.next(now);
    EXPECT_TRUE(is_ulid(id)) << id;
    EXPECT_GT(id, last);
    last = id;
  }
  EXPECT_EQ(ulid_ms(last), 1'767'225'600'000);
}

TEST(Ulid, MatchesTheSpecificationsLayout) {
  UlidSource zeros([] { return UlidSource::Random{}; });
  EXPECT_EQ(zeros.next(1469918176385), "01ARYZ6S410000000000000000");  // the time of the specification's example
  UlidSource ones([] {
    UlidSource::Random all;
    all.fill(0xff);
    return all;
  });
  EXPECT_EQ(ones.next(1469918176385), "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
  EXPECT_EQ(ones.next(1469918176385), "01ARYZ6S420000000000000000");  // the overflow goes into the time
}

TEST(Ulid, RefusesWhatIsNone) {
  for (const char* text : {"", "01ARYZ6S41000000000000000", "01ARYZ6S4100000000000000000", "81ARYZ6S410000000000000000",
                           "01aryz6s410000000000000000", "01ARYZ6S4100000000000000/0", "01ARYZ6S41000000000000000U"}) {
    EXPECT_FALSE(is_ulid(text)) << text;
  }
}

TEST(Digest, MatchesTheStandardsExamples) {
  EXPECT_EQ(sha256_hex(std::string_view("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::string_view("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.update("a");
  parts.update("bc");
  EXPECT_EQ(hex(parts.finish()), sha256_hex(std::string_view("abc")));
  EXPECT_TRUE(is_sha256_hex(sha256_hex(std::string_view("abc"))));
  EXPECT_FALSE(is_sha256_hex("abc"));
  EXPECT_FALSE(is_sha256_hex(std::string(64, 'G')));
}

}  // namespace
}  // namespace histod::test
