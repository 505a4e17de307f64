// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/core.h>

#include "compute/table_text.hpp"
#include "daemon/api/dataset_json.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/api/results.hpp"
#include "daemon/fleet.hpp"
#include "daemon/jobs/record_text.hpp"
#include "daemon/tables_json.hpp"

namespace histod::daemon::api {

namespace http = net::http;
using jobs::DatasetStatus;

namespace {

constexpr std::uint64_t k_kinds_max = 1'000;
constexpr std::size_t k_name_bytes_max = 200;
constexpr std::uint64_t k_entries_max = 2'000'000;  ///< of tables in one answer: 12 MB as text, which no lease holds

/// Answers with the dataset.
jobs::Reply<DatasetStatus> tell(WaitingPtr waiting, unsigned status) {
  return at_home<DatasetStatus>(std::move(waiting), [status](WaitingPtr w, const DatasetStatus& dataset) {
    http::Response response = json_response(status, dataset_json(dataset, w->context.services.options.node_name));
    if (status == 201) response.fields.emplace_back("Location", "/v1/datasets/" + dataset.record.id);
    w->context.send(std::move(response));
  });
}

using DatasetReply = jobs::Reply<DatasetStatus>;

/// Has the fleet do it, and answers with the dataset.
template <class Work>
void ask_fleet(Context context, unsigned status, Work work) {
  Fleet* const fleet = context.services.member;
  if (fleet == nullptr) return context.fail(make_problem(503, "starting", "this node has not joined the fleet yet"));
  fleet->ask(tell(wait_with(std::move(context)), status), std::move(work));
}

/// The options of each image, checked; what concerns the dataset alone is taken out.
std::expected<NewDataset, Problem> new_dataset(Query query, const Webhooks* webhooks) {
  NewDataset out;
  const auto take = [&](const char* name) {
    auto node = query.extract(name);
    return node ? std::move(node.mapped()) : std::string();
  };
  out.name = take("name");
  if (out.name.size() > k_name_bytes_max || !jobs::is_plain(out.name))
    return std::unexpected(
        bad_option(fmt::format("name takes up to {} bytes without control characters", k_name_bytes_max)));
  out.reference = take("reference");
  out.webhook = take("webhook");
  if (!out.webhook.empty()) {
    const auto allowed = webhooks == nullptr ? std::unexpected("this daemon calls nobody: --webhook-allow is not set")
                                             : webhooks->check(out.webhook);
    if (!allowed) return std::unexpected(bad_option("webhook: " + allowed.error()));
  }
  const bool matches = query.contains("method") && query.at("method") == "match";
  if (matches) query.erase("method");
  if (matches != !out.reference.empty())
    return std::unexpected(bad_option("method=match and reference=, the id of a dataset, belong together"));
  const auto options = image_options(query);
  if (!options) return std::unexpected(options.error());
  if (options->equalize.method != compute::Method::global)
    return std::unexpected(bad_option("a dataset takes method=global or match: one table is for all of its images"));
  if (options->equalize.range == compute::RangeMode::automatic)
    return std::unexpected(bad_option("range=auto would change with each image: a dataset takes full or a number"));
  if (query.contains("pages"))
    return std::unexpected(bad_option("pages plays no part: every page of every image gets the same table"));
  out.options = std::move(query);
  return out;
}

/// Which of the two forms is wanted: what Accept names first.
bool wants_text(const http::RequestHead& head) {
  const std::string_view accept = head.field("Accept");
  const auto text = accept.find("text/plain"), json = accept.find("application/json");
  return text != std::string_view::npos && (json == std::string_view::npos || text < json);
}

void send_tables(Context context, const std::vector<compute::KindTables>& tables, std::optional<std::uint64_t> kind) {
  if (kind && *kind >= tables.size())
    return context.fail(make_problem(400, "bad-option", "there are fewer kinds of images: kind, and how many there are",
                                     *kind, tables.size()));
  std::vector<compute::KindTables> chosen = tables;
  if (kind) chosen = {tables[*kind]};
  std::uint64_t entries = 0;
  for (const compute::KindTables& one : chosen) entries += std::uint64_t{one.kind.planes} * one.kind.bins;
  if (entries > k_entries_max)
    return context.fail(
        make_problem(413, "limit-exceeded",
                     "the tables have more entries than one answer holds; kind=0, 1, ... asks for some of them",
                     entries, k_entries_max));
  if (!wants_text(context.request.head)) {
    http::Response response = text_response(200, "application/json", tables_to_json(chosen) + "\n");
    response.fields.emplace_back("Histod-Lut-Digest", lut_digest(chosen));
    return context.send(std::move(response));
  }
  if (chosen.size() != 1)
    return context.fail(make_problem(
        400, "bad-option", "as text there is one kind at a time: choose by kind=0, 1, ...; there are", tables.size()));
  http::Response response = text_response(200, "text/plain; charset=utf-8", compute::to_text(chosen.front()));
  response.fields.emplace_back("Histod-Lut-Digest", lut_digest(chosen));
  context.send(std::move(response));
}

compute::Result<std::vector<compute::KindTables>> sent_tables(const http::Request& request) {
  const std::string_view text(reinterpret_cast<const char*>(request.body.data()), request.body.size());
  if (!request.head.field("Content-Type").starts_with("text/plain")) return tables_from_json(text);
  auto tables = compute::tables_from_text(text);
  if (!tables) return std::unexpected(std::move(tables.error()));
  std::vector<compute::KindTables> one;
  one.push_back(std::move(*tables));
  return one;
}

}  // namespace

void datasets_post(Context context) {
  auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  auto dataset = new_dataset(std::move(*query), context.services.webhooks.get());
  if (!dataset) return context.fail(dataset.error());
  dataset->traceparent = context.traceparent;
  ask_fleet(std::move(context), 201, [dataset = std::move(*dataset)](Coordinator& fleet, DatasetReply reply) mutable {
    fleet.create(std::move(dataset), std::move(reply));
  });
}

void datasets_delete(Context context) {
  Fleet* const fleet = context.services.member;
  if (fleet == nullptr) return context.fail(make_problem(503, "starting", "this node has not joined the fleet yet"));
  const std::string id = context.parameter, trace = context.traceparent;
  fleet->ask(
      at_home<DatasetStatus>(wait_with(std::move(context)),
                             [](WaitingPtr w, const DatasetStatus&) {
                               http::Response response;
                               response.status = 204;
                               w->context.send(std::move(response));
                             }),
      [id, trace](Coordinator& coordinator, DatasetReply reply) { coordinator.remove(id, std::move(reply), trace); });
}

void dataset_images_post(Context context) {
  auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  std::string id = context.parameter;
  submit_by_query(std::move(context), {.options = std::move(*query), .dataset = std::move(id)}, job_accepted);
}

void dataset_finalize(Context context) {
  const std::string id = context.parameter, trace = context.traceparent;
  ask_fleet(std::move(context), 200,
            [id, trace](Coordinator& fleet, DatasetReply reply) { fleet.finalize(id, std::move(reply), trace); });
}

void dataset_apply(Context context) {
  const std::string id = context.parameter, trace = context.traceparent;
  ask_fleet(std::move(context), 202,
            [id, trace](Coordinator& fleet, DatasetReply reply) { fleet.apply(id, std::move(reply), trace); });
}

void dataset_lut_get(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  std::optional<std::uint64_t> kind;
  for (const auto& [name, value] : *query) {
    if (name != "kind") return context.fail(bad_option("there is no option " + name + "; there is kind"));
    const auto number = number_option(name, value, 0, k_kinds_max);
    if (!number) return context.fail(number.error());
    kind = *number;
  }
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  engine.get_tables(id, 0,
                    at_home<jobs::SharedTables>(wait_with(std::move(context)),
                                                [kind](WaitingPtr w, const jobs::SharedTables& tables) {
                                                  send_tables(std::move(w->context), *tables, kind);
                                                }));
}

void dataset_lut_put(Context context) {
  auto tables = sent_tables(context.request);
  if (!tables) {
    Problem problem = problem_of({std::move(tables.error()), false});
    problem.status = 422;
    problem.code = "bad-lut";
    return context.fail(problem);
  }
  const std::string id = context.parameter, trace = context.traceparent;
  ask_fleet(std::move(context), 200,
            [id, trace, tables = std::move(*tables)](Coordinator& fleet, DatasetReply reply) mutable {
              fleet.set_tables(id, std::move(tables), std::move(reply), trace);
            });
}

}  // namespace histod::daemon::api
