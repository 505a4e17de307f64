// SPDX-License-Identifier: Apache-2.0
#include "control/zk_store.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <zookeeper/zookeeper.h>

#include "control/any_reply.hpp"

namespace histod::control {

namespace {

std::error_code error_of(int code) {
  switch (code) {
    case ZOK:
      return {};
    case ZNONODE:
      return Errc::no_node;
    case ZNODEEXISTS:
      return Errc::node_exists;
    case ZBADVERSION:
      return Errc::bad_version;
    case ZNOTEMPTY:
      return Errc::not_empty;
    case ZNOCHILDRENFOREPHEMERALS:
      return Errc::no_children_for_ephemerals;
    case ZNOAUTH:
    case ZINVALIDACL:  // "for whom I am", said by nobody
      return Errc::no_auth;
    case ZAUTHFAILED:
    case ZSESSIONCLOSEDREQUIRESASLAUTH:
      return Errc::auth_failed;
    case ZBADARGUMENTS:
      return Errc::bad_arguments;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONMOVED:  // refused here, but what went before may have been done elsewhere
    case ZTHROTTLEDOP:
      return Errc::connection_loss;
    case ZSESSIONEXPIRED:
    case ZCLOSING:
    case ZINVALIDSTATE:
      return Errc::session_lost;
    default:
      return Errc::unexpected;
  }
}

Stat stat_of(const ::Stat& stat) {
  return {stat.czxid, stat.mzxid, stat.version, stat.cversion, stat.ephemeralOwner, stat.numChildren};
}

int mode_of(CreateMode mode) {
  switch (mode) {
    case CreateMode::persistent:
      return ZOO_PERSISTENT;
    case CreateMode::ephemeral:
      return ZOO_EPHEMERAL;
    case CreateMode::persistent_sequential:
      return ZOO_PERSISTENT_SEQUENTIAL;
    case CreateMode::ephemeral_sequential:
      return ZOO_EPHEMERAL_SEQUENTIAL;
  }
  return ZOO_PERSISTENT;
}

/// What a multi needs from the call to the answer.
struct MultiFrame {
  std::vector<Op> ops;
  std::vector<zoo_op_t> requests;
  std::vector<zoo_op_result_t> results;
  std::vector<::Stat> stats;
  std::vector<std::string> paths;  ///< as made, with room for a sequence number

  explicit MultiFrame(std::vector<Op> asked, const ACL_vector* acl)
      : ops(std::move(asked)), requests(ops.size()), results(ops.size()), stats(ops.size()), paths(ops.size()) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      std::visit([&](const auto& op) { fill(i, op, acl); }, ops[i]);
    }
  }
  void fill(std::size_t i, const Create& op, const ACL_vector* acl) {
    paths[i].resize(op.path.size() + 16);
    ::zoo_create_op_init(&requests[i], op.path.c_str(), op.data.data(), static_cast<int>(op.data.size()), acl,
                         mode_of(op.mode), paths[i].data(), static_cast<int>(paths[i].size()));
  }
  void fill(std::size_t i, const Set& op, const ACL_vector*) {
    ::zoo_set_op_init(&requests[i], op.path.c_str(), op.data.data(), static_cast<int>(op.data.size()), op.version,
                      &stats[i]);
  }
  void fill(std::size_t i, const Remove& op, const ACL_vector*) {
    ::zoo_delete_op_init(&requests[i], op.path.c_str(), op.version);
  }
  void fill(std::size_t i, const Check& op, const ACL_vector*) {
    ::zoo_check_op_init(&requests[i], op.path.c_str(), op.version);
  }
  std::expected<std::vector<OpResult>, MultiError> outcome(int code) const {
    if (const auto error = error_of(code)) {
      const auto failed = std::ranges::find_if(
          results, [](const auto& each) { return each.err != ZOK && each.err != ZRUNTIMEINCONSISTENCY; });
      const bool known = failed != results.end() && !is_ambiguous(error);
      return std::unexpected(MultiError{error, known ? static_cast<std::size_t>(failed - results.begin()) : 0});
    }
    std::vector<OpResult> done;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const bool made = std::holds_alternative<Create>(ops[i]);
      done.push_back({made ? paths[i].substr(0, paths[i].find('\0')) : path_of(ops[i]), stat_of(stats[i])});
    }
    return done;
  }
};

class ZkStore;

/// From a request to its completion the library holds a pointer to this.
struct Request {
  ZkStore* store;
  std::uint64_t number;
  std::unique_ptr<MultiFrame> frame = {};
  AnyReply reply = {};
  std::uint64_t watch = 0;  ///< the number of the one that this read leaves
};

/// From a read to its event, or to the end of the handle, the library holds a pointer to this.
struct Watching {
  ZkStore* store;
  std::uint64_t number;
  Watch watch;
};

/// What belongs to the executor's thread. Tasks posted by the library's threads find it only while the store lives.
struct Tables {
  OnStoreEvent on_event;
  std::map<std::uint64_t, std::unique_ptr<Request>> requests;
  std::map<std::uint64_t, std::unique_ptr<Watching>> watches;
};

class ZkStore final : public Store {
 public:
  ZkStore(Executor& executor, OnStoreEvent on_event, const Credential& credential)
      : executor_(executor),
        acl_(credential.text.empty() ? &ZOO_OPEN_ACL_UNSAFE : &ZOO_CREATOR_ALL_ACL),
        user_(acl_user(credential)) {
    tables_->on_event = std::move(on_event);
  }
  ~ZkStore() override {
    if (handle_ != nullptr) ::zookeeper_close(handle_);  // joins the library's threads: no pointer is in use any more
    for (auto& [number, request] : tables_->requests) {
      executor_.post([reply = std::move(request->reply)]() mutable { fail(reply, Errc::session_lost); });
    }
  }
  ZkStore(const ZkStore&) = delete;
  ZkStore& operator=(const ZkStore&) = delete;

  std::error_code open(const ZkOptions& options) {
    handle_ = ::zookeeper_init(options.servers.c_str(), on_session, static_cast<int>(options.timeout_ms.count()),
                               nullptr, this, 0);
    if (handle_ == nullptr) return Errc::unavailable;
    const std::string& credential = options.credential.text;
    if (credential.empty()) return {};
    return error_of(
        ::zoo_add_auth(handle_, "digest", credential.data(), static_cast<int>(credential.size()), nullptr, nullptr));
  }

  using Store::children, Store::exists, Store::get;
  void exists(std::string path, Reply<Stat> reply, Watch watch) override {
    read(path, std::move(reply), std::move(watch), [&](Request* request, watcher_fn watcher, void* watching) {
      return ::zoo_awexists(handle_, path.c_str(), watcher, watching, on_stat, request);
    });
  }
  void get(std::string path, Reply<Node> reply, Watch watch) override {
    read(path, std::move(reply), std::move(watch), [&](Request* request, watcher_fn watcher, void* watching) {
      return ::zoo_awget(handle_, path.c_str(), watcher, watching, on_data, request);
    });
  }
  void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) override {
    read(path, std::move(reply), std::move(watch), [&](Request* request, watcher_fn watcher, void* watching) {
      return ::zoo_awget_children(handle_, path.c_str(), watcher, watching, on_names, request);
    });
  }
  void guarded(std::string path, Reply<bool> reply) override {
    read(path, std::move(reply), {},
         [&](Request* request, watcher_fn, void*) { return ::zoo_aget_acl(handle_, path.c_str(), on_acl, request); });
  }
  void multi(std::vector<Op> ops, MultiReply reply) override {
    const auto refused = refusal_of(ops);
    Request* request = ask(std::move(reply));
    if (refused) return refuse(request, refused);
    request->frame = std::make_unique<MultiFrame>(std::move(ops), acl_);
    MultiFrame& frame = *request->frame;
    const int code = ::zoo_amulti(handle_, static_cast<int>(frame.requests.size()), frame.requests.data(),
                                  frame.results.data(), on_multi, request);
    if (code != ZOK) refuse(request, error_of(code));
  }

 private:
  template <class R>
  Request* ask(R reply) {
    const std::uint64_t number = ++numbers_;
    auto request = std::make_unique<Request>(this, number);
    request->reply = std::move(reply);
    return (tables_->requests[number] = std::move(request)).get();
  }

  template <class T, class Call>
  void read(const std::string& path, Reply<T> reply, Watch watch, Call call) {
    Request* request = ask(std::move(reply));
    if (const auto refused = refusal_of(path)) return refuse<T>(request, refused);
    Watching* watching = nullptr;
    if (watch) {
      auto& place = tables_->watches[request->watch = ++numbers_];
      place = std::make_unique<Watching>(this, request->watch, std::move(watch));
      watching = place.get();
    }
    const int code = call(request, watching != nullptr ? on_watch : nullptr, watching);
    if (code != ZOK) refuse<T>(request, error_of(code));
  }

  /// Any thread: runs task(Tables&) on the executor's, unless the store is gone by then.
  template <class F>
  void post(F task) {
    executor_.post([tables = std::weak_ptr<Tables>(tables_), task = std::move(task)]() mutable {
      if (const auto alive = tables.lock()) task(*alive);
    });
  }
  /// Any thread.
  template <class R, class Answer>
  void answer(std::uint64_t number, Answer result, bool watch_stays) {
    post([number, result = std::move(result), watch_stays](Tables& tables) mutable {
      const auto request = std::move(tables.requests.extract(number).mapped());
      if (!watch_stays) tables.watches.erase(request->watch);
      std::get<R>(request->reply)(std::move(result));
    });
  }
  template <class T>
  void refuse(Request* request, std::error_code why) {
    answer<Reply<T>>(request->number, Result<T>(std::unexpected(why)), false);
  }
  void refuse(Request* request, std::error_code why) {
    answer<MultiReply>(request->number,
                       std::expected<std::vector<OpResult>, MultiError>(std::unexpected(MultiError{why, 0})), false);
  }

  template <class T>
  static void finish(int code, const void* data, T value) {
    const auto* request = static_cast<const Request*>(data);
    if (const auto error = error_of(code)) {
      const bool watch_stays = std::is_same_v<T, Stat> && code == ZNONODE;
      return request->store->answer<Reply<T>>(request->number, Result<T>(std::unexpected(error)), watch_stays);
    }
    request->store->answer<Reply<T>>(request->number, Result<T>(std::move(value)), true);
  }

  // The library's thread.
  static void on_stat(int code, const ::Stat* stat, const void* data) {
    finish(code, data, code == ZOK ? stat_of(*stat) : Stat{});
  }
  static void on_data(int code, const char* value, int bytes, const ::Stat* stat, const void* data) {
    if (code != ZOK) return finish(code, data, Node{});
    finish(code, data,
           Node{bytes > 0 ? std::string(value, static_cast<std::size_t>(bytes)) : std::string(), stat_of(*stat)});
  }
  static void on_names(int code, const String_vector* names, const void* data) {
    std::vector<std::string> sorted;
    if (code == ZOK) sorted.assign(names->data, names->data + names->count);
    std::ranges::sort(sorted);
    finish(code, data, std::move(sorted));
  }
  static void on_acl(int code, ACL_vector* acl, ::Stat*, const void* data) {
    const auto* request = static_cast<const Request*>(data);
    // Who may not even read it has not made it.
    if (code == ZNOAUTH) return finish(ZOK, data, false);
    finish(code, data, code == ZOK && request->store->is_ours(*acl));
  }
  static void on_multi(int code, const void* data) {
    const auto* request = static_cast<const Request*>(data);
    request->store->answer<MultiReply>(request->number, request->frame->outcome(code), true);
  }
  static void on_watch(zhandle_t* handle, int type, int state, const char* path, void* context);
  static void on_session(zhandle_t* handle, int type, int state, const char* path, void* context);

  /// Who only reads is no harm.
  bool is_ours(const ACL_vector& acl) const {
    return user_.empty() || std::all_of(acl.data, acl.data + acl.count, [this](const ACL& one) {
             return (one.perms & ~ZOO_PERM_READ) == 0 ||
                    (std::string_view(one.id.scheme) == "digest" && one.id.id == user_);
           });
  }

  Executor& executor_;
  const ACL_vector* const acl_;
  const std::string user_;  ///< as ACLs have it; empty: no credential
  std::uint64_t numbers_ = 0;
  const std::shared_ptr<Tables> tables_ = std::make_shared<Tables>();
  zhandle_t* handle_ = nullptr;
};

void ZkStore::on_watch(zhandle_t*, int type, int, const char* path, void* context) {
  if (type == ZOO_SESSION_EVENT) return;  // on_session hears of it
  const auto* watching = static_cast<const Watching*>(context);
  WatchEvent event{WatchType::children, path};
  if (type == ZOO_CREATED_EVENT) event.type = WatchType::created;
  if (type == ZOO_CHANGED_EVENT) event.type = WatchType::changed;
  if (type == ZOO_DELETED_EVENT) event.type = WatchType::removed;
  watching->store->post(
      [number = watching->number, event](Tables& tables) { tables.watches.extract(number).mapped()->watch(event); });
}

void ZkStore::on_session(zhandle_t* handle, int type, int state, const char*, void* context) {
  if (type != ZOO_SESSION_EVENT) return;
  StoreEvent event{StoreEvent::Kind::disconnected, ::zoo_client_id(handle)->client_id,
                   std::chrono::milliseconds(::zoo_recv_timeout(handle))};
  if (state == ZOO_CONNECTED_STATE) event.kind = StoreEvent::Kind::connected;
  if (state == ZOO_EXPIRED_SESSION_STATE) event.kind = StoreEvent::Kind::expired;
  if (state == ZOO_AUTH_FAILED_STATE) event.kind = StoreEvent::Kind::auth_failed;
  static_cast<ZkStore*>(context)->post([event](Tables& tables) { tables.on_event(event); });
}

}  // namespace

OpenStore zookeeper_opener(Executor& executor, ZkOptions options) {
  // None: the library's log would go to standard error, and is made in a buffer that its threads share without a lock.
  ::zoo_set_debug_level(ZooLogLevel{});
  return [&executor, options = std::move(options)](OnStoreEvent on_event) -> Result<std::unique_ptr<Store>> {
    auto store = std::make_unique<ZkStore>(executor, std::move(on_event), options.credential);
    if (const auto error = store->open(options)) return std::unexpected(error);
    return store;
  };
}

}  // namespace histod::control
