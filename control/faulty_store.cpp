// SPDX-License-Identifier: Apache-2.0
#include "control/faulty_store.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/any_reply.hpp"

namespace histod::control {

namespace {

using std::chrono::milliseconds;

class FaultyStore final : public Store {
 public:
  using Task = Executor::Task;
  using Sent = std::map<std::uint64_t, std::move_only_function<void(Store&)>>;

  FaultyStore(Executor& executor, Faults& faults, OnStoreEvent on_event)
      : executor_(executor), faults_(faults), on_event_(std::move(on_event)) {}
  ~FaultyStore() override;
  FaultyStore(const FaultyStore&) = delete;
  FaultyStore& operator=(const FaultyStore&) = delete;

  std::error_code open(const OpenStore& inner) {
    auto store = inner(lifetime_.guard([this](const StoreEvent& event) { receive([this, event] { tell(event); }); }));
    if (!store) return store.error();
    inner_ = std::move(*store);
    return {};
  }

  using Store::children, Store::exists, Store::get;
  void exists(std::string path, Reply<Stat> reply, Watch watch) override {
    ask(std::move(reply), [path = std::move(path), watch = passed(std::move(watch))](Store& inner, auto back) mutable {
      inner.exists(std::move(path), std::move(back), std::move(watch));
    });
  }
  void get(std::string path, Reply<Node> reply, Watch watch) override {
    ask(std::move(reply), [path = std::move(path), watch = passed(std::move(watch))](Store& inner, auto back) mutable {
      inner.get(std::move(path), std::move(back), std::move(watch));
    });
  }
  void children(std::string path, Reply<std::vector<std::string>> reply, Watch watch) override {
    ask(std::move(reply), [path = std::move(path), watch = passed(std::move(watch))](Store& inner, auto back) mutable {
      inner.children(std::move(path), std::move(back), std::move(watch));
    });
  }
  void guarded(std::string path, Reply<bool> reply) override {
    ask(std::move(reply),
        [path = std::move(path)](Store& inner, auto back) mutable { inner.guarded(std::move(path), std::move(back)); });
  }
  void multi(std::vector<Op> ops, MultiReply reply) override {
    ask(std::move(reply),
        [ops = std::move(ops)](Store& inner, auto back) mutable { inner.multi(std::move(ops), std::move(back)); });
  }

 private:
  bool happens(unsigned permille) { return faults_.random() % 1'000 < permille; }
  milliseconds drawn(milliseconds most) { return milliseconds(faults_.random() % (most.count() + 1)); }

  /// One direction of the connection: late, but in order.
  void carry(Executor::Clock::time_point& last, Task task) {
    last = std::max(last, executor_.now() + drawn(faults_.delay_max_ms));
    executor_.after(last - executor_.now(), lifetime_.guard(std::move(task)));
  }
  /// To the client, unless the connection breaks before it arrives.
  void receive(Task task) {
    carry(last_received_, [this, connection = connection_, task = std::move(task)]() mutable {
      if (connection == connection_) task();
    });
  }

  template <class R, class Send>
  void ask(R reply, Send send);
  template <class R, class Answer>
  void answer(std::uint64_t number, Answer result) {
    if (!pending_.contains(number)) return;  // cut off meanwhile
    auto request = pending_.extract(number);
    std::get<R>(request.mapped())(std::move(result));
  }
  Watch passed(Watch watch);
  void deliver_watch(std::uint64_t number) {
    auto fired = fired_.extract(number);
    if (!fired.empty()) fired.mapped()();
  }
  void tell(const StoreEvent& event) {
    session_ = event;
    up_ = event.kind == StoreEvent::Kind::connected;
    on_event_(event);
  }
  void drop();
  void reconnect();

  Executor& executor_;
  Faults& faults_;
  OnStoreEvent on_event_;
  bool up_ = false;
  bool cut_off_ = false;  ///< by drop()
  StoreEvent session_;
  Executor::Clock::time_point expires_{};  ///< the server's end of the session, once cut off
  std::uint64_t connection_ = 0, numbers_ = 0;
  std::map<std::uint64_t, AnyReply> pending_;  ///< not answered yet
  Sent on_the_way_;                            ///< not done yet
  std::map<std::uint64_t, Task> fired_;        ///< watches that have fired, but are not told yet
  Executor::Clock::time_point last_sent_{}, last_received_{};
  std::unique_ptr<Store> inner_;
  Lifetime lifetime_;
};

FaultyStore::~FaultyStore() {
  for (auto& [number, reply] : pending_) {
    executor_.post([reply = std::move(reply)]() mutable { fail(reply, Errc::session_lost); });
  }
  if (!cut_off_ || inner_ == nullptr) return;
  // Nobody tells the server: what was sent may still arrive, and the session lives on for its time.
  lifetime_.renew();
  struct Adrift {
    std::unique_ptr<Store> inner;
    Sent on_the_way;
  };
  auto adrift = std::make_shared<Adrift>(std::move(inner_), std::move(on_the_way_));
  const auto left = std::max(std::chrono::duration_cast<milliseconds>(expires_ - executor_.now()), milliseconds(0));
  executor_.after(drawn(left), [adrift, &faults = faults_] {
    faults.late_writes += adrift->on_the_way.size();
    for (auto& [number, task] : adrift->on_the_way) task(*adrift->inner);
  });
  executor_.after(left, [adrift] { adrift->inner.reset(); });
}

template <class R, class Send>
void FaultyStore::ask(R reply, Send send) {
  const std::uint64_t number = ++numbers_;
  pending_.emplace(number, std::move(reply));
  if (!up_) {
    return carry(last_sent_, [this, number] {
      auto request = pending_.extract(number);
      if (!request.empty()) fail(request.mapped(), Errc::connection_loss);
    });
  }
  auto back = lifetime_.guard([this, number, connection = connection_](auto result) {
    if (connection != connection_) return;
    receive([this, number, result = std::move(result)]() mutable { answer<R>(number, std::move(result)); });
  });
  on_the_way_[number] = [send = std::move(send), back = std::move(back)](Store& inner) mutable {
    send(inner, std::move(back));
  };
  carry(last_sent_, [this, number] {
    auto task = on_the_way_.extract(number);
    if (task.empty()) return;
    if (cut_off_) ++faults_.late_writes;
    task.mapped()(*inner_);
  });
  if (happens(faults_.drop_permille)) {
    executor_.after(drawn(2 * faults_.delay_max_ms), lifetime_.guard([this] { drop(); }));
  }
}

Watch FaultyStore::passed(Watch watch) {
  if (!watch) return {};
  return lifetime_.guard([this, watch = std::move(watch)](const WatchEvent& event) mutable {
    const std::uint64_t number = ++numbers_;
    fired_[number] = [watch = std::move(watch), event]() mutable { watch(event); };
    if (!cut_off_) receive([this, number] { deliver_watch(number); });  // else reconnect() does it
  });
}

void FaultyStore::drop() {
  if (!up_) return;
  ++faults_.dropped;
  up_ = false;
  cut_off_ = true;
  ++connection_;
  const std::size_t unsent = on_the_way_.size();
  const std::size_t arriving = faults_.random() % (unsent + 1);
  on_the_way_.erase(std::next(on_the_way_.begin(), static_cast<std::ptrdiff_t>(arriving)), on_the_way_.end());
  faults_.lost_requests += unsent - arriving;
  faults_.lost_answers += pending_.size() - unsent;
  // Told from a copy: whoever hears of it may ask again at once.
  StoreEvent event = session_;
  event.kind = StoreEvent::Kind::disconnected;
  auto lost = std::exchange(pending_, {});
  const auto timeout = session_.timeout_ms;
  const bool expires = happens(faults_.expire_permille);
  expires_ = executor_.now() + timeout + drawn(timeout);
  if (expires) {
    executor_.after(expires_ - executor_.now(), lifetime_.guard([this] {
      ++faults_.expired;
      on_the_way_.clear();
      inner_.reset();
      session_.kind = StoreEvent::Kind::expired;
      carry(last_received_, [this] { tell(session_); });
    }));
  } else {
    executor_.after(drawn(timeout * 9 / 10), lifetime_.guard([this] { reconnect(); }));
  }
  const auto alive = lifetime_.guard([this, event] { on_event_(event); });
  for (auto& [number, reply] : lost) fail(reply, Errc::connection_loss);
  executor_.post(alive);
}

void FaultyStore::reconnect() {
  on_the_way_.clear();  // the session has moved: what comes by the old connection is refused
  cut_off_ = false;
  session_.kind = StoreEvent::Kind::connected;
  receive([this, event = session_] { tell(event); });
  for (auto& [number, task] : fired_) {
    receive([this, number = number] { deliver_watch(number); });
  }
}

}  // namespace

OpenStore faulty_opener(Executor& executor, OpenStore inner, Faults& faults) {
  return [&executor, inner = std::move(inner), &faults](OnStoreEvent on_event) -> Result<std::unique_ptr<Store>> {
    auto store = std::make_unique<FaultyStore>(executor, faults, std::move(on_event));
    if (const auto error = store->open(inner)) return std::unexpected(error);
    return store;
  };
}

}  // namespace histod::control
