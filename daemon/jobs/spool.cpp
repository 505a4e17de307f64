// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/spool.hpp"

#include <array>
#include <cassert>
#include <utility>

#include <fmt/core.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/ulid.hpp"

namespace histod::daemon::jobs {
namespace {

constexpr int k_quarantine_tries = 100;
constexpr std::size_t k_tally_bytes_max = 64u << 20;   ///< of an image; a 16-bit one of three channels has 2 MiB
constexpr std::size_t k_tables_bytes_max = 64u << 20;  ///< of one kind, as text

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string tables_name(std::uint64_t revision, std::size_t kind) {
  return fmt::format("tables-{}-{}", revision, kind);
}

}  // namespace

Spool::Spool(Disk& disk, std::uint64_t budget_bytes)
    : disk_(disk), room_(budget_bytes), jobs_(disk, "jobs", room_), datasets_(disk, "datasets", room_) {}

Spool::Usage Spool::usage() const { return {room_.bytes(), room_.budget_bytes(), jobs_.size()}; }

DiskResult<SpoolScan> Spool::open() {
  for (const char* const folder : {"quarantine", "removed"})
    if (const auto made = disk_.make_directory(folder); !made && made.error() != std::errc::file_exists)
      return fail(made.error());
  SpoolScan scan;
  const auto removed = disk_.list("removed");
  if (!removed) return fail(removed.error());
  for (const DiskEntry& entry : *removed)
    if (is_ulid(entry.name)) scan.removed.push_back(entry.name);
  const auto jobs =
      jobs_.open([&](const DiskEntry& entry) { return scan_entry(jobs_, entry, decode_record, scan.jobs, scan); });
  if (!jobs) return fail(jobs.error());
  const auto datasets = datasets_.open(
      [&](const DiskEntry& entry) { return scan_entry(datasets_, entry, decode_dataset, scan.datasets, scan); });
  if (!datasets) return fail(datasets.error());
  scan.leftovers_removed = jobs->leftovers_removed + datasets->leftovers_removed;
  return scan;
}

/// A record that is missing or cannot be read is broken; any other failure is one of the disk.
template <class Record, class Decode>
DiskResult<void> Spool::scan_entry(Shelf& shelf, const DiskEntry& entry, Decode decode, std::vector<Record>& found,
                                   SpoolScan& scan) {
  const auto put_aside = [&](const std::string& reason) {
    return quarantine(shelf.folder() + '/' + entry.name, entry.name, reason, scan);
  };
  if (!entry.is_directory || !is_ulid(entry.name)) return put_aside("its name is no id");
  const auto text = shelf.read_text(entry.name, "record", k_record_bytes_max);
  if (!text && text.error() == std::errc::file_too_large)
    return put_aside(fmt::format("the record has {} bytes", shelf.file_bytes(entry.name, "record").value_or(0)));
  if (!text && !is_missing(text.error()) && text.error() != std::errc::io_error &&
      text.error() != std::errc::invalid_argument)
    return fail(text.error());
  if (!text) return put_aside("the record cannot be read: " + text.error().message());
  auto record = decode(*text);
  if (!record && record.error().newer) {
    scan.left_alone.push_back({entry.name, record.error().reason});
    shelf.keep(entry.name);
    return {};
  }
  if (!record) return put_aside(record.error().reason);
  if (record->id != entry.name) return put_aside("the record is of another one");
  const auto missing = missing_file(*record);
  if (!missing) return fail(missing.error());
  if (!missing->empty()) return put_aside(*missing);
  shelf.keep(entry.name);
  if (const auto tidied = shelf.remove_temporary(entry.name); !tidied) return tidied;
  found.push_back(std::move(*record));
  return {};
}

/// What is wrong with the files beside the record, or nothing. A finished job needs no input any more, unless it may be
/// made again from other tables.
DiskResult<std::string> Spool::missing_file(const JobRecord& record) {
  struct Expected {
    const char* name;
    bool needed;
    std::optional<std::uint64_t> bytes;
  };
  const bool input = !is_final(record.state) || !record.dataset.empty();
  const Expected files[] = {{"input", input, record.input.bytes},
                            {"mask", input && record.input.mask_bytes != 0, record.input.mask_bytes},
                            {"tally", record.counted, std::nullopt},
                            {"result", record.state == JobState::done, record.result ? record.result->bytes : 0}};
  for (const Expected& file : files) {
    if (!file.needed) continue;
    const auto size = jobs_.file_bytes(record.id, file.name);
    if (!size && is_missing(size.error())) return fmt::format("its {} is missing", file.name);
    if (!size) return fail(size.error());
    if (file.bytes && *size != *file.bytes) {
      return fmt::format("its {} has {} bytes, but the record says {}", file.name, *size, *file.bytes);
    }
  }
  return std::string();
}

DiskResult<std::string> Spool::missing_file(const DatasetRecord& record) {
  for (std::size_t kind = 0; record.lut && kind < record.lut->kinds.size(); ++kind) {
    const auto size = datasets_.file_bytes(record.id, tables_name(record.lut->revision, kind));
    if (!size && is_missing(size.error())) return fmt::format("its tables of kind {} are missing", kind);
    if (!size) return fail(size.error());
  }
  return std::string();
}

DiskResult<void> Spool::quarantine(const std::string& from, const std::string& name, const std::string& reason,
                                   SpoolScan& scan) {
  for (int i = 0; i < k_quarantine_tries; ++i) {
    const std::string to = fmt::format("quarantine/{}.{}", name, i);
    if (disk_.file_bytes(to + ".reason")) continue;
    const Bytes text = bytes_of(reason);
    if (const auto written = write_file(disk_, to + ".reason", std::span(&text, 1)); !written) return written;
    if (const auto moved = disk_.rename(from, to); !moved) return fail(moved.error());
    if (const auto synced = disk_.sync_directory("quarantine"); !synced) return fail(synced.error());
    scan.quarantined.push_back({name, reason});
    return {};
  }
  return std::unexpected(std::make_error_code(std::errc::file_exists));
}

DiskResult<void> Spool::create(const JobRecord& record, std::span<const Bytes> input, std::span<const Bytes> mask) {
  const std::string text = encode_record(record);
  const Bytes encoded = bytes_of(text);
  const Shelf::File files[] = {{"record", std::span(&encoded, 1)}, {"input", input}, {"mask", mask}};
  return jobs_.create(record.id, std::span(files).first(mask.empty() ? 2 : 3));
}

DiskResult<void> Spool::update(const JobRecord& record) {
  const std::string text = encode_record(record);
  const Bytes encoded = bytes_of(text);
  return jobs_.replace(record.id, "record", std::span(&encoded, 1));
}

DiskResult<void> Spool::store_result(const std::string& id, std::span<const Bytes> result) {
  if (const auto ok = jobs_.known(id); !ok) return ok;
  std::uint64_t bytes = 0;
  for (const Bytes part : result) bytes += part.size();
  if (!room_.has(bytes)) return fail(SpoolErrc::no_space);
  return jobs_.replace(id, "result", result);
}

DiskResult<void> Spool::store_tally(const std::string& id, Bytes tally) {
  if (const auto ok = jobs_.known(id); !ok) return ok;
  if (!room_.has(tally.size())) return fail(SpoolErrc::no_space);
  return jobs_.replace(id, "tally", std::span(&tally, 1));
}

DiskResult<std::string> Spool::read_tally(const std::string& id) {
  if (const auto ok = jobs_.known(id); !ok) return fail(ok.error());
  return jobs_.read_text(id, "tally", k_tally_bytes_max);
}

DiskResult<void> Spool::read_checked(const std::string& id, std::string_view name, std::span<std::byte> into,
                                     std::string_view sha256_hex) {
  if (const auto ok = jobs_.known(id); !ok) return ok;
  const auto size = jobs_.file_bytes(id, name);
  if (!size) return fail(is_missing(size.error()) ? make_error_code(SpoolErrc::corrupt) : size.error());
  if (*size != into.size()) return fail(SpoolErrc::corrupt);
  if (const auto read = jobs_.read(id, name, into); !read) return fail(read.error());
  if (jobs::sha256_hex(std::span<const std::byte>(into)) != sha256_hex) return fail(SpoolErrc::corrupt);
  return {};
}

DiskResult<void> Spool::read_input(const JobRecord& record, std::span<std::byte> into) {
  assert(into.size() == record.input.bytes);
  return read_checked(record.id, "input", into, record.input.sha256);
}

DiskResult<void> Spool::read_mask(const JobRecord& record, std::span<std::byte> into) {
  assert(into.size() == record.input.mask_bytes);
  return read_checked(record.id, "mask", into, record.input.mask_sha256);
}

DiskResult<std::uint64_t> Spool::result_bytes(const std::string& id) {
  if (const auto ok = jobs_.known(id); !ok) return fail(ok.error());
  return jobs_.file_bytes(id, "result");
}

DiskResult<void> Spool::read_result(const std::string& id, std::span<std::byte> into) {
  const auto size = result_bytes(id);
  if (!size) return fail(size.error());
  if (*size != into.size()) return fail(SpoolErrc::corrupt);
  return jobs_.read(id, "result", into);
}

DiskResult<void> Spool::remove_input(const std::string& id) {
  static constexpr std::array<std::string_view, 2> k_names{"input", "mask"};
  return jobs_.remove_files(id, k_names);
}

DiskResult<void> Spool::remove(const std::string& id) { return jobs_.remove(id); }

DiskResult<void> Spool::note_removed(const std::string& id) {
  if (const auto written = write_file(disk_, "removed/" + id, {}); !written) return written;
  if (const auto synced = disk_.sync_directory("removed"); !synced) return fail(synced.error());
  return {};
}

void Spool::forget_removed(const std::string& id) { (void)disk_.remove_file("removed/" + id); }

DiskResult<void> Spool::create_dataset(const DatasetRecord& record) {
  const std::string text = encode_dataset(record);
  const Bytes encoded = bytes_of(text);
  const Shelf::File file{"record", std::span(&encoded, 1)};
  return datasets_.create(record.id, std::span(&file, 1));
}

DiskResult<void> Spool::update_dataset(const DatasetRecord& record) {
  const std::string text = encode_dataset(record);
  const Bytes encoded = bytes_of(text);
  return datasets_.replace(record.id, "record", std::span(&encoded, 1));
}

DiskResult<void> Spool::store_tables(const std::string& id, std::uint64_t revision,
                                     std::span<const std::string> texts) {
  for (std::size_t kind = 0; kind < texts.size(); ++kind) {
    const Bytes text = bytes_of(texts[kind]);
    if (!room_.has(text.size())) return fail(SpoolErrc::no_space);
    if (const auto stored = datasets_.replace(id, tables_name(revision, kind), std::span(&text, 1)); !stored)
      return stored;
  }
  return {};
}

DiskResult<std::size_t> Spool::count_tables(const std::string& id, std::uint64_t revision) {
  if (const auto ok = datasets_.known(id); !ok) return fail(ok.error());
  for (std::size_t kinds = 0;; ++kinds) {
    const auto size = datasets_.file_bytes(id, tables_name(revision, kinds));
    if (!size && is_missing(size.error())) return kinds;
    if (!size) return fail(size.error());
  }
}

DiskResult<std::vector<std::string>> Spool::read_tables(const std::string& id, std::uint64_t revision,
                                                        std::size_t kinds) {
  if (const auto ok = datasets_.known(id); !ok) return fail(ok.error());
  std::vector<std::string> texts;
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    auto text = datasets_.read_text(id, tables_name(revision, kind), k_tables_bytes_max);
    if (!text) return fail(text.error());
    texts.push_back(std::move(*text));
  }
  return texts;
}

DiskResult<void> Spool::remove_tables(const std::string& id, std::uint64_t revision, std::size_t kinds) {
  std::vector<std::string> names;
  for (std::size_t kind = 0; kind < kinds; ++kind) names.push_back(tables_name(revision, kind));
  const std::vector<std::string_view> views(names.begin(), names.end());
  return datasets_.remove_files(id, views);
}

DiskResult<void> Spool::remove_dataset(const std::string& id) { return datasets_.remove(id); }

}  // namespace histod::daemon::jobs
