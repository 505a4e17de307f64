// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/jobs/dataset_record.hpp"
#include "daemon/jobs/disk.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/jobs/shelf.hpp"

namespace histod::daemon::jobs {

struct SpoolScan {
  struct Refused {
    std::string id, reason;
  };
  std::vector<JobRecord> jobs;          ///< by id, which is by age
  std::vector<DatasetRecord> datasets;  ///< by id
  std::vector<Refused> quarantined;     ///< moved aside: broken
  std::vector<Refused> left_alone;      ///< written by a later release
  std::vector<std::string> removed;     ///< ids that note_removed() was told
  std::size_t leftovers_removed = 0;    ///< of jobs that were never acknowledged, or were being removed
};

/// Jobs and datasets on stable storage: jobs/<id>/{record,input,mask,tally,result} and datasets/<id>/{record,tables-*};
/// removed/<id> is an empty file.
/// All calls block and are made by one thread; usage() may be read by any. When a call that changes something returns
/// success, the change survives a power loss; when it fails, the job is as it was before, or as it would be after
/// (never anything between).
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
  /// What the image contributes to its dataset; update() with the record that says so comes after it.
  DiskResult<void> store_tally(const std::string& id, Bytes tally);
  DiskResult<std::string> read_tally(const std::string& id);
  DiskResult<std::uint64_t> result_bytes(const std::string& id);
  DiskResult<void> read_result(const std::string& id, std::span<std::byte> into);
  /// Drops input and mask of a finished job: only the record and the result are still of use.
  DiskResult<void> remove_input(const std::string& id);
  /// After an error has() says whether the job is here still.
  DiskResult<void> remove(const std::string& id);
  bool has(const std::string& id) const { return jobs_.has(id); }
  /// After it, no job that has been removed comes back, though its removal failed half-way.
  DiskResult<void> settle_removals() { return jobs_.settle(); }
  /// That a job has been removed is to be known here, though another node still has it.
  DiskResult<void> note_removed(const std::string& id);
  /// The same need not be known any more. A failure costs an empty file.
  void forget_removed(const std::string& id);
  Usage usage() const;  ///< any thread

  DiskResult<void> create_dataset(const DatasetRecord& record);
  DiskResult<void> update_dataset(const DatasetRecord& record);
  /// Before the record that names their revision; texts of one kind each.
  DiskResult<void> store_tables(const std::string& id, std::uint64_t revision, std::span<const std::string> texts);
  /// How many kinds of that revision there are.
  DiskResult<std::size_t> count_tables(const std::string& id, std::uint64_t revision);
  DiskResult<std::vector<std::string>> read_tables(const std::string& id, std::uint64_t revision, std::size_t kinds);
  DiskResult<void> remove_tables(const std::string& id, std::uint64_t revision, std::size_t kinds);
  DiskResult<void> remove_dataset(const std::string& id);

 private:
  DiskResult<void> read_checked(const std::string& id, std::string_view name, std::span<std::byte> into,
                                std::string_view sha256_hex);
  template <class Record, class Decode>
  DiskResult<void> scan_entry(Shelf& shelf, const DiskEntry& entry, Decode decode, std::vector<Record>& found,
                              SpoolScan& scan);
  DiskResult<std::string> missing_file(const JobRecord& record);
  DiskResult<std::string> missing_file(const DatasetRecord& record);
  DiskResult<void> quarantine(const std::string& from, const std::string& name, const std::string& reason,
                              SpoolScan& scan);

  Disk& disk_;
  Room room_;
  Shelf jobs_;
  Shelf datasets_;
};

}  // namespace histod::daemon::jobs
