// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "control/election.hpp"
#include "control/membership.hpp"
#include "control/paths.hpp"
#include "control/session.hpp"
#include "tests/control/store_rig.hpp"

namespace histod::control::tests {

/// What one daemon will have of control/.
struct FleetNode {
  FleetNode(StoreRig& rig, const Paths& paths, const Member& self, std::chrono::milliseconds timeout_ms)
      : session(rig.loop(), rig.opener("histod:0123456789abcdef", timeout_ms)),
        membership(session, paths, RecordFormat(), self),
        election(session, paths, RecordFormat(), self.name),
        observer(session, paths, RecordFormat()) {
    session.listen([this, paths](SessionState state) {
      if (state != SessionState::connected || laid_out) return;
      laid_out = true;
      make_layout(session, paths, [this](Result<void> made) {
        EXPECT_TRUE(made) << made.error().message();
        membership.start([] {});
        contend();
        observer.start([] {});
      });
    });
    session.start();
  }
  void contend() {
    election.contend([this] { ++elections; });
  }
  bool leads() const { return election.leadership().has_value(); }
  bool settled(const std::string& leader, std::size_t members) const {
    return membership.registered() && membership.members().size() == members && observer.leader() == leader;
  }

  bool laid_out = false;
  int elections = 0;
  Session session;
  Membership membership;
  Election election;
  LeaderObserver observer;
};

/// Several of them on one loop.
class Fleet {
 public:
  Fleet(StoreRig& rig, std::size_t nodes, std::chrono::milliseconds timeout_ms = std::chrono::seconds(6))
      : rig_(rig), timeout_ms_(timeout_ms), paths_(rig.root()), nodes_(nodes) {
    for (std::size_t i = 0; i < nodes; ++i) start(i);
  }
  static Member member(std::size_t i) {
    const std::string name = "node" + std::to_string(i);
    return {name, "id-" + name, "https://" + name + ":8443", "1.0", 8};
  }
  void start(std::size_t i) { nodes_[i] = std::make_unique<FleetNode>(rig_, paths_, member(i), timeout_ms_); }
  void stop(std::size_t i) { nodes_[i].reset(); }
  FleetNode& operator[](std::size_t i) { return *nodes_[i]; }
  const FleetNode& operator[](std::size_t i) const { return *nodes_[i]; }
  std::size_t size() const { return nodes_.size(); }
  const Paths& paths() const { return paths_; }

  std::size_t running() const {
    return static_cast<std::size_t>(std::ranges::count_if(nodes_, [](const auto& node) { return node != nullptr; }));
  }
  std::vector<std::size_t> leaders() const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i] && nodes_[i]->leads()) found.push_back(i);
    }
    return found;
  }
  bool settled() const {
    const auto leading = leaders();
    return leading.size() == 1 && std::ranges::all_of(nodes_, [&](const auto& node) {
             return !node || node->settled("node" + std::to_string(leading.front()), running());
           });
  }
  bool settle(std::chrono::milliseconds at_most = std::chrono::minutes(2)) {
    return rig_.loop().drive([this] { return settled(); }, at_most);
  }

 private:
  StoreRig& rig_;
  const std::chrono::milliseconds timeout_ms_;
  const Paths paths_;
  std::vector<std::unique_ptr<FleetNode>> nodes_;
};

}  // namespace histod::control::tests
