// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/shelf.hpp"

#include <algorithm>
#include <utility>

#include "daemon/jobs/ulid.hpp"

namespace histod::daemon::jobs {
namespace {

class SpoolCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "histod.spool"; }
  std::string message(int code) const override {
    switch (static_cast<SpoolErrc>(code)) {
      case SpoolErrc::no_space:
        return "the spool is full";
      case SpoolErrc::no_such_job:
        return "there is no such thing in the spool";
      case SpoolErrc::exists:
        return "it is in the spool already";
      case SpoolErrc::corrupt:
        return "a file in the spool does not match its record";
      case SpoolErrc::bad_argument:
        return "the id is no ULID";
    }
    return "unknown";
  }
};

std::uint64_t total(std::span<const Bytes> parts) {
  std::uint64_t sum = 0;
  for (const Bytes part : parts) sum += part.size();
  return sum;
}

}  // namespace

const std::error_category& spool_category() noexcept {
  static const SpoolCategory category;
  return category;
}

std::error_code make_error_code(SpoolErrc code) noexcept { return {static_cast<int>(code), spool_category()}; }

std::unexpected<std::error_code> fail(std::error_code error) {
  if (error == std::errc::no_space_on_device || error == std::error_code(EDQUOT, std::system_category())) {
    return fail(SpoolErrc::no_space);
  }
  return std::unexpected(error);
}

bool is_missing(std::error_code error) { return error == std::errc::no_such_file_or_directory; }

DiskResult<void> write_file(Disk& disk, const std::string& path, std::span<const Bytes> parts) {
  auto file = disk.create_file(path);
  if (!file) return fail(file.error());
  for (const Bytes part : parts) {
    if (const auto written = (*file)->write(part); !written) return fail(written.error());
  }
  if (const auto synced = (*file)->sync(); !synced) return fail(synced.error());
  return {};
}

std::string Shelf::path(const std::string& id, std::string_view name) const {
  return path(id) + '/' + std::string(name);
}

std::string Shelf::hidden(const std::string& id, std::string_view why) const {
  return folder_ + "/." + id + '.' + std::string(why);
}

DiskResult<Shelf::Found> Shelf::open(const std::function<DiskResult<void>(const DiskEntry& entry)>& visit) {
  const auto made = disk_.make_directory(folder_);
  if (!made && made.error() != std::errc::file_exists) return fail(made.error());
  if (const auto synced = disk_.sync_directory("."); !synced) return fail(synced.error());
  auto entries = disk_.list(folder_);
  if (!entries) return fail(entries.error());
  std::ranges::sort(*entries, {}, &DiskEntry::name);
  Found found;
  for (const DiskEntry& entry : *entries) {
    const bool leftover = entry.is_directory && entry.name.starts_with('.');
    if (leftover) ++found.leftovers_removed;
    if (const auto done = leftover ? remove_tree(path(entry.name)) : visit(entry); !done) return fail(done.error());
  }
  // What was found may have been renamed or removed without a sync by a process that was killed.
  if (const auto synced = disk_.sync_directory(folder_); !synced) return fail(synced.error());
  return found;
}

/// A file that cannot be looked at counts nothing.
void Shelf::keep(const std::string& id) {
  std::uint64_t bytes = 0;
  for (const DiskEntry& file : disk_.list(path(id)).value_or(std::vector<DiskEntry>()))
    bytes += disk_.file_bytes(path(id, file.name)).value_or(0);
  room_.change(std::exchange(bytes_by_id_[id], bytes), bytes);
  size_.store(bytes_by_id_.size(), std::memory_order_relaxed);
}

void Shelf::forget(const std::string& id) {
  const auto found = bytes_by_id_.find(id);
  room_.change(found->second, 0);
  bytes_by_id_.erase(found);
  size_.store(bytes_by_id_.size(), std::memory_order_relaxed);
}

DiskResult<void> Shelf::known(const std::string& id) const {
  if (!is_ulid(id)) return fail(SpoolErrc::bad_argument);
  if (!has(id)) return fail(SpoolErrc::no_such_job);
  return {};
}

DiskResult<void> Shelf::write_all(const std::string& folder, std::span<const File> files) {
  auto made = disk_.make_directory(folder);
  if (!made && made.error() == std::errc::file_exists) {
    // Left by a failed create() of the same id.
    if (const auto removed = remove_tree(folder); !removed) return fail(removed.error());
    made = disk_.make_directory(folder);
  }
  if (!made) return fail(made.error());
  for (const File& file : files) {
    if (const auto done = write_file(disk_, folder + '/' + std::string(file.name), file.parts); !done) return done;
  }
  if (const auto synced = disk_.sync_directory(folder); !synced) return fail(synced.error());
  return {};
}

DiskResult<void> Shelf::create(const std::string& id, std::span<const File> files) {
  if (!is_ulid(id)) return fail(SpoolErrc::bad_argument);
  if (has(id)) return fail(SpoolErrc::exists);
  std::uint64_t bytes = 0;
  for (const File& file : files) bytes += total(file.parts);
  if (!room_.has(bytes)) return fail(SpoolErrc::no_space);
  const std::string folder = hidden(id, "tmp");
  auto done = write_all(folder, files);
  if (done) done = disk_.rename(folder, path(id));
  if (!done) {
    (void)remove_tree(folder);
    return fail(done.error());
  }
  if (const auto synced = disk_.sync_directory(folder_); !synced) {
    // Nobody is told of it, so it should not be found after a restart either. If this fails too, there is one more than
    // was asked for, which does no harm.
    (void)remove_tree(path(id));
    return fail(synced.error());
  }
  keep(id);
  return {};
}

DiskResult<void> Shelf::replace(const std::string& id, std::string_view name, std::span<const Bytes> parts) {
  if (const auto ok = known(id); !ok) return ok;
  const std::string to = path(id, name), from = to + ".tmp";
  auto done = write_file(disk_, from, parts);
  if (done) done = disk_.rename(from, to);
  if (!done) {
    (void)disk_.remove_file(from);
    return fail(done.error());
  }
  if (const auto synced = disk_.sync_directory(path(id)); !synced) return fail(synced.error());
  keep(id);
  return {};
}

DiskResult<void> Shelf::remove_files(const std::string& id, std::span<const std::string_view> names) {
  if (const auto ok = known(id); !ok) return ok;
  for (const std::string_view name : names) {
    const auto removed = disk_.remove_file(path(id, name));
    if (!removed && !is_missing(removed.error())) return fail(removed.error());
  }
  if (const auto synced = disk_.sync_directory(path(id)); !synced) return fail(synced.error());
  keep(id);
  return {};
}

DiskResult<void> Shelf::remove_temporary(const std::string& id) {
  const auto files = disk_.list(path(id));
  if (!files) return fail(files.error());
  bool removed_some = false;
  for (const DiskEntry& file : *files) {
    if (!file.name.ends_with(".tmp")) continue;
    const auto removed = disk_.remove_file(path(id, file.name));
    if (!removed && !is_missing(removed.error())) return fail(removed.error());
    removed_some = true;
  }
  if (removed_some) keep(id);
  return {};
}

DiskResult<void> Shelf::remove(const std::string& id) {
  if (const auto ok = known(id); !ok) return ok;
  const std::string gone = hidden(id, "gone");
  if (const auto moved = disk_.rename(path(id), gone); !moved) return fail(moved.error());
  forget(id);
  unsettled_ = true;
  if (const auto settled = settle(); !settled) return settled;
  // It is gone for good now. What cannot be deleted is deleted at the next start.
  (void)remove_tree(gone);
  return {};
}

DiskResult<void> Shelf::settle() {
  if (!unsettled_) return {};
  if (const auto synced = disk_.sync_directory(folder_); !synced) return fail(synced.error());
  unsettled_ = false;
  return {};
}

DiskResult<void> Shelf::remove_tree(const std::string& folder) {
  const auto entries = disk_.list(folder);
  if (!entries) return fail(entries.error());
  for (const DiskEntry& entry : *entries) {
    const std::string path = folder + '/' + entry.name;
    const auto removed = entry.is_directory ? remove_tree(path) : disk_.remove_file(path);
    if (!removed) return removed;
  }
  return disk_.remove_directory(folder);
}

DiskResult<std::uint64_t> Shelf::file_bytes(const std::string& id, std::string_view name) const {
  return disk_.file_bytes(path(id, name));
}

DiskResult<void> Shelf::read(const std::string& id, std::string_view name, std::span<std::byte> into) const {
  return disk_.read_file(path(id, name), into);
}

DiskResult<std::string> Shelf::read_text(const std::string& id, std::string_view name, std::size_t bytes_max) const {
  const auto size = file_bytes(id, name);
  if (!size) return std::unexpected(size.error());
  if (*size > bytes_max) return std::unexpected(std::make_error_code(std::errc::file_too_large));
  std::string text(*size, '\0');
  if (const auto read_all = read(id, name, std::as_writable_bytes(std::span(text))); !read_all)
    return std::unexpected(read_all.error());
  return text;
}

}  // namespace histod::daemon::jobs
