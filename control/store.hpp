// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "control/error.hpp"

namespace histod::control {

template <class T>
using Result = std::expected<T, std::error_code>;
template <class T>
using Reply = std::move_only_function<void(Result<T>)>;

/// ZooKeeper's Stat, less what nobody here asks for.
struct Stat {
  std::int64_t czxid = 0;            ///< the transaction that made the znode: tells it from an earlier one of its name
  std::int64_t mzxid = 0;            ///< the transaction that last wrote its data
  std::int32_t version = 0;          ///< writes of its data since it was made
  std::int32_t cversion = 0;         ///< children made and removed
  std::int64_t ephemeral_owner = 0;  ///< the session that it dies with; 0: persistent
  std::int32_t num_children = 0;
  bool operator==(const Stat&) const = default;
};

struct Node {
  std::string data;
  Stat stat;
};

enum class CreateMode { persistent, ephemeral, persistent_sequential, ephemeral_sequential };
inline constexpr std::int32_t k_any_version = -1;
/// All data and paths of a request. The server cuts the connection over 1 MiB, whose cause could not be told from a
/// lost one: such a request would be repeated for ever.
inline constexpr std::size_t k_request_bytes_max = 1'000'000;

struct Create {
  std::string path;
  std::string data = {};
  CreateMode mode = CreateMode::persistent;  ///< sequential: ten digits are appended to the path
};
struct Set {
  std::string path;
  std::string data = {};
  std::int32_t version = k_any_version;
};
struct Remove {
  std::string path;
  std::int32_t version = k_any_version;
};
/// Compares the version of the data only; with k_any_version: that the znode exists.
struct Check {
  std::string path;
  std::int32_t version = k_any_version;
};
using Op = std::variant<Create, Set, Remove, Check>;

struct OpResult {
  std::string path;  ///< of Create: as made
  Stat stat;         ///< of Set
};
struct MultiError {
  std::error_code error;
  std::size_t index = 0;  ///< of the operation that failed; of no meaning when the request as a whole failed
};
using MultiReply = std::move_only_function<void(std::expected<std::vector<OpResult>, MultiError>)>;

enum class WatchType { created, changed, removed, children };
struct WatchEvent {
  WatchType type = WatchType::changed;
  std::string path;
};
using Watch = std::move_only_function<void(const WatchEvent&)>;

struct StoreEvent {
  enum class Kind {
    connected,     ///< for the first time or again: the session is the same
    disconnected,  ///< requests under way end with connection_loss; the session may live on
    expired,       ///< final: destroy the store
    auth_failed,   ///< final: destroy the store
  };
  Kind kind = Kind::disconnected;
  std::int64_t session_id = 0;             ///< once connected
  std::chrono::milliseconds timeout_ms{};  ///< as the server has granted it; once connected
};
using OnStoreEvent = std::move_only_function<void(const StoreEvent&)>;

/// One session with ZooKeeper, or with what stands for it. Nothing blocks. All calls, replies, watches and events are
/// on the executor's thread, and none comes back inside the call that asked for it.
///
/// A request's reply comes exactly once, in the order of the requests. When the store is destroyed, what is under way
/// is answered by session_lost, and no watch or event comes any more. Not to be destroyed inside its own callbacks.
///
/// A watch fires once, before any reply that already shows the change, and ends with its session. get() and children()
/// leave it only when they succeed, exists() also with no_node.
///
/// A read may be old. Decide by versioned writes only.
class Store {
 public:
  virtual ~Store() = default;
  virtual void exists(std::string path, Reply<Stat> reply, Watch watch) = 0;
  virtual void get(std::string path, Reply<Node> reply, Watch watch) = 0;
  /// Names without the path, sorted.
  virtual void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) = 0;
  /// Whether nobody but this session's credential may change the znode, its children or its ACL. Of a session without a
  /// credential, whose znodes are open to all: whether it is there.
  virtual void guarded(std::string path, Reply<bool> reply) = 0;
  /// All operations or none, in order. The only way to write: one operation is a multi of one.
  virtual void multi(std::vector<Op> ops, MultiReply reply) = 0;

  void exists(std::string path, Reply<Stat> reply) { exists(std::move(path), std::move(reply), {}); }
  void get(std::string path, Reply<Node> reply) { get(std::move(path), std::move(reply), {}); }
  void children(std::string path, Reply<std::vector<std::string>> reply) {
    children(std::move(path), std::move(reply), {});
  }
  /// Replies with the path as made.
  void create(std::string path, std::string data, CreateMode mode, Reply<std::string> reply);
  void set(std::string path, std::string data, std::int32_t version, Reply<Stat> reply);
  void remove(std::string path, std::int32_t version, Reply<void> reply);
};

/// Begins a session. Fails when the servers cannot be resolved; that they do not answer shows by no event coming.
using OpenStore = std::function<Result<std::unique_ptr<Store>>(OnStoreEvent)>;

const std::string& path_of(const Op& op);
std::string_view parent_of(std::string_view path);
/// What every store refuses before it sends anything: bad_arguments, too_large, or nothing.
std::error_code refusal_of(std::string_view path);
std::error_code refusal_of(const std::vector<Op>& ops);

}  // namespace histod::control
