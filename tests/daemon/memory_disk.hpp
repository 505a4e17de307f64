// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/jobs/spool.hpp"

namespace histod::test {

/// A file system in memory that knows what is durable: a file's content as of its last sync, a directory's entries as
/// of its last sync. It can fail at any one call, or stop for good there as if the power went.
class MemoryDisk final : public daemon::jobs::Disk {
 public:
  template <class T>
  using Result = daemon::jobs::DiskResult<T>;

  MemoryDisk();
  ~MemoryDisk() override;

  /// What a power loss leaves. `lucky`: all that was written had reached the disk by chance, synced or not.
  std::unique_ptr<MemoryDisk> after_power_loss(bool lucky) const;

  std::uint64_t calls = 0;               ///< that change or sync something
  std::optional<std::uint64_t> fail_at;  ///< the number of the call that fails
  std::error_code failure = std::make_error_code(std::errc::io_error);
  bool stay_down = false;            ///< all calls after it fail too
  std::set<std::string> unreadable;  ///< paths whose reads fail with EIO

  std::string content(const std::string& path) const;
  bool exists(const std::string& path) const;
  void put(const std::string& path, const std::string& content);  ///< makes folders as needed; durable at once
  std::vector<std::string> all_paths() const;

  Result<void> make_directory(const std::string& path) override;
  Result<std::unique_ptr<daemon::jobs::DiskFile>> create_file(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<std::uint64_t> file_bytes(const std::string& path) override;
  Result<void> read_file(const std::string& path, std::span<std::byte> into) override;
  Result<std::vector<daemon::jobs::DiskEntry>> list(const std::string& path) override;
  Result<void> remove_file(const std::string& path) override;
  Result<void> remove_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes() override { return 1u << 30; }

 private:
  struct Node {
    bool is_directory = false;
    std::string content, durable_content;
    std::map<std::string, std::shared_ptr<Node>> entries, durable_entries;
  };
  class File;
  using Place = std::pair<std::shared_ptr<Node>, std::string>;

  std::error_code step();
  std::shared_ptr<Node> find(const std::string& path) const;
  Place place(const std::string& path) const;
  static std::shared_ptr<Node> survivor(const Node& node, bool lucky);
  static void collect(const Node& node, const std::string& prefix, std::vector<std::string>& out);

  std::shared_ptr<Node> root_;
  bool down_ = false;
};

}  // namespace histod::test
