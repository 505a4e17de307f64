// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/jobs/disk.hpp"

namespace histod::daemon::jobs {

/// What all shelves of a spool take together. Changed by the spool's thread; read by any.
class Room {
 public:
  explicit Room(std::uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  bool has(std::uint64_t more_bytes) const { return bytes() + more_bytes <= budget_bytes_; }
  void change(std::uint64_t before, std::uint64_t after) {
    bytes_.store(bytes() + after - before, std::memory_order_relaxed);
  }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t budget_bytes() const { return budget_bytes_; }

 private:
  const std::uint64_t budget_bytes_;
  std::atomic<std::uint64_t> bytes_{0};
};

/// Things of one kind on stable storage, FOLDER/<id>/<files>, where an id is a ULID. All calls block and are made by
/// one thread; size() may be read by any. When a call that changes something returns success, the change survives a
/// power loss; when it fails, the thing is as it was before, or as it would be after (never anything between).
class Shelf {
 public:
  struct File {
    std::string_view name;
    std::span<const Bytes> parts;
  };
  struct Found {
    std::size_t leftovers_removed = 0;  ///< of things that were never told of, or were being removed
  };

  Shelf(Disk& disk, std::string folder, Room& room) : disk_(disk), folder_(std::move(folder)), room_(room) {}

  /// Once, before anything else: makes the directory, removes leftovers, and calls visit() for all that is there, in
  /// the order of names. visit() may keep() it or move it away.
  DiskResult<Found> open(const std::function<DiskResult<void>(const DiskEntry& entry)>& visit);
  /// From now on it is one of the shelf's. Also takes stock of it again.
  void keep(const std::string& id);
  bool has(const std::string& id) const { return bytes_by_id_.contains(id); }
  const std::string& folder() const { return folder_; }
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  /// All files, or nothing is there. SpoolErrc::no_space, exists, bad_argument.
  DiskResult<void> create(const std::string& id, std::span<const File> files);
  /// One file, new or instead of an old one: a reader finds the one or the other.
  DiskResult<void> replace(const std::string& id, std::string_view name, std::span<const Bytes> parts);
  /// Those that are there.
  DiskResult<void> remove_files(const std::string& id, std::span<const std::string_view> names);
  /// Fails when it is gone and that may not survive a power loss; settle() then makes sure of it.
  DiskResult<void> remove(const std::string& id);
  /// After it, everything that has been removed stays so.
  DiskResult<void> settle();
  /// What a replacement that did not come about left behind.
  DiskResult<void> remove_temporary(const std::string& id);
  /// SpoolErrc::no_such_job, bad_argument.
  DiskResult<void> known(const std::string& id) const;

  DiskResult<std::uint64_t> file_bytes(const std::string& id, std::string_view name) const;
  DiskResult<void> read(const std::string& id, std::string_view name, std::span<std::byte> into) const;
  /// A small file: errc::file_too_large when it has more bytes.
  DiskResult<std::string> read_text(const std::string& id, std::string_view name, std::size_t bytes_max) const;

 private:
  DiskResult<void> write_all(const std::string& folder, std::span<const File> files);
  DiskResult<void> remove_tree(const std::string& folder);
  std::string path(const std::string& id) const { return folder_ + '/' + id; }
  std::string path(const std::string& id, std::string_view name) const;
  std::string hidden(const std::string& id, std::string_view why) const;
  void forget(const std::string& id);

  Disk& disk_;
  const std::string folder_;
  Room& room_;
  std::unordered_map<std::string, std::uint64_t> bytes_by_id_;
  std::atomic<std::size_t> size_{0};
  bool unsettled_ = false;  ///< something was removed that a power loss may bring back
};

/// Writes a file and syncs it; its directory is the caller's to sync.
DiskResult<void> write_file(Disk& disk, const std::string& path, std::span<const Bytes> parts);
/// A full disk and an exhausted quota are the same to a client as an exhausted budget.
std::unexpected<std::error_code> fail(std::error_code error);
inline std::unexpected<std::error_code> fail(SpoolErrc code) { return std::unexpected(make_error_code(code)); }
bool is_missing(std::error_code error);

}  // namespace histod::daemon::jobs
