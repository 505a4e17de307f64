// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/spool.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include <fmt/core.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/ulid.hpp"

namespace histod::daemon::jobs {
namespace {

constexpr int k_quarantine_tries = 100;

class SpoolCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "histod.spool"; }
  std::string message(int code) const override {
    switch (static_cast<SpoolErrc>(code)) {
      case SpoolErrc::no_space:
        return "the spool is full";
      case SpoolErrc::no_such_job:
        return "there is no such job in the spool";
      case SpoolErrc::exists:
        return "the job is in the spool already";
      case SpoolErrc::corrupt:
        return "a file in the spool does not match its record";
      case SpoolErrc::bad_argument:
        return "the job's id is no ULID";
    }
    return "unknown";
  }
};

std::unexpected<std::error_code> fail(SpoolErrc code) { return std::unexpected(make_error_code(code)); }

/// A full disk and an exhausted quota are the same to a client as an exhausted budget.
std::unexpected<std::error_code> fail(std::error_code error) {
  if (error == std::errc::no_space_on_device || error == std::error_code(EDQUOT, std::system_category())) {
    return fail(SpoolErrc::no_space);
  }
  return std::unexpected(error);
}

std::uint64_t total(std::span<const Bytes> parts) {
  return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                         [](std::uint64_t sum, Bytes part) { return sum + part.size(); });
}

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string job_folder(const std::string& id) { return "jobs/" + id; }
std::string new_folder(const std::string& id) { return "jobs/." + id + ".tmp"; }
std::string gone_folder(const std::string& id) { return "jobs/." + id + ".gone"; }

bool is_missing(std::error_code error) { return error == std::errc::no_such_file_or_directory; }

}  // namespace

const std::error_category& spool_category() noexcept {
  static const SpoolCategory category;
  return category;
}

std::error_code make_error_code(SpoolErrc code) noexcept { return {static_cast<int>(code), spool_category()}; }

Spool::Spool(Disk& disk, std::uint64_t budget_bytes) : disk_(disk), budget_bytes_(budget_bytes) {}

Spool::Usage Spool::usage() const {
  return {bytes_.load(std::memory_order_relaxed), budget_bytes_, jobs_.load(std::memory_order_relaxed)};
}

DiskResult<SpoolScan> Spool::open() {
  for (const char* folder : {"jobs", "quarantine"}) {
    const auto made = disk_.make_directory(folder);
    if (!made && made.error() != std::errc::file_exists) return fail(made.error());
  }
  if (const auto synced = disk_.sync_directory("."); !synced) return fail(synced.error());
  auto entries = disk_.list("jobs");
  if (!entries) return fail(entries.error());
  std::ranges::sort(*entries, {}, &DiskEntry::name);
  SpoolScan scan;
  for (const DiskEntry& entry : *entries) {
    if (const auto scanned = scan_entry(entry, scan); !scanned) return fail(scanned.error());
  }
  // What the scan found may have been renamed or removed without a sync by a process that was killed.
  if (const auto synced = disk_.sync_directory("jobs"); !synced) return fail(synced.error());
  return scan;
}

DiskResult<void> Spool::scan_entry(const DiskEntry& entry, SpoolScan& scan) {
  if (entry.is_directory && entry.name.starts_with('.')) {
    ++scan.leftovers_removed;
    return remove_tree("jobs/" + entry.name);
  }
  if (!entry.is_directory || !is_ulid(entry.name)) return quarantine(entry.name, "its name is no job's", scan);
  auto loaded = load(entry.name);
  if (!loaded) return fail(loaded.error());
  auto& record = *loaded;
  if (!record && record.error().newer) {
    scan.left_alone.push_back({entry.name, record.error().reason});
    account(entry.name);
    return {};
  }
  if (!record) return quarantine(entry.name, record.error().reason, scan);
  if (record->id != entry.name) return quarantine(entry.name, "the record is of another job", scan);
  const auto missing = missing_file(*record);
  if (!missing) return fail(missing.error());
  if (!missing->empty()) return quarantine(entry.name, *missing, scan);
  for (const char* name : {"/record.tmp", "/result.tmp"}) {
    const auto removed = disk_.remove_file(job_folder(entry.name) + name);
    if (!removed && !is_missing(removed.error())) return fail(removed.error());
  }
  account(entry.name);
  scan.jobs.push_back(std::move(*record));
  return {};
}

/// A record that is missing or cannot be read is broken; any other failure is one of the disk.
DiskResult<Spool::Loaded> Spool::load(const std::string& id) {
  const std::string path = job_folder(id) + "/record";
  const auto size = disk_.file_bytes(path);
  std::string text;
  DiskResult<void> read;
  if (size && *size <= k_record_bytes_max) {
    text.resize(*size);
    read = disk_.read_file(path, std::as_writable_bytes(std::span(text)));
  } else if (size) {
    return Loaded(std::unexpected(RecordError{false, fmt::format("the record has {} bytes", *size)}));
  } else {
    read = std::unexpected(size.error());
  }
  if (read) return decode_record(text);
  const bool broken =
      is_missing(read.error()) || read.error() == std::errc::io_error || read.error() == std::errc::invalid_argument;
  if (!broken) return fail(read.error());
  return Loaded(std::unexpected(RecordError{false, "the record cannot be read: " + read.error().message()}));
}

/// What is wrong with the files beside the record, or nothing. A finished job needs no input any more.
DiskResult<std::string> Spool::missing_file(const JobRecord& record) {
  struct Expected {
    const char* name;
    bool needed;
    std::uint64_t bytes;
  };
  const bool final = is_final(record.state);
  const Expected files[] = {{"input", !final, record.input.bytes},
                            {"mask", !final && record.input.mask_bytes != 0, record.input.mask_bytes},
                            {"result", record.state == JobState::done, record.result ? record.result->bytes : 0}};
  for (const Expected& file : files) {
    if (!file.needed) continue;
    const auto size = disk_.file_bytes(fmt::format("{}/{}", job_folder(record.id), file.name));
    if (!size && is_missing(size.error())) return fmt::format("its {} is missing", file.name);
    if (!size) return fail(size.error());
    if (*size != file.bytes) {
      return fmt::format("its {} has {} bytes, but the record says {}", file.name, *size, file.bytes);
    }
  }
  return std::string();
}

DiskResult<void> Spool::quarantine(const std::string& name, const std::string& reason, SpoolScan& scan) {
  for (int i = 0; i < k_quarantine_tries; ++i) {
    const std::string to = fmt::format("quarantine/{}.{}", name, i);
    if (disk_.file_bytes(to + ".reason")) continue;
    const Bytes text = bytes_of(reason);
    if (const auto written = write_file(to + ".reason", std::span(&text, 1)); !written) return fail(written.error());
    if (const auto moved = disk_.rename("jobs/" + name, to); !moved) return fail(moved.error());
    if (const auto synced = disk_.sync_directory("quarantine"); !synced) return fail(synced.error());
    scan.quarantined.push_back({name, reason});
    return {};
  }
  return std::unexpected(std::make_error_code(std::errc::file_exists));
}

DiskResult<void> Spool::write_file(const std::string& path, std::span<const Bytes> parts) {
  auto file = disk_.create_file(path);
  if (!file) return fail(file.error());
  for (const Bytes part : parts) {
    if (const auto written = (*file)->write(part); !written) return fail(written.error());
  }
  if (const auto synced = (*file)->sync(); !synced) return fail(synced.error());
  return {};
}

/// Beside the old file, then over it: a reader finds one or the other.
DiskResult<void> Spool::replace_file(const std::string& id, const std::string& name, std::span<const Bytes> parts) {
  const std::string path = job_folder(id) + '/' + name;
  auto done = write_file(path + ".tmp", parts);
  if (done) done = disk_.rename(path + ".tmp", path);
  if (!done) {
    (void)disk_.remove_file(path + ".tmp");
    return fail(done.error());
  }
  if (const auto synced = disk_.sync_directory(job_folder(id)); !synced) return fail(synced.error());
  account(id);
  return {};
}

DiskResult<void> Spool::write_job(const std::string& folder, const JobRecord& record, std::span<const Bytes> input,
                                  std::span<const Bytes> mask) {
  auto made = disk_.make_directory(folder);
  if (!made && made.error() == std::errc::file_exists) {
    // Left by a failed create() of the same id.
    if (const auto removed = remove_tree(folder); !removed) return fail(removed.error());
    made = disk_.make_directory(folder);
  }
  if (!made) return fail(made.error());
  const std::string text = encode_record(record);
  const Bytes encoded = bytes_of(text);
  if (const auto done = write_file(folder + "/record", std::span(&encoded, 1)); !done) return done;
  if (const auto done = write_file(folder + "/input", input); !done) return done;
  if (!mask.empty()) {
    if (const auto done = write_file(folder + "/mask", mask); !done) return done;
  }
  if (const auto synced = disk_.sync_directory(folder); !synced) return fail(synced.error());
  return {};
}

DiskResult<void> Spool::create(const JobRecord& record, std::span<const Bytes> input, std::span<const Bytes> mask) {
  if (!is_ulid(record.id)) return fail(SpoolErrc::bad_argument);
  if (bytes_by_job_.contains(record.id)) return fail(SpoolErrc::exists);
  if (usage().bytes + total(input) + total(mask) > budget_bytes_) return fail(SpoolErrc::no_space);
  const std::string folder = new_folder(record.id);
  auto done = write_job(folder, record, input, mask);
  if (done) done = disk_.rename(folder, job_folder(record.id));
  if (!done) {
    (void)remove_tree(folder);
    return fail(done.error());
  }
  if (const auto synced = disk_.sync_directory("jobs"); !synced) {
    // Nobody is told of this job, so it should not be found after a restart either. If this fails too, it is run once
    // more than was asked for, which does no harm.
    (void)remove_tree(job_folder(record.id));
    return fail(synced.error());
  }
  account(record.id);
  return {};
}

DiskResult<void> Spool::known(const std::string& id) const {
  if (!is_ulid(id)) return fail(SpoolErrc::bad_argument);
  if (!bytes_by_job_.contains(id)) return fail(SpoolErrc::no_such_job);
  return {};
}

DiskResult<void> Spool::update(const JobRecord& record) {
  if (const auto ok = known(record.id); !ok) return ok;
  const std::string text = encode_record(record);
  const Bytes encoded = bytes_of(text);
  return replace_file(record.id, "record", std::span(&encoded, 1));
}

DiskResult<void> Spool::store_result(const std::string& id, std::span<const Bytes> result) {
  if (const auto ok = known(id); !ok) return ok;
  if (usage().bytes + total(result) > budget_bytes_) return fail(SpoolErrc::no_space);
  return replace_file(id, "result", result);
}

DiskResult<void> Spool::read_checked(const std::string& path, std::span<std::byte> into, std::string_view sha256_hex) {
  const auto size = disk_.file_bytes(path);
  if (!size) return fail(is_missing(size.error()) ? make_error_code(SpoolErrc::corrupt) : size.error());
  if (*size != into.size()) return fail(SpoolErrc::corrupt);
  if (const auto read = disk_.read_file(path, into); !read) return fail(read.error());
  if (jobs::sha256_hex(std::span<const std::byte>(into)) != sha256_hex) return fail(SpoolErrc::corrupt);
  return {};
}

DiskResult<void> Spool::read_input(const JobRecord& record, std::span<std::byte> into) {
  if (const auto ok = known(record.id); !ok) return ok;
  assert(into.size() == record.input.bytes);
  return read_checked(job_folder(record.id) + "/input", into, record.input.sha256);
}

DiskResult<void> Spool::read_mask(const JobRecord& record, std::span<std::byte> into) {
  if (const auto ok = known(record.id); !ok) return ok;
  assert(into.size() == record.input.mask_bytes);
  return read_checked(job_folder(record.id) + "/mask", into, record.input.mask_sha256);
}

DiskResult<std::uint64_t> Spool::result_bytes(const std::string& id) {
  if (const auto ok = known(id); !ok) return fail(ok.error());
  return disk_.file_bytes(job_folder(id) + "/result");
}

DiskResult<void> Spool::read_result(const std::string& id, std::span<std::byte> into) {
  if (const auto ok = known(id); !ok) return ok;
  const auto size = disk_.file_bytes(job_folder(id) + "/result");
  if (!size) return fail(size.error());
  if (*size != into.size()) return fail(SpoolErrc::corrupt);
  return disk_.read_file(job_folder(id) + "/result", into);
}

DiskResult<void> Spool::remove_input(const std::string& id) {
  if (const auto ok = known(id); !ok) return ok;
  for (const char* name : {"/input", "/mask"}) {
    const auto removed = disk_.remove_file(job_folder(id) + name);
    if (!removed && !is_missing(removed.error())) return fail(removed.error());
  }
  if (const auto synced = disk_.sync_directory(job_folder(id)); !synced) return fail(synced.error());
  account(id);
  return {};
}

DiskResult<void> Spool::remove(const std::string& id) {
  if (const auto ok = known(id); !ok) return ok;
  if (const auto moved = disk_.rename(job_folder(id), gone_folder(id)); !moved) return fail(moved.error());
  forget(id);
  if (const auto synced = disk_.sync_directory("jobs"); !synced) return fail(synced.error());
  // It is gone for good now. What cannot be deleted is deleted at the next start.
  (void)remove_tree(gone_folder(id));
  return {};
}

DiskResult<void> Spool::remove_tree(const std::string& folder) {
  const auto entries = disk_.list(folder);
  if (!entries) return fail(entries.error());
  for (const DiskEntry& entry : *entries) {
    const std::string path = folder + '/' + entry.name;
    const auto removed = entry.is_directory ? remove_tree(path) : disk_.remove_file(path);
    if (!removed) return removed;
  }
  return disk_.remove_directory(folder);
}

/// Counts what the job takes now. A file that cannot be looked at counts nothing.
void Spool::account(const std::string& id) {
  std::uint64_t bytes = 0;
  for (const char* name : {"/record", "/input", "/mask", "/result"}) {
    bytes += disk_.file_bytes(job_folder(id) + name).value_or(0);
  }
  const std::uint64_t before = std::exchange(bytes_by_job_[id], bytes);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes - before, std::memory_order_relaxed);
  jobs_.store(bytes_by_job_.size(), std::memory_order_relaxed);
}

void Spool::forget(const std::string& id) {
  const auto found = bytes_by_job_.find(id);
  bytes_.store(bytes_.load(std::memory_order_relaxed) - found->second, std::memory_order_relaxed);
  bytes_by_job_.erase(found);
  jobs_.store(bytes_by_job_.size(), std::memory_order_relaxed);
}

}  // namespace histod::daemon::jobs
