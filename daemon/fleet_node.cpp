// SPDX-License-Identifier: Apache-2.0
#include "daemon/fleet_node.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace histod::daemon {

using control::Errc;
using control::SessionState;

namespace {

constexpr std::chrono::seconds k_tick{1};
constexpr int k_rest = 10;  ///< times as long as it took, before all znodes are looked at again

const control::Member* find(const std::vector<control::Member>& members, const std::string& name) {
  const auto found = std::ranges::find(members, name, &control::Member::name);
  return found == members.end() ? nullptr : &*found;
}

bool same(const FleetSnapshot& a, const FleetSnapshot& b) {
  const auto fields = [](const FleetSnapshot& s) {
    return std::tie(s.state, s.session_id, s.session_timeout, s.registered, s.leads, s.leader, s.epoch, s.members,
                    s.trouble, s.elections, s.sessions.sessions, s.sessions.suspensions, s.sessions.losses, s.intruders,
                    s.intrusions, s.alert_told);
  };
  return fields(a) == fields(b);
}

}  // namespace

std::string_view FleetSnapshot::role() const {
  if (leads) return "leader";
  return registered ? "member" : "outside";
}

std::string FleetSnapshot::shortage() const {
  if (members.size() >= min_nodes) return {};
  return fmt::format("the fleet has {} member{}, but needs {}", members.size(), members.size() == 1 ? "" : "s",
                     min_nodes);
}

std::string FleetSnapshot::alert() const {
  std::string out = shortage();
  if (!intruders.empty())
    out += fmt::format("{}{} of the fleet's znodes {} not as nodes make them", out.empty() ? "" : "; ",
                       intruders.size(), intruders.size() == 1 ? "is" : "are");
  return out;
}

FleetBoard::FleetBoard() : snapshot_(std::make_shared<const FleetSnapshot>()) {}

void FleetBoard::publish(std::shared_ptr<const FleetSnapshot> snapshot) {
  const auto now = snapshot;
  {
    const std::lock_guard lock(mutex_);
    snapshot_.swap(snapshot);
  }
  if (listener_) listener_(*snapshot, *now);
}

std::shared_ptr<const FleetSnapshot> FleetBoard::read() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

FleetNode::FleetNode(control::Executor& executor, control::OpenStore open, FleetSettings settings, Log& log,
                     FleetBoard& board, NowMs now, const MakeTask& make_task)
    : executor_(executor),
      settings_(std::move(settings)),
      paths_(settings_.root),
      log_(log),
      board_(board),
      now_(std::move(now)),
      session_(executor, std::move(open)),
      membership_(session_, paths_, control::RecordFormat(), settings_.self),
      election_(session_, paths_, control::RecordFormat(), settings_.self.name),
      observer_(session_, paths_, control::RecordFormat()),
      inspection_(session_, paths_, control::RecordFormat()) {
  if (make_task) task_ = make_task({session_, paths_, membership_, election_});
  FleetSnapshot first = look();
  first.since_ms = now_();
  publish(std::move(first));
}

FleetNode::~FleetNode() {
  FleetSnapshot last = *shown_;
  last.state = SessionState::lost;
  last.since_ms = now_();
  last.registered = last.leads = false;
  last.trouble = "this node has left the fleet";
  last.has_left = true;
  publish(std::move(last));
  say(LogLevel::info, "leaving the fleet", {{"node", settings_.self.name}});
}

void FleetNode::start() {
  session_.listen(lifetime_.guard([this](SessionState state) { hear(state); }));
  session_.start();
  tick();
}

void FleetNode::hear(SessionState state) {
  if (state == SessionState::connected && laid_out_session_ != session_.number()) lay_out();
  refresh();
}

/// In each session: the servers may have been set up anew, and be empty.
void FleetNode::lay_out() {
  if (std::exchange(laying_out_, true)) return;
  laid_out_session_ = session_.number();
  control::make_layout(session_, paths_, lifetime_.guard([this](control::Result<void> made) {
    laid_out(made ? std::error_code() : made.error());
  }));
}

void FleetNode::laid_out(std::error_code error) {
  laying_out_ = false;
  layout_error_ = error;
  if (error) {
    executor_.after(k_tick, lifetime_.guard([this] { lay_out(); }));
  } else if (laid_out_session_ != session_.number()) {
    lay_out();
  } else if (!std::exchange(set_up_, true)) {
    const auto changed = [this] { refresh(); };
    membership_.start(changed);
    election_.contend(changed);
    observer_.start(changed);
    if (task_) task_->start();
  }
  refresh();
}

/// What changes without a word: the clock alone ends a session, and a name that cannot be resolved tells nobody.
void FleetNode::tick() {
  refresh();
  tell_alert();
  inspect();
  if (task_ && set_up_) task_->tick();
  executor_.after(k_tick, lifetime_.guard([this] { tick(); }));
}

std::string FleetNode::trouble() const {
  const std::error_code session = session_.trouble();
  if (session == Errc::auth_failed) return "ZooKeeper refuses the credential";
  if (session) return "ZooKeeper cannot be reached: " + session.message();
  const std::error_code error = layout_error_ ? layout_error_ : membership_.trouble();
  if (error == Errc::no_auth) return fmt::format("the znodes under {} are for another credential", settings_.root);
  if (error == Errc::node_exists) return fmt::format("another node of the fleet is called {}", settings_.self.name);
  if (error) return fmt::format("the znodes under {} cannot be used: {}", settings_.root, error.message());
  return {};
}

FleetSnapshot FleetNode::look() const {
  FleetSnapshot now;
  now.state = session_.state();
  now.servers = settings_.servers;
  now.session_id = session_.id();
  now.session_timeout = session_.timeout();
  now.self = settings_.self.name;
  now.registered = now.connected() && membership_.registered();
  for (const auto& [name, member] : membership_.members()) now.members.push_back(member);
  const auto leadership = election_.leadership();
  now.leads = leadership.has_value();
  now.epoch = leadership ? std::max(leadership->epoch, observer_.epoch()) : observer_.epoch();
  // This node knows best whether it leads; another one that has gone leads no more, though nobody has taken over yet.
  if (now.leads)
    now.leader = now.self;
  else if (observer_.leader() != now.self && find(now.members, observer_.leader()) != nullptr)
    now.leader = observer_.leader();
  now.min_nodes = settings_.min_nodes;
  now.trouble = trouble();
  now.elections = elections_;
  now.sessions = session_.counts();
  for (const auto& [path, fault] : intruders_) now.intruders.push_back(path + ": " + fault);
  now.intrusions = intrusions_;
  now.alert_told = alert_said_;
  return now;
}

void FleetNode::refresh() {
  if (const auto leadership = election_.leadership(); leadership && leadership->epoch != won_epoch_) {
    won_epoch_ = leadership->epoch;
    ++elections_;
  }
  FleetSnapshot now = look();
  if (same(now, *shown_)) return;
  now.since_ms = now.state == shown_->state ? shown_->since_ms : now_();
  const auto before = shown_;
  publish(std::move(now));
  tell(*before, *shown_);
}

void FleetNode::publish(FleetSnapshot snapshot) {
  shown_ = std::make_shared<const FleetSnapshot>(std::move(snapshot));
  board_.publish(shown_);
}

/// Nobody needs to know what a node that is alone does with itself.
void FleetNode::say(LogLevel level, std::string_view message, LogFields fields) {
  log_.write(settings_.servers.empty() ? LogLevel::debug : level, message, fields);
}

void FleetNode::tell(const FleetSnapshot& before, const FleetSnapshot& now) {
  if (before.state != now.state) tell_state(now);
  if (before.trouble != now.trouble && !now.trouble.empty())
    say(LogLevel::error, "not in the fleet; local work goes on", {{"why", now.trouble}});
  tell_members(before, now);
  tell_leader(before, now);
}

void FleetNode::tell_state(const FleetSnapshot& now) {
  const bool good = now.connected();
  say(good ? LogLevel::info : LogLevel::warn, "zookeeper",
      {{"state", control::state_name(now.state)},
       {"session", fmt::format("{:#x}", static_cast<std::uint64_t>(now.session_id))},
       {"timeout_ms", now.session_timeout.count()},
       {"losses", now.sessions.losses}});
}

void FleetNode::tell_leader(const FleetSnapshot& before, const FleetSnapshot& now) {
  if (before.leads && !now.leads) say(LogLevel::warn, "this node leads no more", {{"epoch", before.epoch}});
  if (now.leader.empty() || (before.leader == now.leader && before.epoch == now.epoch)) return;
  say(LogLevel::info, "leader", {{"node", now.leader}, {"epoch", now.epoch}, {"self", now.leader == now.self}});
}

void FleetNode::tell_members(const FleetSnapshot& before, const FleetSnapshot& now) {
  for (const control::Member& member : now.members)
    if (find(before.members, member.name) == nullptr)
      say(LogLevel::info, "member joined", {{"node", member.name}, {"url", member.address}});
  for (const control::Member& member : before.members)
    if (find(now.members, member.name) == nullptr) say(LogLevel::warn, "member left", {{"node", member.name}});
}

/// By the leader only: who looks at everything costs the servers something.
void FleetNode::inspect() {
  if (!shown_->leads && !intruders_.empty()) {
    intruders_.clear();
    refresh();
  }
  const auto began = executor_.now();
  const auto every = settings_.inspect_every;
  if (!shown_->leads || inspecting_ || settings_.servers.empty() || every.count() == 0 || began < inspect_next_) return;
  inspecting_ = true;
  inspection_.look(lifetime_.guard([this, began, every](const control::Result<control::Inspection::Intruders>& found) {
    inspecting_ = false;
    const auto now = executor_.now();
    inspect_next_ = now + std::max<control::Executor::Clock::duration>(every, k_rest * (now - began));
    if (found && shown_->leads) inspected(*found);
  }));
}

void FleetNode::inspected(const control::Inspection::Intruders& intruders) {
  for (const auto& [path, fault] : intruders) {
    if (const auto known = intruders_.find(path); known != intruders_.end() && known->second == fault) continue;
    ++intrusions_;
    say(LogLevel::warn, "security: a znode is not as nodes make it, and is passed over",
        {{"path", path}, {"why", fault}});
  }
  intruders_ = intruders;
  refresh();
}

/// With each tick only: while the list is read, or several come and go at once, it would be said of each.
void FleetNode::tell_alert() {
  const std::string alert = shown_->shortage();
  if (!shown_->registered || alert == alert_said_) return;
  if (alert.empty())
    say(LogLevel::info, "the fleet has the members that it needs", {{"members", shown_->members.size()}});
  else
    say(LogLevel::warn, alert, {});
  alert_said_ = alert;
  refresh();
}

}  // namespace histod::daemon
