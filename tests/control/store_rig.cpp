// SPDX-License-Identifier: Apache-2.0
#include "tests/control/store_rig.hpp"

#include <cstdio>
#include <cstdlib>

namespace histod::control::tests {

Client::Client(StoreRig& rig, std::string identity, std::chrono::milliseconds timeout_ms) : loop_(rig.loop()) {
  auto store = rig.opener(std::move(identity), timeout_ms)([this](const StoreEvent& event) {
    if (event.kind == StoreEvent::Kind::connected) session_id_ = event.session_id;
  });
  if (!store) return;
  store_ = std::move(*store);
  loop_.drive([this] { return connected(); });
}

void Client::give_up() {
  std::fputs("a request to the store is not answered\n", stderr);
  std::abort();
}

Result<std::string> Client::create(std::string path, std::string data, CreateMode mode) {
  return wait<Result<std::string>>(
      [&](auto reply) { store().create(std::move(path), std::move(data), mode, std::move(reply)); });
}

Result<Stat> Client::set(std::string path, std::string data, std::int32_t version) {
  return wait<Result<Stat>>(
      [&](auto reply) { store().set(std::move(path), std::move(data), version, std::move(reply)); });
}

Result<void> Client::remove(std::string path, std::int32_t version) {
  return wait<Result<void>>([&](auto reply) { store().remove(std::move(path), version, std::move(reply)); });
}

Result<Stat> Client::exists(std::string path, Watch watch) {
  return wait<Result<Stat>>([&](auto reply) { store().exists(std::move(path), std::move(reply), std::move(watch)); });
}

Result<Node> Client::get(std::string path, Watch watch) {
  return wait<Result<Node>>([&](auto reply) { store().get(std::move(path), std::move(reply), std::move(watch)); });
}

Result<bool> Client::guarded(std::string path) {
  return wait<Result<bool>>([&](auto reply) { store_->guarded(std::move(path), std::move(reply)); });
}

Result<std::vector<std::string>> Client::children(std::string path, Watch watch) {
  return wait<Result<std::vector<std::string>>>(
      [&](auto reply) { store().children(std::move(path), std::move(reply), std::move(watch)); });
}

std::expected<std::vector<OpResult>, MultiError> Client::multi(std::vector<Op> ops) {
  return wait<std::expected<std::vector<OpResult>, MultiError>>(
      [&](auto reply) { store().multi(std::move(ops), std::move(reply)); });
}

Watch noted(std::vector<std::string>& into) {
  return [&into](const WatchEvent& event) {
    static constexpr const char* k_names[] = {"created ", "changed ", "removed ", "children "};
    into.push_back(k_names[static_cast<int>(event.type)] + event.path);
  };
}

}  // namespace histod::control::tests
