// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/catalog.hpp"
#include "tests/control/fleet_rig.hpp"
#include "tests/control/fleet_suite.hpp"

namespace histod::control::tests {

namespace json = boost::json;

/// A node whose calls wait for the answer.
struct Worker {
  explicit Worker(StoreRig& rig, RecordFormat format = RecordFormat())
      : loop(rig.loop()),
        session(loop, rig.opener("histod:0123456789abcdef", std::chrono::seconds(3))),
        catalog(session, format) {
    session.start();
    loop.drive([this] { return session.state() == SessionState::connected; });
  }
  template <class T, class F>
  T wait(F ask) {
    std::optional<T> answer;
    ask([&answer](T result) { answer = std::move(result); });
    if (!loop.drive([&] { return answer.has_value(); })) std::abort();  // whose frame the callback would outlive
    return std::move(*answer);
  }
  Result<void> publish(const std::string& path, const json::object& entry) {
    return wait<Result<void>>([&](auto reply) { catalog.publish(path, entry, std::move(reply)); });
  }
  Result<Entry> read(const std::string& path) {
    return wait<Result<Entry>>([&](auto reply) { catalog.read(path, std::move(reply)); });
  }
  Result<void> enroll(const std::string& path, const std::string& part) {
    return wait<Result<void>>([&](auto reply) { catalog.enroll(path, part, std::move(reply)); });
  }
  Result<std::vector<Entry>> parts(const std::string& path) {
    return wait<Result<std::vector<Entry>>>([&](auto reply) { catalog.parts(path, std::move(reply)); });
  }
  Result<void> remove(const std::string& path, const Fence& fence = {}) {
    return wait<Result<void>>([&](auto reply) { catalog.remove(path, fence, std::move(reply)); });
  }
  std::expected<std::int32_t, MultiError> update(const Entry& entry, const Fence& fence = {}) {
    return wait<std::expected<std::int32_t, MultiError>>(
        [&](auto reply) { catalog.update(entry, fence, std::move(reply)); });
  }

  TestLoop& loop;
  Session session;
  Catalog catalog;
};

/// What a catalog does, over every store.
class CatalogSuite : public FleetSuite {
 protected:
  CatalogSuite() {
    std::optional<Result<void>> made;
    make_layout(one_.session, paths_, [&](Result<void> result) { made = result; });
    rig_->loop().drive([&] { return made.has_value(); });
  }
  Paths paths_{rig_->root()};
  std::string set_ = paths_.dataset("d1");
  Worker one_{*rig_}, two_{*rig_};
};

}  // namespace histod::control::tests
