// SPDX-License-Identifier: Apache-2.0
#include "control/session.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace histod::control {

namespace {

constexpr int k_beats = 6;  // heartbeats sent in the time of a timeout
constexpr std::chrono::milliseconds k_retry_ms{50};

/// Between sessions.
class NoStore final : public Store {
 public:
  explicit NoStore(Executor& executor) : executor_(executor) {}
  using Store::children, Store::exists, Store::get;
  void exists(std::string, Reply<Stat> reply, Watch) override { answer(std::move(reply), Errc::session_lost); }
  void get(std::string, Reply<Node> reply, Watch) override { answer(std::move(reply), Errc::session_lost); }
  void children(std::string, Reply<std::vector<std::string>> reply, Watch) override {
    answer(std::move(reply), Errc::session_lost);
  }
  void guarded(std::string, Reply<bool> reply) override { answer(std::move(reply), Errc::session_lost); }
  void multi(std::vector<Op>, MultiReply reply) override {
    answer(std::move(reply), MultiError{Errc::session_lost, 0});
  }

 private:
  template <class R, class E>
  void answer(R reply, E error) {
    executor_.post([reply = std::move(reply), error]() mutable { reply(std::unexpected(error)); });
  }
  Executor& executor_;
};

}  // namespace

std::string_view state_name(SessionState state) {
  static constexpr std::string_view k_names[] = {"CONNECTING", "CONNECTED", "SUSPENDED", "LOST"};
  return k_names[static_cast<std::size_t>(state)];
}

Session::Session(Executor& executor, OpenStore open, std::chrono::milliseconds reopen_ms)
    : executor_(executor), open_(std::move(open)), reopen_ms_(reopen_ms), store_(std::make_unique<NoStore>(executor)) {}

Session::~Session() = default;

void Session::start() { open(); }

void Session::listen(Listener listener) {
  if (state_ == SessionState::connected) listener(state_);
  listeners_.push_back(std::move(listener));
}

SessionState Session::state() const {
  if (state_ == SessionState::connecting || state_ == SessionState::lost) return state_;
  const auto now = executor_.now();
  if (now >= lease_end_) return SessionState::lost;
  // The client library gives a silent connection up after two thirds of the timeout; so do we, should it not.
  return now >= lease_end_ - timeout_ / 3 ? SessionState::suspended : state_;
}

void Session::later(Executor::Task task) { executor_.after(k_retry_ms, guard(std::move(task))); }

void Session::open() {
  auto store = open_(lifetime_.guard([this](const StoreEvent& event) { hear(event); }));
  if (!store) {
    trouble_ = store.error();
    return executor_.after(reopen_ms_, lifetime_.guard([this] { open(); }));
  }
  if (trouble_ == Errc::unavailable) trouble_ = {};
  store_ = std::move(*store);
}

void Session::close() {
  lifetime_.renew();
  up_ = beating_ = ticking_ = false;
  store_ = std::make_unique<NoStore>(executor_);
}

void Session::hear(const StoreEvent& event) {
  switch (event.kind) {
    case StoreEvent::Kind::connected:
      if (id_ != event.session_id) ++counts_.sessions;
      id_ = event.session_id;
      timeout_ = event.timeout_ms;
      up_ = true;
      beat();  // whose answer makes it CONNECTED
      if (!ticking_) tick();
      return;
    case StoreEvent::Kind::disconnected:
      up_ = false;
      if (state_ == SessionState::connected) change(SessionState::suspended);
      return;
    case StoreEvent::Kind::auth_failed:
      trouble_ = Errc::auth_failed;
      return end_soon();
    case StoreEvent::Kind::expired:
      return end_soon();
  }
}

void Session::beat() {
  if (beating_ || !up_) return;
  beating_ = true;
  const auto sent = executor_.now();
  store_->exists("/", lifetime_.guard([this, sent](const Result<Stat>& answer) {
    beating_ = false;
    if (!answer && is_ambiguous(answer.error())) return;
    trouble_ = {};
    const bool first = state_ == SessionState::connecting || state_ == SessionState::lost;
    if (!first && executor_.now() >= lease_end_) return end_soon();  // too late: this has been called lost
    lease_end_ = sent + timeout_;
    if (executor_.now() >= lease_end_) return end_soon();
    if (up_ && state_ != SessionState::connected) change(SessionState::connected);
  }));
}

void Session::tick() {
  ticking_ = true;
  const SessionState by_clock = state();
  if (by_clock == SessionState::lost && state_ != SessionState::lost) return lose();
  if (by_clock == SessionState::suspended && state_ == SessionState::connected) change(SessionState::suspended);
  beat();
  const auto until_lease_end =
      std::max<Executor::Clock::duration>(lease_end_ - executor_.now(), Executor::Clock::duration(1));
  const Executor::Clock::duration next = timeout_ / k_beats;
  executor_.after(state_ == SessionState::suspended ? std::min(next, until_lease_end) : next,
                  lifetime_.guard([this] { tick(); }));
}

/// From inside a callback of the store, which cannot be destroyed there.
void Session::end_soon() {
  lease_end_ = {};
  executor_.post(lifetime_.guard([this] { lose(); }));
}

void Session::lose() {
  close();
  if (state_ != SessionState::lost) change(SessionState::lost);
  if (trouble_ == Errc::auth_failed) return executor_.after(reopen_ms_, lifetime_.guard([this] { open(); }));
  open();
}

void Session::change(SessionState state) {
  if (state == SessionState::suspended) ++counts_.suspensions;
  if (state == SessionState::lost) ++counts_.losses;
  state_ = state;
  for (std::size_t i = 0; i < listeners_.size(); ++i) listeners_[i](state);  // one of them may add another
}

}  // namespace histod::control
