// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "daemon/jobs/record.hpp"

namespace histod::daemon::jobs {

using Bytes = std::span<const std::byte>;
template <class T>
using DiskResult = std::expected<T, std::error_code>;

/// A file being written. Nothing of it is durable before sync() succeeded.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  virtual DiskResult<void> write(Bytes bytes) = 0;  ///< all of it
  virtual DiskResult<void> sync() = 0;
};

struct DiskEntry {
  std::string name;
  bool is_directory = false;
};

/// What the spool needs of a file system. Paths are relative to its root, never absolute, and without "..". Calls
/// block.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual DiskResult<void> make_directory(const std::string& path) = 0;  ///< errc::file_exists when it is there
  virtual DiskResult<std::unique_ptr<DiskFile>> create_file(const std::string& path) = 0;  ///< truncates an old one
  virtual DiskResult<void> sync_directory(const std::string& path) = 0;
  virtual DiskResult<void> rename(const std::string& from, const std::string& to) = 0;
  virtual DiskResult<std::uint64_t> file_bytes(const std::string& path) = 0;
  virtual DiskResult<void> read_file(const std::string& path, std::span<std::byte> into) = 0;  ///< exactly that many
  virtual DiskResult<std::vector<DiskEntry>> list(const std::string& path) = 0;
  virtual DiskResult<void> remove_file(const std::string& path) = 0;
  virtual DiskResult<void> remove_directory(const std::string& path) = 0;  ///< an empty one
  virtual DiskResult<std::uint64_t> free_bytes() = 0;
};

/// The directory `root`, which is made (mode 0700) if its parent is there. Files are 0600. One process at a time: a
/// lock file that is held as long as the disk lives; errc::device_or_resource_busy when another process has it.
DiskResult<std::unique_ptr<Disk>> open_posix_disk(const std::string& root);

enum class SpoolErrc : int {
  no_space = 1,  ///< the spool's budget or the disk is full: 507
  no_such_job,
  exists,
  corrupt,       ///< what is on the disk does not match its record
  bad_argument,  ///< an id that is none
};
const std::error_category& spool_category() noexcept;
std::error_code make_error_code(SpoolErrc code) noexcept;

struct SpoolScan {
  struct Refused {
    std::string id, reason;
  };
  std::vector<JobRecord> jobs;        ///< by id, which is by age
  std::vector<Refused> quarantined;   ///< moved aside: broken
  std::vector<Refused> left_alone;    ///< written by a later release
  std::size_t leftovers_removed = 0;  ///< of jobs that were never acknowledged, or were being removed
};

/// Jobs on stable storage: jobs/<id>/{record,input,mask,result}. All calls block and are made by one thread; usage()
/// may be read by any. When a call that changes something returns success, the change survives a power loss; when it
/// fails, the job is as it was before, or as it would be after (never anything between).
class Spool {
 public:
  struct Usage {
    std::uint64_t bytes = 0, budget_bytes = 0, jobs = 0;
  };

  Spool(Disk& disk, std::uint64_t budget_bytes);

  /// Once, before anything else: makes the directories, takes stock, tidies up.
  DiskResult<SpoolScan> open();
  /// Publishes a new job atomically. `input` and `mask` in parts; sizes and digests in the record are the caller's.
  DiskResult<void> create(const JobRecord& record, std::span<const Bytes> input, std::span<const Bytes> mask);
  DiskResult<void> update(const JobRecord& record);
  /// The result's bytes; update() with the final record comes after it. Replaces a result of an earlier attempt.
  DiskResult<void> store_result(const std::string& id, std::span<const Bytes> result);
  /// Fills `into`, which has exactly the recorded size, and compares with the record's digest.
  DiskResult<void> read_input(const JobRecord& record, std::span<std::byte> into);
  DiskResult<void> read_mask(const JobRecord& record, std::span<std::byte> into);
  DiskResult<std::uint64_t> result_bytes(const std::string& id);
  DiskResult<void> read_result(const std::string& id, std::span<std::byte> into);
  /// Drops input and mask of a finished job: only the record and the result are still of use.
  DiskResult<void> remove_input(const std::string& id);
  DiskResult<void> remove(const std::string& id);
  Usage usage() const;  ///< any thread

 private:
  DiskResult<void> write_file(const std::string& path, std::span<const Bytes> parts);
  DiskResult<void> replace_file(const std::string& id, const std::string& name, std::span<const Bytes> parts);
  DiskResult<void> write_job(const std::string& folder, const JobRecord& record, std::span<const Bytes> input,
                             std::span<const Bytes> mask);
  DiskResult<void> read_checked(const std::string& path, std::span<std::byte> into, std::string_view sha256_hex);
  DiskResult<void> remove_tree(const std::string& folder);
  DiskResult<void> scan_entry(const DiskEntry& entry, SpoolScan& scan);
  using Loaded = std::expected<JobRecord, RecordError>;
  DiskResult<Loaded> load(const std::string& id);
  DiskResult<std::string> missing_file(const JobRecord& record);
  DiskResult<void> quarantine(const std::string& name, const std::string& reason, SpoolScan& scan);
  DiskResult<void> known(const std::string& id) const;
  void account(const std::string& id);
  void forget(const std::string& id);

  Disk& disk_;
  std::uint64_t budget_bytes_;
  std::unordered_map<std::string, std::uint64_t> bytes_by_job_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> jobs_{0};
};

}  // namespace histod::daemon::jobs

template <>
struct std::is_error_code_enum<histod::daemon::jobs::SpoolErrc> : std::true_type {};
