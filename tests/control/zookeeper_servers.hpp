// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>

#include "control/zk_store.hpp"
#include "tests/control/store_rig.hpp"

namespace histod::control::tests {

/// Real ZooKeeper servers, run by tests/support/zookeeper_servers.py, gone with this object or with its process.
class ZooKeeperServers {
 public:
  /// Returns when all of them serve. When they cannot be started, address() is empty and why() says it.
  explicit ZooKeeperServers(std::size_t count);
  ~ZooKeeperServers();
  ZooKeeperServers(const ZooKeeperServers&) = delete;
  ZooKeeperServers& operator=(const ZooKeeperServers&) = delete;

  const std::string& address() const { return address_; }  ///< "host:port,host:port"
  std::string address(std::size_t index) const;
  const std::string& why() const { return why_; }
  /// kill, start, spawn, freeze or thaw. False when that failed.
  bool tell(const std::string& word, std::size_t index);

  /// The one server that most tests of this process share.
  static ZooKeeperServers& shared();

 private:
  std::string line();

  int pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
  std::string address_, why_;
};

/// Sessions with real servers, each rig under a znode of its own.
class ZooKeeperRig final : public StoreRig {
 public:
  explicit ZooKeeperRig(std::string servers = ZooKeeperServers::shared().address());
  TestLoop& loop() override { return loop_; }
  OpenStore opener(std::string identity, std::chrono::milliseconds timeout_ms) override;
  std::string root() override;

 private:
  std::string servers_;
  TestLoop loop_{TestLoop::Time::real, 1};
};

}  // namespace histod::control::tests
