// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/datasets.hpp"

#include <utility>

#include "compute/table_text.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/tables_json.hpp"

namespace histod::daemon::jobs {
namespace {

constexpr std::size_t k_kinds_max = 256;  ///< of one staging

std::uint64_t memory_bytes(const compute::Tally& tally) {
  std::uint64_t bytes = 0;
  for (const compute::TallyEntry& entry : tally.entries()) bytes += entry.memory_bytes();
  return bytes;
}

}  // namespace

/// By the tables in force, well or not.
bool Datasets::is_made(const Dataset& dataset, const JobRecord& image) {
  return image.counted && is_final(image.state) && dataset.applies() &&
         image.revision == dataset.record.applied_revision;
}

void Datasets::count_made(Dataset& dataset, const std::map<std::string, JobRecord>& jobs) {
  dataset.images.made = dataset.images.made_bytes = 0;
  for (const std::string& id : dataset.ids) {
    const JobRecord& image = jobs.at(id);
    if (!is_made(dataset, image)) continue;
    ++dataset.images.made;
    dataset.images.made_bytes += image.input.bytes;
  }
}

void Datasets::recover(DatasetRecord record) {
  const std::string id = record.id;
  datasets_[id].record = std::move(record);
}

void Datasets::recovered() {
  for (auto& [id, dataset] : datasets_) {
    const auto& lut = dataset.record.lut;
    dataset.stale = lut && !lut->tally_sha256.empty() && lut->tally_sha256 != tally_sha256(dataset);
  }
}

Datasets::Dataset* Datasets::find_any(const std::string& id) {
  const auto found = datasets_.find(id);
  return found == datasets_.end() ? nullptr : &found->second;
}

Datasets::Dataset* Datasets::find(const std::string& id) {
  Dataset* const found = find_any(id);
  return found == nullptr || found->record.removed ? nullptr : found;
}

DiskResult<void> Datasets::create(DatasetRecord record) {
  if (auto made = spool_.create_dataset(record); !made) return made;
  recover(std::move(record));
  return {};
}

DiskResult<void> Datasets::change(Dataset& dataset, DatasetRecord next) {
  if (auto stored = spool_.update_dataset(next); !stored) return stored;
  dataset.record = std::move(next);
  return {};
}

DiskResult<void> Datasets::remove(const std::string& id) {
  if (auto removed = spool_.remove_dataset(id); !removed && removed.error() != SpoolErrc::no_such_job) return removed;
  if (const auto found = datasets_.find(id); found != datasets_.end()) {
    sums_bytes_ -= memory_bytes(found->second.sum);
    datasets_.erase(found);
  }
  return {};
}

void Datasets::track(const JobRecord* before, const JobRecord* now) {
  const auto change = [this](const JobRecord& image, std::uint64_t by) {
    Dataset* const dataset = find_any(image.dataset);
    if (dataset == nullptr) return;
    Images& images = dataset->images;
    const std::uint64_t bytes = by * image.input.bytes;
    images.in_state[static_cast<std::size_t>(image.state)] += by;
    images.total += by;
    images.bytes += bytes;
    if (!image.counted && !is_final(image.state)) {
      images.waiting += by;
      images.waiting_bytes += bytes;
    }
    if (!image.counted) return;
    images.counted += by;
    images.counted_bytes += bytes;
    if (!is_made(*dataset, image)) return;
    images.made += by;
    images.made_bytes += bytes;
  };
  const bool stays = before != nullptr && now != nullptr;
  if (before != nullptr && !before->dataset.empty()) {
    change(*before, ~std::uint64_t{0});  // takes one away
    if (Dataset* const dataset = find_any(before->dataset); dataset && !stays) dataset->ids.erase(before->id);
  }
  if (now != nullptr && !now->dataset.empty()) {
    change(*now, 1);
    if (Dataset* const dataset = find_any(now->dataset); dataset && !stays) dataset->ids.insert(now->id);
  }
}

Datasets::Error Datasets::add(Dataset& dataset, std::span<const std::byte> tally) {
  const std::uint64_t before = memory_bytes(dataset.sum);
  const std::uint64_t room = sums_bytes_max_ - sums_bytes_ + before;
  const auto read = compute::Tally::from_bytes(tally, room);
  if (!read) return std::unexpected(read.error());
  if (auto merged = dataset.sum.merge(*read, room); !merged) return std::unexpected(std::move(merged.error()));
  changed(dataset, before);
  return {};
}

Datasets::Error Datasets::subtract(Dataset& dataset, std::span<const std::byte> tally) {
  const std::uint64_t before = memory_bytes(dataset.sum);
  const auto read = compute::Tally::from_bytes(tally, sums_bytes_max_);
  if (!read) return std::unexpected(read.error());
  if (auto gone = dataset.sum.subtract(*read); !gone) return std::unexpected(std::move(gone.error()));
  changed(dataset, before);
  return {};
}

void Datasets::changed(Dataset& dataset, std::uint64_t bytes_before) {
  sums_bytes_ += memory_bytes(dataset.sum) - bytes_before;
  dataset.stale = dataset.record.lut && !dataset.record.lut->tally_sha256.empty();
}

std::string Datasets::tally_sha256(const Dataset& dataset) { return sha256_hex(dataset.sum.to_bytes()); }

DiskResult<void> Datasets::stage(const Dataset& dataset, std::uint64_t revision,
                                 std::span<const compute::KindTables> tables) {
  if (tables.size() > k_kinds_max) return fail(SpoolErrc::bad_argument);
  std::vector<std::string> texts;
  for (const compute::KindTables& one : tables) texts.push_back(compute::to_text(one));
  // An earlier staging of this revision may have had more of them.
  if (auto removed = spool_.remove_tables(dataset.record.id, revision, k_kinds_max); !removed) return removed;
  return spool_.store_tables(dataset.record.id, revision, texts);
}

DiskResult<void> Datasets::put_tables(Dataset& dataset, DatasetRecord next, SharedTables tables) {
  const std::optional<DatasetLut> old = dataset.record.lut;
  const std::uint64_t revision = next.lut->revision;
  if (auto stored = stage(dataset, revision, *tables); !stored) return stored;
  if (auto stored = change(dataset, std::move(next)); !stored) return stored;
  const std::string& made_of = dataset.record.lut->tally_sha256;
  dataset.stale = !made_of.empty() && made_of != tally_sha256(dataset);
  latest_ = {dataset.record.id, revision, std::move(tables)};
  // Those of before are of no use any more; left behind, they only take room.
  if (old && old->revision != revision)
    static_cast<void>(spool_.remove_tables(dataset.record.id, old->revision, old->kinds.size()));
  return {};
}

DiskResult<SharedTables> Datasets::read_tables(const Dataset& dataset, std::uint64_t revision, std::size_t kinds) {
  auto texts = spool_.read_tables(dataset.record.id, revision, kinds);
  if (!texts) return std::unexpected(texts.error());
  auto tables = std::make_shared<std::vector<compute::KindTables>>();
  for (const std::string& text : *texts) {
    auto read = compute::tables_from_text(text);
    if (!read) return fail(SpoolErrc::corrupt);
    tables->push_back(std::move(*read));
  }
  return tables;
}

DiskResult<SharedTables> Datasets::tables(const Dataset& dataset) {
  const DatasetLut& lut = *dataset.record.lut;
  if (latest_.id == dataset.record.id && latest_.revision == lut.revision) return latest_.tables;
  auto tables = read_tables(dataset, lut.revision, lut.kinds.size());
  if (!tables) return tables;
  if (lut_digest(**tables) != lut.digest) return fail(SpoolErrc::corrupt);
  latest_ = {dataset.record.id, lut.revision, std::move(*tables)};
  return latest_.tables;
}

DiskResult<SharedTables> Datasets::staged(const Dataset& dataset, std::uint64_t revision) {
  const auto kinds = spool_.count_tables(dataset.record.id, revision);
  if (!kinds) return std::unexpected(kinds.error());
  if (*kinds == 0) return fail(SpoolErrc::no_such_job);
  return read_tables(dataset, revision, *kinds);
}

}  // namespace histod::daemon::jobs
