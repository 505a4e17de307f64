// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

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

}  // namespace histod::daemon::jobs

template <>
struct std::is_error_code_enum<histod::daemon::jobs::SpoolErrc> : std::true_type {};
