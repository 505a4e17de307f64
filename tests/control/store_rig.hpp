// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "control/faulty_store.hpp"
#include "control/memory_store.hpp"
#include "control/store.hpp"
#include "tests/control/test_loop.hpp"

namespace histod::control::tests {

/// A server of some kind and the loop that belongs to it: what the suites run over.
class StoreRig {
 public:
  virtual ~StoreRig() = default;
  virtual TestLoop& loop() = 0;
  /// identity: "user:password", or empty for nobody in particular.
  virtual OpenStore opener(std::string identity, std::chrono::milliseconds timeout_ms) = 0;
  /// A znode of this rig's own, to be made by the test; its parent exists.
  virtual std::string root() { return "/histod"; }
};

struct RigKind {
  const char* name;
  std::function<std::unique_ptr<StoreRig>()> make;
  friend std::ostream& operator<<(std::ostream& out, const RigKind& kind) { return out << kind.name; }
};

class MemoryRig final : public StoreRig {
 public:
  TestLoop& loop() override { return loop_; }
  OpenStore opener(std::string identity, std::chrono::milliseconds timeout_ms) override {
    return server_.opener({timeout_ms, std::move(identity)});
  }

 private:
  TestLoop loop_;
  MemoryServer server_{loop_};
};

/// The same behind a bad network.
class FaultyRig final : public StoreRig {
 public:
  explicit FaultyRig(std::uint64_t seed) { faults.random.seed(seed); }
  ~FaultyRig() override { loop_.forget(); }  // abandoned sessions, while their server is there
  FaultyRig(const FaultyRig&) = delete;
  FaultyRig& operator=(const FaultyRig&) = delete;
  TestLoop& loop() override { return loop_; }
  OpenStore opener(std::string identity, std::chrono::milliseconds timeout_ms) override {
    return faulty_opener(loop_, server_.opener({timeout_ms, std::move(identity)}), faults);
  }
  /// Beside the bad network.
  MemoryServer& server() { return server_; }

  Faults faults{.delay_max_ms = std::chrono::milliseconds(20)};

 private:
  TestLoop loop_;
  MemoryServer server_{loop_};
};

/// A session whose calls wait for the answer, by driving the loop.
class Client {
 public:
  explicit Client(StoreRig& rig, std::string identity = {},
                  std::chrono::milliseconds timeout_ms = std::chrono::seconds(10));

  Result<std::string> create(std::string path, std::string data = {}, CreateMode mode = CreateMode::persistent);
  Result<Stat> set(std::string path, std::string data, std::int32_t version = k_any_version);
  Result<void> remove(std::string path, std::int32_t version = k_any_version);
  Result<Stat> exists(std::string path, Watch watch = {});
  Result<Node> get(std::string path, Watch watch = {});
  Result<std::vector<std::string>> children(std::string path, Watch watch = {});
  Result<bool> guarded(std::string path);
  std::expected<std::vector<OpResult>, MultiError> multi(std::vector<Op> ops);

  Store& store() { return *store_; }
  void close() { store_.reset(); }
  bool connected() const { return session_id_ != 0; }
  std::int64_t session_id() const { return session_id_; }

 private:
  /// Says so, and aborts: the callback would outlive the frame that it writes to.
  [[noreturn]] static void give_up();
  template <class T, class F>
  T wait(F ask) {
    std::optional<T> answer;
    ask([&answer](T result) { answer = std::move(result); });
    if (!loop_.drive([&] { return answer.has_value(); })) give_up();
    return std::move(*answer);
  }

  TestLoop& loop_;
  std::int64_t session_id_ = 0;
  std::unique_ptr<Store> store_;
};

/// A watch that writes down what it saw: "created /path".
Watch noted(std::vector<std::string>& into);

}  // namespace histod::control::tests
