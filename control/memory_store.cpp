// SPDX-License-Identifier: Apache-2.0
#include "control/memory_store.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include <fmt/core.h>

#include "control/any_reply.hpp"

namespace histod::control {

namespace {

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

/// A session of MemoryServer. What is asked is done at once; what comes back goes through the executor.
class MemoryStore final : public Store {
 public:
  MemoryStore(MemoryServer& server, MemoryServer::Client client, OnStoreEvent on_event)
      : server_(server), client_(std::move(client)), on_event_(std::move(on_event)), session_(++server.sessions_) {
    const StoreEvent connected{StoreEvent::Kind::connected, session_, client_.timeout_ms};
    server_.executor_.post(lifetime_.guard([this, connected] { on_event_(connected); }));
  }
  ~MemoryStore() override {
    server_.close(session_);
    for (auto& [number, reply] : pending_) {
      server_.executor_.post([reply = std::move(reply)]() mutable { fail(reply, Errc::session_lost); });
    }
  }
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  using Store::children, Store::exists, Store::get;
  void exists(std::string path, Reply<Stat> reply, Watch watch) override {
    auto result = checked<Stat>(path, [&] { return server_.exists(path); });
    const bool watched = result || result.error() == Errc::no_node;
    if (watched) leave(server_.data_watchers_, std::move(path), std::move(watch));
    answer(std::move(result), std::move(reply));
  }
  void get(std::string path, Reply<Node> reply, Watch watch) override {
    auto result = checked<Node>(path, [&] { return server_.get(caller(), path); });
    if (result) leave(server_.data_watchers_, std::move(path), std::move(watch));
    answer(std::move(result), std::move(reply));
  }
  void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) override {
    auto result = checked<std::vector<std::string>>(path, [&] { return server_.children(caller(), path); });
    if (result) leave(server_.child_watchers_, std::move(path), std::move(watch));
    answer(std::move(result), std::move(reply));
  }
  void guarded(std::string path, Reply<bool> reply) override {
    auto result = checked<bool>(path, [&] { return server_.guarded(caller(), path); });
    answer(std::move(result), std::move(reply));
  }
  void multi(std::vector<Op> ops, MultiReply reply) override {
    answer(server_.multi(caller(), std::move(ops)), std::move(reply));
  }

 private:
  MemoryServer::Caller caller() const { return {session_, client_.identity}; }

  template <class T, class F>
  static Result<T> checked(const std::string& path, F read) {
    if (const auto refused = refusal_of(path)) return std::unexpected(refused);
    return read();
  }
  void leave(MemoryServer::Watchers& watchers, std::string path, Watch watch) {
    if (watch) watchers.emplace(std::move(path), MemoryServer::Watcher{session_, lifetime_.guard(std::move(watch))});
  }
  template <class R, class Answer>
  void answer(Answer result, R reply) {
    const std::uint64_t number = ++asked_;
    pending_.emplace(number, std::move(reply));
    server_.executor_.post(lifetime_.guard([this, number, result = std::move(result)]() mutable {
      auto found = pending_.extract(number);
      std::get<R>(found.mapped())(std::move(result));
    }));
  }

  MemoryServer& server_;
  const MemoryServer::Client client_;
  OnStoreEvent on_event_;
  const std::int64_t session_;
  std::uint64_t asked_ = 0;
  std::map<std::uint64_t, AnyReply> pending_;
  Lifetime lifetime_;
};

MemoryServer::MemoryServer(Executor& executor) : executor_(executor) { tree_["/"]; }

OpenStore MemoryServer::opener(Client client) {
  return [this, client = std::move(client)](OnStoreEvent on_event) -> Result<std::unique_ptr<Store>> {
    return std::make_unique<MemoryStore>(*this, client, std::move(on_event));
  };
}

Result<MemoryServer::Tree::iterator> MemoryServer::find(std::string_view path) {
  const auto found = tree_.find(path);
  if (found == tree_.end()) return std::unexpected(Errc::no_node);
  return found;
}

Result<MemoryServer::Tree::iterator> MemoryServer::find(const Caller& caller, std::string_view path,
                                                        std::int32_t version) {
  const auto found = find(path);
  if (!found) return found;
  const Entry& entry = (*found)->second;
  if (!entry.identity.empty() && entry.identity != caller.identity) return std::unexpected(Errc::no_auth);
  if (version != k_any_version && version != entry.stat.version) return std::unexpected(Errc::bad_version);
  return found;
}

Result<Stat> MemoryServer::exists(const std::string& path) {
  const auto found = find(path);
  if (!found) return std::unexpected(found.error());
  return (*found)->second.stat;
}

Result<Node> MemoryServer::get(const Caller& caller, const std::string& path) {
  const auto found = find(caller, path, k_any_version);
  if (!found) return std::unexpected(found.error());
  return Node{(*found)->second.data, (*found)->second.stat};
}

Result<bool> MemoryServer::guarded(const Caller& caller, const std::string& path) {
  const auto found = find(path);
  if (!found) return std::unexpected(found.error());
  return caller.identity.empty() || (*found)->second.identity == caller.identity;
}

Result<std::vector<std::string>> MemoryServer::children(const Caller& caller, const std::string& path) {
  const auto found = find(caller, path, k_any_version);
  if (!found) return std::unexpected(found.error());
  const auto& names = (*found)->second.children;
  return std::vector<std::string>(names.begin(), names.end());
}

std::expected<std::vector<OpResult>, MultiError> MemoryServer::multi(const Caller& caller, std::vector<Op> ops) {
  if (const auto refused = refusal_of(ops)) return std::unexpected(MultiError{refused, 0});
  ++zxid_;
  Transaction transaction;
  std::vector<OpResult> results;
  for (Op& op : ops) {
    auto done = std::visit([&](auto& each) { return apply(caller, each, transaction); }, op);
    if (!done) {
      for (auto undo = transaction.undo.rbegin(); undo != transaction.undo.rend(); ++undo) (*undo)();
      return std::unexpected(MultiError{done.error(), results.size()});
    }
    results.push_back(std::move(*done));
  }
  for (const WatchEvent& event : transaction.events) notify(event);
  return results;
}

Result<OpResult> MemoryServer::apply(const Caller& caller, Create& op, Transaction& transaction) {
  const std::string parent_path(parent_of(op.path));
  const auto parent = find(caller, parent_path, k_any_version);
  if (!parent) return std::unexpected(parent.error());
  Entry& above = (*parent)->second;
  if (op.mode == CreateMode::persistent_sequential || op.mode == CreateMode::ephemeral_sequential) {
    op.path += fmt::format("{:010}", above.created);
  }
  if (tree_.contains(op.path)) return std::unexpected(Errc::node_exists);
  if (above.stat.ephemeral_owner != 0) return std::unexpected(Errc::no_children_for_ephemerals);
  transaction.undo.emplace_back([this, &above, stat = above.stat, path = op.path] {
    above.children.erase(name_of(path));
    above.stat = stat;
    --above.created;
    tree_.erase(path);
  });
  ++above.created;
  ++above.stat.cversion;
  ++above.stat.num_children;
  above.children.insert(name_of(op.path));
  Entry& made = tree_[op.path];
  made.data = std::move(op.data);
  made.identity = caller.identity;
  made.stat.czxid = made.stat.mzxid = zxid_;
  const bool ephemeral = op.mode == CreateMode::ephemeral || op.mode == CreateMode::ephemeral_sequential;
  made.stat.ephemeral_owner = ephemeral ? caller.session : 0;
  transaction.events.push_back({WatchType::created, op.path});
  transaction.events.push_back({WatchType::children, parent_path});
  return OpResult{op.path, {}};
}

Result<OpResult> MemoryServer::apply(const Caller& caller, Set& op, Transaction& transaction) {
  const auto found = find(caller, op.path, op.version);
  if (!found) return std::unexpected(found.error());
  Entry& entry = (*found)->second;
  transaction.undo.emplace_back([&entry, stat = entry.stat, data = std::move(entry.data)]() mutable {
    entry.stat = stat;
    entry.data = std::move(data);
  });
  entry.data = std::move(op.data);
  ++entry.stat.version;
  entry.stat.mzxid = zxid_;
  transaction.events.push_back({WatchType::changed, op.path});
  return OpResult{op.path, entry.stat};
}

Result<OpResult> MemoryServer::apply(const Caller& caller, const Remove& op, Transaction& transaction) {
  if (op.path == "/") return std::unexpected(Errc::bad_arguments);
  const std::string parent_path(parent_of(op.path));
  // As ZooKeeper has it: the right to remove is the parent's.
  const auto parent = find(caller, parent_path, k_any_version);
  if (!parent) return std::unexpected(parent.error());
  const auto found = find(op.path);
  if (!found) return std::unexpected(found.error());
  if (op.version != k_any_version && op.version != (*found)->second.stat.version)
    return std::unexpected(Errc::bad_version);
  if (!(*found)->second.children.empty()) return std::unexpected(Errc::not_empty);
  Entry& above = (*parent)->second;
  const Stat stat = above.stat;
  ++above.stat.cversion;
  --above.stat.num_children;
  above.children.erase(name_of(op.path));
  transaction.undo.emplace_back([this, &above, stat, gone = tree_.extract(*found)]() mutable {
    above.stat = stat;
    above.children.insert(name_of(gone.key()));
    tree_.insert(std::move(gone));
  });
  transaction.events.push_back({WatchType::removed, op.path});
  transaction.events.push_back({WatchType::children, parent_path});
  return OpResult{op.path, {}};
}

Result<OpResult> MemoryServer::apply(const Caller& caller, const Check& op, Transaction&) {
  const auto found = find(caller, op.path, op.version);
  if (!found) return std::unexpected(found.error());
  return OpResult{op.path, {}};
}

void MemoryServer::notify(const WatchEvent& event) {
  if (event.type != WatchType::children) notify(data_watchers_, event);
  if (event.type == WatchType::children || event.type == WatchType::removed) notify(child_watchers_, event);
}

void MemoryServer::notify(Watchers& watchers, const WatchEvent& event) {
  const auto [first, last] = watchers.equal_range(event.path);
  for (auto each = first; each != last; ++each) {
    executor_.post([watch = std::move(each->second.watch), event]() mutable { watch(event); });
  }
  watchers.erase(first, last);
}

void MemoryServer::close(std::int64_t session) {
  for (Watchers* watchers : {&data_watchers_, &child_watchers_}) {
    std::erase_if(*watchers, [session](const auto& each) { return each.second.session == session; });
  }
  std::vector<std::string> mine;
  for (const auto& [path, entry] : tree_) {
    if (entry.stat.ephemeral_owner == session) mine.push_back(path);
  }
  for (const std::string& path : mine) {
    Transaction transaction;
    ++zxid_;
    // The server's own doing, which no ACL forbids.
    const auto done = apply({session, tree_.find(parent_of(path))->second.identity}, Remove{path}, transaction);
    assert(done);
    for (const WatchEvent& event : transaction.events) notify(event);
  }
}

}  // namespace histod::control
