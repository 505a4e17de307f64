// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "daemon/api/api.hpp"
#include "daemon/api/fan_out.hpp"
#include "daemon/api/results.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/worker.hpp"
#include "net/http/server.hpp"

namespace histod::daemon::api {

namespace json = boost::json;

namespace {

json::array workers_json(const Services& services) {
  json::array out;
  for (const auto& worker : services.workers) {
    const WorkerSnapshot s = worker->published();
    out.push_back(json::object{{"cpu", s.cpu},
                               {"numa_node", s.numa_node},
                               {"bytes_in_flight", s.bytes_in_flight},
                               {"leased_bytes", s.pool.leased_bytes},
                               {"budget_bytes", s.pool.budget_bytes},
                               {"pages", page_kind_name(s.pool.resident_pages)},
                               {"requests", worker->http_stats().requests.get()},
                               {"images", s.pipeline.images},
                               {"images_busy_ns", s.pipeline.spent.total_ns() - s.pipeline.spent.receive_ns}});
  }
  return out;
}

json::array arenas_json(const Placement& placement) {
  json::array out;
  for (const ArenaPlace& arena : placement.arenas)
    out.push_back(json::object{{"numa_node", arena.numa_node},
                               {"cpus", json::array(arena.cpus.begin(), arena.cpus.end())},
                               {"threads", arena.threads}});
  return out;
}

json::array stream_cpus_json(const Placement& placement) {
  json::array out;
  for (const StreamPlace& place : placement.streams) out.push_back(place.cpu);
  return out;
}

json::object fleet_json(const FleetSnapshot& fleet) {
  return {{"zookeeper", control::state_name(fleet.state)},
          {"embedded", fleet.embedded()},
          {"members", fleet.members.size()},
          {"role", fleet.role()},
          {"epoch", fleet.epoch},
          {"alert", !fleet.alert().empty()}};
}

json::object limits_json(const Options& o) {
  return {{"upload_bytes", o.max_upload_bytes}, {"pixels", o.max_pixels},
          {"dimension", o.max_dimension},       {"pages", o.max_pages},
          {"jobs_queued", o.max_jobs_queued},   {"requests_queued", o.max_requests_queued},
          {"connections", o.connections}};
}

json::object node_json(const Services& services) {
  json::array fallbacks;
  for (const Fallback& fallback : services.fallbacks)
    fallbacks.push_back(json::object{{"what", fallback.what}, {"why", fallback.why}});
  if (services.streams)
    for (const Fallback& fallback : services.streams->fallbacks())
      fallbacks.push_back(json::object{{"what", fallback.what}, {"why", fallback.why}});
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - services.started);
  return {{"version", HISTOD_VERSION},
          {"id", services.identity},
          {"node_name", services.options.node_name},
          {"backend", net::http::io_backend()},
          {"isa", services.isa},
          {"uptime_s", uptime.count()},
          {"workers", workers_json(services)},
          {"arenas", arenas_json(services.placement)},
          {"stream_cpus", stream_cpus_json(services.placement)},
          {"fallbacks", std::move(fallbacks)},
          {"fleet", fleet_json(*services.fleet.read())},
          {"limits", limits_json(services.options)}};
}

}  // namespace

void node(Context context) { context.send(json_response(200, node_json(context.services))); }

void nodes(Context context) {
  const json::object own{{"nodes", json::array{node_json(context.services)}}};
  const MergedList all{.member = "nodes", .limit = std::numeric_limits<std::uint64_t>::max(), .newest_first = false};
  answer_list(std::move(context), all, own);
}

}  // namespace histod::daemon::api
