// SPDX-License-Identifier: Apache-2.0
#include "control/store.hpp"

#include <algorithm>
#include <utility>

namespace histod::control {

namespace {

constexpr std::size_t k_op_bytes = 100;  // what an operation weighs on the wire besides path and data, its ACL included

const std::string* data_of(const Op& op) {
  if (const auto* create = std::get_if<Create>(&op)) return &create->data;
  if (const auto* set = std::get_if<Set>(&op)) return &set->data;
  return nullptr;
}

bool is_sequential(const Op& op) {
  const auto* create = std::get_if<Create>(&op);
  return create != nullptr &&
         (create->mode == CreateMode::persistent_sequential || create->mode == CreateMode::ephemeral_sequential);
}

/// A multi of one.
template <class T, class Take>
void write(Store& store, Op op, Reply<T> reply, Take take) {
  std::vector<Op> ops;
  ops.push_back(std::move(op));
  store.multi(std::move(ops), [reply = std::move(reply), take](auto result) mutable {
    if (!result) return reply(std::unexpected(result.error().error));
    reply(take(result->front()));
  });
}

}  // namespace

void Store::create(std::string path, std::string data, CreateMode mode, Reply<std::string> reply) {
  write(*this, Create{std::move(path), std::move(data), mode}, std::move(reply),
        [](OpResult& done) { return Result<std::string>(std::move(done.path)); });
}

void Store::set(std::string path, std::string data, std::int32_t version, Reply<Stat> reply) {
  write(*this, Set{std::move(path), std::move(data), version}, std::move(reply),
        [](OpResult& done) { return Result<Stat>(done.stat); });
}

void Store::remove(std::string path, std::int32_t version, Reply<void> reply) {
  write(*this, Remove{std::move(path), version}, std::move(reply), [](OpResult&) { return Result<void>(); });
}

const std::string& path_of(const Op& op) {
  return std::visit([](const auto& each) -> const std::string& { return each.path; }, op);
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

std::error_code refusal_of(std::string_view path) {
  if (path == "/") return {};
  if (!path.starts_with('/') || path.ends_with('/')) return Errc::bad_arguments;
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c >= 0x7f; })) return Errc::bad_arguments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    if (name.empty() || name == "." || name == "..") return Errc::bad_arguments;
    path.remove_prefix(name.size());
  }
  return {};
}

std::error_code refusal_of(const std::vector<Op>& ops) {
  if (ops.empty()) return Errc::bad_arguments;
  std::size_t bytes = 0;
  for (const Op& op : ops) {
    // A sequential name may be digits only: it is checked as if they were there.
    if (const auto refused = refusal_of(is_sequential(op) ? path_of(op) + "0" : path_of(op))) return refused;
    bytes += path_of(op).size() + k_op_bytes;
    if (const std::string* data = data_of(op)) bytes += data->size();
    if (bytes > k_request_bytes_max) return Errc::too_large;
  }
  return {};
}

}  // namespace histod::control
