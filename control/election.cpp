// SPDX-License-Identifier: Apache-2.0
#include "control/election.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "control/commit.hpp"

namespace histod::control {

namespace {

constexpr std::string_view k_infix = "-n_";

std::int64_t sequence_of(std::string_view name) {
  const std::string_view digits = name.substr(std::min(name.rfind('_') + 1, name.size()));
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

Election::Election(Session& session, Paths paths, RecordFormat format, std::string name)
    : session_(session), paths_(std::move(paths)), format_(format), name_(std::move(name)) {}

void Election::contend(std::function<void()> changed) {
  changed_ = std::move(changed);
  contending_ = true;
  if (std::exchange(listening_, true)) {
    if (session_.state() == SessionState::connected) connected();
    return;
  }
  session_.listen(object_.guard([this](SessionState state) {
    if (state != SessionState::connected) return step_down();
    connected();
  }));
}

void Election::withdraw() {
  contending_ = false;
  step_down();
  clear();
}

/// Removes whatever stands for us, even a candidate whose making has not been answered. If that is not answered either,
/// the connection has been lost, and connected() comes here again.
void Election::clear() {
  auto listed = [this](const Result<std::vector<std::string>>& names) {
    if (!names) return;
    for (const std::string& name : *names) {
      if (name.starts_with(guid_ + std::string(k_infix))) drop(name);
    }
  };
  session_.store().children(paths_.leader(), lifetime_.guard(std::move(listed)));
}

void Election::drop(const std::string& name) {
  session_.store().remove(paths_.leader() + "/" + name, k_any_version, [](const auto&) {});
}

std::optional<Leadership> Election::leadership() const {
  if (session_.state() != SessionState::connected) return {};
  return leadership_;
}

void Election::fenced() {
  step_down();
  if (contending_) again();
}

void Election::connected() {
  if (session_number_ != session_.number()) {
    session_number_ = session_.number();
    guid_ = make_token(session_.executor());
  }
  lifetime_.renew();
  if (contending_) return list();
  clear();
}

void Election::again() {
  session_.later(lifetime_.guard([this] { list(); }));
}

/// A reply's handler: then(value) where there is one, else everything once more in a while.
template <class F>
auto Election::answered(F then) {
  return lifetime_.guard([this, then = std::move(then)](auto result) mutable {
    if (!result) return again();
    then(*result);
  });
}

void Election::list() {
  session_.store().children(paths_.leader(),
                            answered([this](const std::vector<std::string>& names) { listed(names); }));
}

void Election::listed(const std::vector<std::string>& names) {
  const std::string prefix = guid_ + std::string(k_infix);
  std::string predecessor;
  std::vector<std::string> standing;
  for (const std::string& name : names) {
    if (name.starts_with(prefix)) standing.push_back(name);
  }
  if (standing.empty()) return stand();
  std::ranges::sort(standing, {}, sequence_of);
  const std::string mine = standing.front();
  // A create that had lost its answer was done after all: one candidate is enough.
  for (std::size_t i = 1; i < standing.size(); ++i) drop(standing[i]);
  for (const std::string& name : names) {
    if (sequence_of(name) >= sequence_of(mine) || strangers_.contains(paths_.leader() + "/" + name)) continue;
    if (predecessor.empty() || sequence_of(name) > sequence_of(predecessor)) predecessor = name;
  }
  if (predecessor.empty()) return take(paths_.leader() + "/" + mine);
  wait_for(paths_.leader() + "/" + predecessor);
}

void Election::stand() {
  session_.store().create(paths_.leader() + "/" + guid_ + std::string(k_infix), format_.write({{"name", name_}}),
                          CreateMode::ephemeral_sequential, answered([this](const std::string&) { list(); }));
}

/// Only the one before: when a leader goes, one node wakes up and not all.
void Election::wait_for(const std::string& predecessor) {
  session_.store().exists(predecessor, answered([this, predecessor](const Stat& stat) {
                            if (stat.ephemeral_owner != 0) return;
                            strangers_.insert(predecessor);
                            list();
                          }),
                          lifetime_.guard([this, predecessor](const WatchEvent&) {
                            if (!strangers_.contains(predecessor)) list();
                          }));
}

void Election::take(const std::string& candidate) {
  session_.store().get(paths_.epoch(),
                       answered([this, candidate](const Node& node) { bump(candidate, node.stat.version); }));
}

/// The candidate is checked in the same multi: who is in line no more, removed by an operator say, begins no epoch.
void Election::bump(const std::string& candidate, std::int32_t version) {
  const std::string token = make_token(session_.executor());
  const auto ours = [format = format_, token](const std::string& data) {
    const auto fields = format.read(data);
    return fields && text_of(*fields, "token") == token;
  };
  const std::string record = format_.write({{"leader", name_}, {"token", token}});
  commit(session_, {{Check{candidate}, Set{paths_.epoch(), record, version}}, 1, ours},
         answered([this, candidate](std::int32_t epoch) { lead(candidate, epoch); }));
}

void Election::lead(const std::string& candidate, std::int32_t epoch) {
  leadership_ = Leadership{epoch, paths_.epoch()};
  session_.store().exists(candidate, lifetime_.guard([this](const Result<Stat>& stat) {
    if (!stat && stat.error() == Errc::no_node) fenced();
  }),
                          lifetime_.guard([this](const WatchEvent&) { fenced(); }));
  changed_();
}

void Election::step_down() {
  lifetime_.renew();
  if (!std::exchange(leadership_, {})) return;
  changed_();
}

LeaderObserver::LeaderObserver(Session& session, Paths paths, RecordFormat format)
    : session_(session), paths_(std::move(paths)), format_(format) {}

void LeaderObserver::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  session_.listen(object_.guard([this](SessionState state) {
    if (state != SessionState::connected) return;
    lifetime_.renew();
    read();
  }));
}

void LeaderObserver::read() {
  session_.store().get(paths_.epoch(), lifetime_.guard([this](const Result<Node>& node) {
    if (!node) return session_.later(lifetime_.guard([this] { read(); }));
    const auto fields = format_.read(node->data);
    leader_ = fields ? text_of(*fields, "leader") : std::string();
    epoch_ = node->stat.version;
    changed_();
  }),
                       lifetime_.guard([this](const WatchEvent&) { read(); }));
}

}  // namespace histod::control
