// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/executor.hpp"
#include "control/store.hpp"

namespace histod::control {

/// ZooKeeper's tree in memory, with its versions, sequences, ephemerals, watches and ACLs: the store of a node that is
/// alone, and the server of simulations and tests. Nothing is kept. Sessions end only when their store is destroyed.
class MemoryServer {
 public:
  struct Client {
    std::chrono::milliseconds timeout_ms{10'000};  ///< granted as it is
    std::string identity;                          ///< who makes a znode is alone allowed to use it; empty: anybody is
  };

  explicit MemoryServer(Executor& executor);
  MemoryServer(const MemoryServer&) = delete;
  MemoryServer& operator=(const MemoryServer&) = delete;

  /// The server outlives the stores that this opens.
  OpenStore opener(Client client);

 private:
  friend class MemoryStore;
  struct Entry {
    std::string data, identity;
    Stat stat;
    std::int32_t created = 0;  ///< children ever made: the next sequence number
    std::set<std::string, std::less<>> children;
  };
  using Tree = std::map<std::string, Entry, std::less<>>;
  struct Watcher {
    std::int64_t session = 0;
    Watch watch;
  };
  using Watchers = std::multimap<std::string, Watcher, std::less<>>;
  struct Caller {
    std::int64_t session = 0;
    const std::string& identity;
  };
  /// What a multi has done so far: to be undone when it fails, to be told to watchers when it does not.
  struct Transaction {
    std::vector<std::move_only_function<void()>> undo;  ///< to be run backwards
    std::vector<WatchEvent> events;
  };

  Result<Stat> exists(const std::string& path);
  Result<Node> get(const Caller& caller, const std::string& path);
  Result<std::vector<std::string>> children(const Caller& caller, const std::string& path);
  Result<bool> guarded(const Caller& caller, const std::string& path);
  std::expected<std::vector<OpResult>, MultiError> multi(const Caller& caller, std::vector<Op> ops);
  void close(std::int64_t session);

  Result<OpResult> apply(const Caller& caller, Create& op, Transaction& transaction);
  Result<OpResult> apply(const Caller& caller, Set& op, Transaction& transaction);
  Result<OpResult> apply(const Caller& caller, const Remove& op, Transaction& transaction);
  Result<OpResult> apply(const Caller& caller, const Check& op, Transaction& transaction);
  Result<Tree::iterator> find(std::string_view path);
  Result<Tree::iterator> find(const Caller& caller, std::string_view path, std::int32_t version);
  void notify(const WatchEvent& event);
  void notify(Watchers& watchers, const WatchEvent& event);

  Executor& executor_;
  Tree tree_;
  Watchers data_watchers_, child_watchers_;
  std::int64_t zxid_ = 0;
  std::int64_t sessions_ = 0;
};

}  // namespace histod::control
