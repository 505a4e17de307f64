// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compute/tally.hpp"
#include "daemon/jobs/dataset_record.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/jobs/spool.hpp"

namespace histod::daemon::jobs {

/// Tables that may be shared by many attempts at once.
using SharedTables = std::shared_ptr<const std::vector<compute::KindTables>>;

/// The datasets of this node, and what their images contribute. Used by the engine's thread only; the images themselves
/// are jobs, and the engine's.
class Datasets {
 public:
  /// How many there are of which kind.
  struct Images {
    std::array<std::uint64_t, k_job_states> in_state{};
    std::uint64_t total = 0, bytes = 0;
    std::uint64_t waiting = 0, waiting_bytes = 0;  ///< not counted yet
    std::uint64_t counted = 0, counted_bytes = 0;  ///< part of the sum, whatever became of them since
    std::uint64_t made = 0, made_bytes = 0;        ///< of those: done, or failed, by the tables in force
  };
  struct Dataset {
    DatasetRecord record;
    compute::Tally sum;         ///< of the images that are counted
    std::set<std::string> ids;  ///< of all its images
    bool stale = false;         ///< other images are counted than its tables were made of
    Images images;

    /// Whether what is counted is to be made by its tables.
    bool applies() const { return record.lut && record.applied_revision == record.lut->revision; }
  };
  using Error = std::expected<void, compute::Error>;

  /// `sums_bytes_max`: of memory for the sums of all datasets together.
  Datasets(Spool& spool, std::uint64_t sums_bytes_max) : spool_(spool), sums_bytes_max_(sums_bytes_max) {}

  /// At start, before anything else.
  void recover(DatasetRecord record);
  /// At start, once all images are known.
  void recovered();

  /// Null: there is none, or it is being removed.
  Dataset* find(const std::string& id);
  /// Those that are being removed, too.
  Dataset* find_any(const std::string& id);
  const std::map<std::string, Dataset>& all() const { return datasets_; }

  DiskResult<void> create(DatasetRecord record);
  /// Changes the record on the disk, then here.
  DiskResult<void> change(Dataset& dataset, DatasetRecord next);
  DiskResult<void> remove(const std::string& id);

  /// An image was, and is from now on; either may be null. Keeps ids and images.
  void track(const JobRecord* before, const JobRecord* now);
  /// Again from the beginning: the tables in force are others. `jobs` holds all images.
  void count_made(Dataset& dataset, const std::map<std::string, JobRecord>& jobs);

  /// An image that was counted, or that is not there any more. Nothing is changed after an error;
  /// Errc::bytes_over_limit: there is no memory for sums of its kind.
  Error add(Dataset& dataset, std::span<const std::byte> tally);
  Error subtract(Dataset& dataset, std::span<const std::byte> tally);

  /// Changes the record on the disk, then here, to one with other tables; those are in force from now on.
  DiskResult<void> put_tables(Dataset& dataset, DatasetRecord next, SharedTables tables);
  /// On the disk beside the record, which does not name them yet.
  DiskResult<void> stage(const Dataset& dataset, std::uint64_t revision, std::span<const compute::KindTables> tables);
  /// Those in force; read from the disk when they were not used lately.
  DiskResult<SharedTables> tables(const Dataset& dataset);
  /// SpoolErrc::no_such_job: none were, of that revision.
  DiskResult<SharedTables> staged(const Dataset& dataset, std::uint64_t revision);
  static std::string tally_sha256(const Dataset& dataset);

 private:
  DiskResult<SharedTables> read_tables(const Dataset& dataset, std::uint64_t revision, std::size_t kinds);
  static bool is_made(const Dataset& dataset, const JobRecord& image);
  void changed(Dataset& dataset, std::uint64_t bytes_before);

  struct Kept {
    std::string id;
    std::uint64_t revision = 0;
    SharedTables tables;
  };

  Spool& spool_;
  const std::uint64_t sums_bytes_max_;
  std::uint64_t sums_bytes_ = 0;
  std::map<std::string, Dataset> datasets_;  ///< by id, which is by age
  Kept latest_;                              ///< 16-bit tables are large: only those of one dataset stay in memory
};

}  // namespace histod::daemon::jobs
