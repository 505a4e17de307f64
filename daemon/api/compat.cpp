// SPDX-License-Identifier: Apache-2.0
// The HTTP interface of the course system that this program replaces, so that its clients keep working.
#include <chrono>

#include <boost/json/object.hpp>

#include "daemon/api/api.hpp"
#include "daemon/api/results.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

namespace http = net::http;

namespace {

constexpr std::chrono::seconds k_download_wait{30};
constexpr std::string_view k_final = "_final.";

http::Response uploaded(const jobs::Submitted& submitted, const std::string& /*node*/) {
  return json_response(200, boost::json::object{{"job_id", submitted.record.id}});
}

/// "<id>_final.<ext>" -> id; empty when it is no such name.
std::string job_of_file(std::string_view file) {
  const auto at = file.find(k_final);
  return at == std::string_view::npos ? std::string() : std::string(file.substr(0, at));
}

void deliver(Context context, const jobs::JobRecord& record) {
  if (record.result) return send_result(std::move(context), record, "attachment");
  if (record.state == jobs::JobState::failed && record.error) return context.fail(*record.error);
  if (record.state == jobs::JobState::cancelled)
    return context.fail(make_problem(410, "job-failed", "the job was removed before it was done"));
  context.fail(make_problem(503, "not-finished", "the job is not finished yet; ask again"));
}

}  // namespace

void upload(Context context) {
  auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  // What the original did, unless told otherwise.
  query->try_emplace("rule", "reference");
  query->try_emplace("color", "gray");
  submit_job(std::move(context), {.options = std::move(*query)}, uploaded);
}

void download(Context context) {
  const std::string id = job_of_file(context.parameter);
  if (id.empty()) return context.fail(make_problem(404, "not-found", "files are named JOB_final.EXTENSION"));
  jobs::Engine& engine = context.services.engine;
  auto kept = std::make_unique<Context>(std::move(context));
  engine.wait(id, k_download_wait, [kept = std::move(kept)](jobs::Outcome<jobs::JobRecord> outcome) mutable {
    Mailbox& home = kept->worker.mailbox();
    home.complete([kept = std::move(kept), outcome = std::move(outcome)] {
      if (!outcome && outcome.error().status == 404)
        return look_for_result(std::move(*kept), outcome.error(), k_download_wait);
      if (!outcome) return kept->fail(outcome.error());
      deliver(std::move(*kept), *outcome);
    });
  });
}

void health_original(Context context) { context.send(json_response(200, boost::json::object{{"status", "healthy"}})); }

void ready_original(Context context) {
  // Of all probes this one alone asks for ZooKeeper: whoever wants to know whether the node takes work asks /readyz.
  const auto fleet = context.services.fleet.read();
  const bool ready = fleet->connected();
  const std::string_view word = fleet->embedded() && ready ? "embedded" : control::state_name(fleet->state);
  http::Response response = json_response(
      ready ? 200 : 503, boost::json::object{{"status", ready ? "ready" : "not ready"}, {"zookeeper", word}});
  if (!ready) response.fields.emplace_back("Retry-After", "1");
  context.send(std::move(response));
}

}  // namespace histod::daemon::api
