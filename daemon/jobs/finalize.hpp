// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compute/tables.hpp"
#include "compute/tally.hpp"
#include "daemon/jobs/dataset_record.hpp"
#include "daemon/jobs/outcome.hpp"
#include "daemon/jobs/share.hpp"

namespace histod::daemon::jobs {

/// Tables, and what the dataset's record says of them. Its revision is the one after the record's.
struct NewTables {
  std::vector<compute::KindTables> tables;
  DatasetLut lut;
};

/// What keeps the tables of a dataset from being made or changed now: images that are not counted, or that are still to
/// be made by those in force. `applied`: the revision that all nodes are to apply; one that does not know of it yet has
/// not begun.
std::optional<api::Problem> not_ready(std::span<const Share> shares, std::uint64_t applied);

/// Of all images in the shares. 413 limit-exceeded: there is no memory for so many kinds.
Outcome<compute::Tally> sum_of(std::span<const Share> shares);

/// By the dataset's rule, or matched to `reference`. 409 empty-dataset.
Outcome<NewTables> make_tables(const DatasetRecord& record, const compute::Tally& sum, const compute::Tally* reference,
                               std::int64_t now_ms);
/// Those that somebody made elsewhere.
NewTables take_tables(const DatasetRecord& record, std::vector<compute::KindTables> tables, std::int64_t now_ms);

}  // namespace histod::daemon::jobs
