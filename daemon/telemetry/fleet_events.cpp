// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/fleet_events.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;
using control::SessionState;

constexpr std::size_t k_kept_max = 64;

Event fleet_event(std::string type, Severity severity, std::string message, json::object data = {}) {
  data["message"] = std::move(message);
  Event out{.id = "", .source = "", .type = std::move(type)};
  out.severity = severity;
  out.data = std::move(data);
  return out;
}

bool has_member(const FleetSnapshot& fleet, const std::string& name) {
  return std::ranges::find(fleet.members, name, &control::Member::name) != fleet.members.end();
}

Event member_event(const control::Member& member, bool joined) {
  Event out = fleet_event(joined ? "io.histod.cluster.node_joined" : "io.histod.cluster.node_left",
                          joined ? Severity::ok : Severity::warning,
                          fmt::format("node {} {} the cluster", member.name, joined ? "joined" : "left"),
                          {{"url", member.address}, {"version", member.version}});
  out.subject = member.name;
  out.node = member.name;
  return out;
}

}  // namespace

/// In the words of the system that this one grew out of.
void FleetEvents::tell_session(const FleetSnapshot& before, const FleetSnapshot& now, std::vector<Event>& out) const {
  if (before.state == now.state) return;
  struct Words {
    const char* verb;
    Severity severity;
    const char* text;
  };
  const Words words = [&]() -> Words {
    switch (now.state) {
      case SessionState::connected:
        return {"connected", Severity::ok, "ZooKeeper Connection: OK"};
      case SessionState::suspended:
        return {"suspended", Severity::warning, "ZooKeeper Connection: WARNING: SUSPENDED"};
      case SessionState::lost:
        return {"lost", Severity::error, "ZooKeeper Connection: LOST"};
      case SessionState::connecting:
        break;
    }
    return {"connecting", Severity::info, "ZooKeeper Connection: CONNECTING"};
  }();
  json::object data{{"session", fmt::format("{:#x}", static_cast<std::uint64_t>(now.session_id))},
                    {"losses", now.sessions.losses}};
  if (!now.trouble.empty()) data["error"] = now.trouble;
  out.push_back(
      fleet_event(std::string("io.histod.zookeeper.") + words.verb, words.severity, words.text, std::move(data)));
}

void FleetEvents::keep(Event event) {
  if (kept_.size() < k_kept_max) kept_.push_back(std::move(event));
}

std::vector<Event> FleetEvents::changed(const FleetSnapshot& before, const FleetSnapshot& now) {
  std::vector<Event> out;
  if (now.embedded() || now.has_left) return out;
  tell_session(before, now, out);
  for (const control::Member& member : now.members)
    if (!has_member(before, member.name)) keep(member_event(member, true));
  for (const control::Member& member : before.members)
    if (!has_member(now, member.name)) keep(member_event(member, false));
  if (now.leads && (!before.leads || before.epoch != now.epoch)) {
    Event leader =
        fleet_event("io.histod.cluster.leader", Severity::info,
                    fmt::format("node {} leads the cluster (epoch {})", now.self, now.epoch), {{"epoch", now.epoch}});
    leader.subject = now.self;
    keep(std::move(leader));
  }
  if (before.alert_told != now.alert_told)
    keep(now.alert_told.empty()
             ? fleet_event("io.histod.cluster.alert_over", Severity::ok, "the cluster has the members that it needs")
             : fleet_event("io.histod.cluster.alert", Severity::error, now.alert_told));
  if (now.leads) std::ranges::move(kept_, std::back_inserter(out));
  if (now.leads || !now.leader.empty()) kept_.clear();
  for (const std::string& intruder : now.intruders)
    if (std::ranges::find(before.intruders, intruder) == before.intruders.end())
      out.push_back(fleet_event("io.histod.secops.znode", Severity::error,
                                "blocked intrusion: a znode is not as nodes make it, and is passed over: " + intruder));
  return out;
}

}  // namespace histod::daemon::telemetry
