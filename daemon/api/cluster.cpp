// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/core.h>

#include "daemon/api/api.hpp"
#include "daemon/api/results.hpp"
#include "daemon/fleet_snapshot.hpp"

namespace histod::daemon::api {

namespace json = boost::json;

namespace {

json::object zookeeper_json(const FleetSnapshot& fleet) {
  json::object out{{"state", control::state_name(fleet.state)},
                   {"since", format_time(fleet.since_ms)},
                   {"embedded", fleet.embedded()},
                   {"servers", json::array(fleet.servers.begin(), fleet.servers.end())},
                   {"session_id", fmt::format("{:#x}", static_cast<std::uint64_t>(fleet.session_id))},
                   {"session_timeout_ms", fleet.session_timeout.count()}};
  if (!fleet.trouble.empty()) out["trouble"] = fleet.trouble;
  return out;
}

json::array members_json(const FleetSnapshot& fleet) {
  json::array out;
  for (const control::Member& member : fleet.members)
    out.push_back(json::object{{"name", member.name},
                               {"id", member.identity},
                               {"url", member.address},
                               {"version", member.version},
                               {"cpus", member.cpus},
                               {"self", member.name == fleet.self},
                               {"leader", member.name == fleet.leader}});
  return out;
}

}  // namespace

void cluster(Context context) {
  const auto fleet = context.services.fleet.read();
  const std::string alert = fleet->alert();
  json::object leader{{"name", nullptr}, {"epoch", fleet->epoch}};
  if (!fleet->leader.empty()) leader["name"] = fleet->leader;
  json::object out{{"node_name", context.services.options.node_name},
                   {"role", fleet->role()},
                   {"zookeeper", zookeeper_json(*fleet)},
                   {"leader", std::move(leader)},
                   {"members", members_json(*fleet)},
                   {"min_nodes", fleet->min_nodes},
                   {"alert", !alert.empty()},
                   {"counts", json::object{{"elections_won", fleet->elections},
                                           {"sessions", fleet->sessions.sessions},
                                           {"suspensions", fleet->sessions.suspensions},
                                           {"session_losses", fleet->sessions.losses}}}};
  if (!alert.empty()) out["alert_detail"] = alert;
  if (!fleet->intruders.empty()) out["intruders"] = json::array(fleet->intruders.begin(), fleet->intruders.end());
  context.send(json_response(200, out));
}

}  // namespace histod::daemon::api
