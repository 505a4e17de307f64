// SPDX-License-Identifier: Apache-2.0
#include "daemon/node_identity.hpp"

#include <span>

#include "daemon/jobs/ulid.hpp"

namespace histod::daemon {

namespace {

constexpr const char* k_file = "node-id";
constexpr const char* k_new_file = "node-id.new";
constexpr std::size_t k_id_bytes = 26;

std::string kept(jobs::Disk& disk) {
  const auto bytes = disk.file_bytes(k_file);
  if (!bytes || *bytes != k_id_bytes) return {};
  std::string id(k_id_bytes, '\0');
  if (!disk.read_file(k_file, std::as_writable_bytes(std::span(id))) || !jobs::is_ulid(id)) return {};
  return id;
}

}  // namespace

jobs::DiskResult<std::string> node_identity(jobs::Disk& disk, const std::function<std::string()>& make) {
  if (std::string id = kept(disk); !id.empty()) return id;
  std::string id = make();
  auto file = disk.create_file(k_new_file);
  if (!file) return std::unexpected(file.error());
  auto done = (*file)->write(std::as_bytes(std::span(id)));
  if (done) done = (*file)->sync();
  if (done) done = disk.rename(k_new_file, k_file);
  if (done) done = disk.sync_directory(".");
  if (!done) return std::unexpected(done.error());
  return id;
}

}  // namespace histod::daemon
