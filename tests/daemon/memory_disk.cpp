// SPDX-License-Identifier: Apache-2.0
#include "tests/daemon/memory_disk.hpp"

#include <algorithm>
#include <utility>

namespace histod::test {

using daemon::jobs::Bytes;
using daemon::jobs::DiskEntry;
using daemon::jobs::DiskFile;

namespace {

std::unexpected<std::error_code> fail(std::errc code) { return std::unexpected(std::make_error_code(code)); }

}  // namespace

class MemoryDisk::File final : public DiskFile {
 public:
  File(MemoryDisk& disk, std::shared_ptr<Node> node) : disk_(disk), node_(std::move(node)) {}
  Result<void> write(Bytes bytes) override {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const auto error = disk_.step()) {
      node_->content += text.substr(0, text.size() / 2);  // a torn write
      return std::unexpected(error);
    }
    node_->content += text;
    return {};
  }
  Result<void> sync() override {
    if (const auto error = disk_.step()) return std::unexpected(error);
    node_->durable_content = node_->content;
    return {};
  }

 private:
  MemoryDisk& disk_;
  std::shared_ptr<Node> node_;
};

MemoryDisk::MemoryDisk() : root_(std::make_shared<Node>()) { root_->is_directory = true; }

MemoryDisk::~MemoryDisk() = default;

/// Counts a call; the error with which it has to fail, if any.
std::error_code MemoryDisk::step() {
  const std::uint64_t call = calls++;
  if (fail_at && call == *fail_at) {
    down_ = stay_down;
    return failure;
  }
  return down_ ? std::make_error_code(std::errc::io_error) : std::error_code{};
}

std::shared_ptr<MemoryDisk::Node> MemoryDisk::find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  std::string_view rest = path == "." ? std::string_view() : std::string_view(path);
  while (node && !rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const auto found = node->entries.find(std::string(rest.substr(0, slash)));
    node = found == node->entries.end() ? nullptr : found->second;
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return node;
}

MemoryDisk::Place MemoryDisk::place(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {root_, path};
  return {find(path.substr(0, slash)), path.substr(slash + 1)};
}

std::shared_ptr<MemoryDisk::Node> MemoryDisk::survivor(const Node& node, bool lucky) {
  auto out = std::make_shared<Node>();
  out->is_directory = node.is_directory;
  out->content = out->durable_content = lucky ? node.content : node.durable_content;
  for (const auto& [name, entry] : lucky ? node.entries : node.durable_entries) {
    out->entries[name] = survivor(*entry, lucky);
  }
  out->durable_entries = out->entries;
  return out;
}

std::unique_ptr<MemoryDisk> MemoryDisk::after_power_loss(bool lucky) const {
  auto disk = std::make_unique<MemoryDisk>();
  disk->root_ = survivor(*root_, lucky);
  return disk;
}

std::string MemoryDisk::content(const std::string& path) const {
  const auto node = find(path);
  return node ? node->content : "(no such file)";
}

bool MemoryDisk::exists(const std::string& path) const { return find(path) != nullptr; }

void MemoryDisk::put(const std::string& path, const std::string& content) {
  std::shared_ptr<Node> node = root_;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    auto& next = node->entries[path.substr(at, slash - at)];
    if (!next) {
      next = std::make_shared<Node>();
      next->is_directory = slash != path.size();
    }
    node->durable_entries = node->entries;
    node = next;
    at = slash + 1;
  }
  node->content = node->durable_content = content;
}

void MemoryDisk::collect(const Node& node, const std::string& prefix, std::vector<std::string>& out) {
  for (const auto& [name, entry] : node.entries) {
    out.push_back(prefix + name);
    collect(*entry, prefix + name + '/', out);
  }
}

std::vector<std::string> MemoryDisk::all_paths() const {
  std::vector<std::string> out;
  collect(*root_, "", out);
  return out;
}

MemoryDisk::Result<void> MemoryDisk::make_directory(const std::string& path) {
  if (const auto error = step()) return std::unexpected(error);
  const auto [folder, name] = place(path);
  if (!folder) return fail(std::errc::no_such_file_or_directory);
  if (folder->entries.contains(name)) return fail(std::errc::file_exists);
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  folder->entries[name] = std::move(node);
  return {};
}

MemoryDisk::Result<std::unique_ptr<DiskFile>> MemoryDisk::create_file(const std::string& path) {
  if (const auto error = step()) return std::unexpected(error);
  const auto [folder, name] = place(path);
  if (!folder) return fail(std::errc::no_such_file_or_directory);
  auto& node = folder->entries[name];
  if (!node) node = std::make_shared<Node>();
  node->content.clear();
  return std::make_unique<File>(*this, node);
}

MemoryDisk::Result<void> MemoryDisk::sync_directory(const std::string& path) {
  if (const auto error = step()) return std::unexpected(error);
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  node->durable_entries = node->entries;
  return {};
}

MemoryDisk::Result<void> MemoryDisk::rename(const std::string& from, const std::string& to) {
  if (const auto error = step()) return std::unexpected(error);
  const auto [from_folder, from_name] = place(from);
  const auto [to_folder, to_name] = place(to);
  const auto node = find(from);
  if (!node || !to_folder) return fail(std::errc::no_such_file_or_directory);
  const auto old = find(to);
  if (old && old->is_directory && !old->entries.empty()) return fail(std::errc::directory_not_empty);
  from_folder->entries.erase(from_name);
  to_folder->entries[to_name] = node;
  return {};
}

MemoryDisk::Result<std::uint64_t> MemoryDisk::file_bytes(const std::string& path) {
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  if (node->is_directory) return fail(std::errc::invalid_argument);
  return node->content.size();
}

MemoryDisk::Result<void> MemoryDisk::read_file(const std::string& path, std::span<std::byte> into) {
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  if (unreadable.contains(path) || into.size() > node->content.size()) return fail(std::errc::io_error);
  std::ranges::copy(std::as_bytes(std::span(node->content)).first(into.size()), into.begin());
  return {};
}

MemoryDisk::Result<std::vector<DiskEntry>> MemoryDisk::list(const std::string& path) {
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  std::vector<DiskEntry> out;
  for (const auto& [name, entry] : node->entries) out.push_back({name, entry->is_directory});
  return out;
}

MemoryDisk::Result<void> MemoryDisk::remove_file(const std::string& path) {
  if (const auto error = step()) return std::unexpected(error);
  const auto [folder, name] = place(path);
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  if (node->is_directory) return fail(std::errc::is_a_directory);
  folder->entries.erase(name);
  return {};
}

MemoryDisk::Result<void> MemoryDisk::remove_directory(const std::string& path) {
  if (const auto error = step()) return std::unexpected(error);
  const auto [folder, name] = place(path);
  const auto node = find(path);
  if (!node) return fail(std::errc::no_such_file_or_directory);
  if (!node->entries.empty()) return fail(std::errc::directory_not_empty);
  folder->entries.erase(name);
  return {};
}

}  // namespace histod::test
