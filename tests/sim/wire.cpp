// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/wire.hpp"

#include <map>
#include <string>
#include <utility>

#include "control/any_reply.hpp"

namespace histod::sim {

using control::AnyReply;
using control::Errc;
using control::Reply;
using control::Store;
using control::StoreEvent;
using control::Watch;
using control::WatchEvent;

/// A session from the servers' side of the wire to the process. Lives on when the process has gone without a word.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Wire& wire, NodeExecutor& process, control::OnStoreEvent on_event)
      : wire_(wire), process_(process), on_event_(std::move(on_event)) {}

  std::error_code open(const control::OpenStore& inner) {
    auto store = inner([weak = weak_from_this()](const StoreEvent& event) {
      if (const auto self = weak.lock()) self->hear(event);
    });
    if (!store) return store.error();
    inner_ = std::move(*store);
    heard();
    return {};
  }

  template <class R, class Send>
  void ask(R reply, Send send) {
    const std::uint64_t number = ++numbers_;
    pending_.emplace(number, std::move(reply));
    if (!told_up_ || !inner_) return lose_answers();
    if (wire_.is_cut()) return;  // nobody knows yet
    heard();
    send(*inner_, [weak = weak_from_this(), number]<class Answer>(Answer answer) {
      const auto self = weak.lock();
      if (!self || self->wire_.is_cut()) return;
      self->process_.post([self, number, answer = std::move(answer)]() mutable {
        auto request = self->pending_.extract(number);
        if (!request.empty()) std::get<R>(request.mapped())(std::move(answer));
      });
    });
  }
  Watch passed(Watch watch) {
    if (!watch) return {};
    return [weak = weak_from_this(), watch = std::move(watch)](const WatchEvent& event) mutable {
      const auto self = weak.lock();
      if (!self) return;
      auto fired = [self, watch = std::move(watch), event]() mutable {
        if (!self->left_) watch(event);
      };
      if (self->wire_.is_cut())
        self->fired_.push_back(std::move(fired));
      else
        self->process_.post(std::move(fired));
    };
  }

  void cut(std::uint64_t number) {
    if (left_) return;
    // The client notices by the silence.
    wire_.loop_.after(timeout() * 2 / 3, [self = shared_from_this(), number] {
      if (self->wire_.cut_ && self->wire_.cuts_ == number) self->notice();
    });
  }
  void heal() {
    if (left_) return;
    notice();
    if (ended_) return end();
    if (inner_up_) come_up();
    for (control::Executor::Task& task : std::exchange(fired_, {})) process_.post(std::move(task));
  }
  /// The process closes its session, unless it cannot: then the servers wait for it.
  void leave() {
    left_ = true;
    if (process_.dead()) {
      pending_.clear();
      return;
    }
    for (auto& [number, reply] : pending_)
      process_.post([reply = std::move(reply)]() mutable { control::fail(reply, Errc::session_lost); });
    pending_.clear();
    if (!wire_.is_cut()) inner_.reset();
  }

 private:
  std::chrono::milliseconds timeout() const { return session_.timeout_ms; }

  void hear(const StoreEvent& event) {
    if (event.kind == StoreEvent::Kind::connected) {
      session_ = event;
      inner_up_ = true;
      if (!watched_) watch();
      if (!wire_.is_cut()) come_up();
    } else {
      inner_up_ = false;
      if (!wire_.is_cut()) notice();
      if (event.kind == StoreEvent::Kind::disconnected) return;
      ended_ = true;
      wire_.loop_.post([self = shared_from_this()] { self->inner_.reset(); });
      if (!wire_.is_cut()) end();
    }
  }
  void come_up() {
    if (std::exchange(told_up_, true)) return;
    heard();
    tell(StoreEvent::Kind::connected);
  }
  /// The client sees that its connection is gone.
  void notice() {
    if (std::exchange(told_up_, false)) tell(StoreEvent::Kind::disconnected);
    lose_answers();
  }
  void lose_answers() {
    if (pending_.empty()) return;
    process_.post([self = shared_from_this(), lost = std::exchange(pending_, {})]() mutable {
      for (auto& [number, reply] : lost) control::fail(reply, Errc::connection_loss);
    });
  }
  void end() { tell(StoreEvent::Kind::expired); }
  void tell(StoreEvent::Kind kind) {
    StoreEvent event = session_;
    event.kind = kind;
    process_.post([self = shared_from_this(), event] {
      if (!self->left_) self->on_event_(event);
    });
  }

  void heard() { heard_at_ = wire_.loop_.now(); }
  /// As the servers do, for as long as there is a session.
  void watch() {
    watched_ = true;
    const auto left = heard_at_ + timeout() - wire_.loop_.now();
    if (left > control::Executor::Clock::duration::zero())
      return wire_.loop_.after(left, [self = shared_from_this()] {
        if (self->inner_) self->watch();
      });
    inner_.reset();
    inner_up_ = false;
    if (std::exchange(ended_, true) || wire_.is_cut() || left_) return;
    notice();
    end();
  }

  Wire& wire_;
  NodeExecutor& process_;
  control::OnStoreEvent on_event_;
  std::unique_ptr<Store> inner_;
  StoreEvent session_;
  std::map<std::uint64_t, AnyReply> pending_;
  std::vector<control::Executor::Task> fired_;
  std::uint64_t numbers_ = 0;
  control::Executor::Clock::time_point heard_at_{};
  bool inner_up_ = false, told_up_ = false, ended_ = false, left_ = false, watched_ = false;
};

namespace {

class WiredStore final : public Store {
 public:
  explicit WiredStore(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~WiredStore() override { connection_->leave(); }
  WiredStore(const WiredStore&) = delete;
  WiredStore& operator=(const WiredStore&) = delete;

  using Store::children, Store::exists, Store::get;
  void exists(std::string path, Reply<control::Stat> reply, Watch watch) override {
    connection_->ask(std::move(reply), [&](Store& inner, auto back) {
      inner.exists(path, std::move(back), connection_->passed(std::move(watch)));
    });
  }
  void get(std::string path, Reply<control::Node> reply, Watch watch) override {
    connection_->ask(std::move(reply), [&](Store& inner, auto back) {
      inner.get(path, std::move(back), connection_->passed(std::move(watch)));
    });
  }
  void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) override {
    connection_->ask(std::move(reply), [&](Store& inner, auto back) {
      inner.children(path, std::move(back), connection_->passed(std::move(watch)));
    });
  }
  void guarded(std::string path, Reply<bool> reply) override {
    connection_->ask(std::move(reply), [&](Store& inner, auto back) { inner.guarded(path, std::move(back)); });
  }
  void multi(std::vector<control::Op> ops, control::MultiReply reply) override {
    connection_->ask(std::move(reply), [&](Store& inner, auto back) { inner.multi(ops, std::move(back)); });
  }

 private:
  std::shared_ptr<Connection> connection_;
};

class AuditedStore final : public Store {
 public:
  AuditedStore(std::unique_ptr<Store> inner, std::string epoch_path, Asked& asked, Fenced& fenced)
      : inner_(std::move(inner)), epoch_path_(std::move(epoch_path)), asked_(asked), fenced_(fenced) {}

  using Store::children, Store::exists, Store::get;
  void exists(std::string path, Reply<control::Stat> reply, Watch watch) override {
    ++asked_.exists;
    inner_->exists(std::move(path), std::move(reply), std::move(watch));
  }
  void get(std::string path, Reply<control::Node> reply, Watch watch) override {
    ++asked_.gets;
    inner_->get(std::move(path), std::move(reply), std::move(watch));
  }
  void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) override {
    ++asked_.children;
    inner_->children(std::move(path), std::move(reply), std::move(watch));
  }
  void guarded(std::string path, Reply<bool> reply) override {
    ++asked_.gets;
    inner_->guarded(std::move(path), std::move(reply));
  }
  void multi(std::vector<control::Op> ops, control::MultiReply reply) override {
    ++asked_.multis;
    const auto* const check = ops.size() < 2 ? nullptr : std::get_if<control::Check>(&ops.front());
    if (check == nullptr || check->path != epoch_path_) return inner_->multi(std::move(ops), std::move(reply));
    inner_->multi(std::move(ops),
                  [&fenced = fenced_, epoch = check->version, reply = std::move(reply)](auto done) mutable {
                    if (done) {
                      ++fenced.writes;
                      fenced.ascending = fenced.ascending && epoch >= fenced.epoch;
                      fenced.epoch = epoch;
                    }
                    reply(std::move(done));
                  });
  }

 private:
  std::unique_ptr<Store> inner_;
  const std::string epoch_path_;
  Asked& asked_;
  Fenced& fenced_;
};

}  // namespace

void Wire::cut() {
  if (std::exchange(cut_, true)) return;
  ++cuts_;
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : connections_)
    if (const auto connection = weak.lock()) connection->cut(cuts_);
}

void Wire::heal() {
  if (!std::exchange(cut_, false)) return;
  for (const auto& weak : connections_)
    if (const auto connection = weak.lock()) connection->heal();
}

control::OpenStore Wire::opener(NodeExecutor& process, control::OpenStore inner) {
  return [this, &process,
          inner = std::move(inner)](control::OnStoreEvent on_event) -> control::Result<std::unique_ptr<Store>> {
    auto connection = std::make_shared<Connection>(*this, process, std::move(on_event));
    if (const auto error = connection->open(inner)) return std::unexpected(error);
    connections_.push_back(connection);
    return std::make_unique<WiredStore>(std::move(connection));
  };
}

control::OpenStore audited(control::OpenStore inner, std::string epoch_path, Asked& asked, Fenced& fenced) {
  return [inner = std::move(inner), epoch_path = std::move(epoch_path), &asked,
          &fenced](control::OnStoreEvent on_event) -> control::Result<std::unique_ptr<Store>> {
    auto store = inner(std::move(on_event));
    if (!store) return store;
    return std::make_unique<AuditedStore>(std::move(*store), epoch_path, asked, fenced);
  };
}

}  // namespace histod::sim
