// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "control/executor.hpp"
#include "daemon/peer_link.hpp"

namespace histod::daemon {

/// For a node that cannot ask others: each call fails.
class NoPeers final : public PeerLink {
 public:
  explicit NoPeers(control::Executor& executor) : executor_(executor) {}
  void share(std::string, AskedDataset, Reply<jobs::Share> reply) override { fail(std::move(reply)); }
  void stage(std::string, AskedDataset, std::uint64_t, jobs::SharedTables, Reply<void> reply) override {
    fail(std::move(reply));
  }
  void tables(std::string, AskedDataset, std::uint64_t, Reply<jobs::SharedTables> reply) override {
    fail(std::move(reply));
  }
  void disown(std::string, std::vector<std::string>, Reply<void> reply) override { fail(std::move(reply)); }
  void owned(std::string, std::vector<std::string>, Reply<std::vector<std::string>> reply) override {
    fail(std::move(reply));
  }
  void keep(std::string, std::vector<std::string>, Reply<std::vector<std::string>> reply) override {
    fail(std::move(reply));
  }
  void copy(jobs::JobRecord, Reply<void> reply) override { fail(std::move(reply)); }

 private:
  template <class T>
  void fail(Reply<T> reply) {
    executor_.post([reply = std::move(reply)]() mutable {
      reply(std::unexpected(jobs::problem(502, "peer-failed", "this node has no token for its peers")));
    });
  }
  control::Executor& executor_;
};

}  // namespace histod::daemon
