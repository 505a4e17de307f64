// SPDX-License-Identifier: Apache-2.0
// What nodes ask each other.
#include "daemon/api/peer.hpp"

#include <memory>
#include <optional>
#include <utility>

#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/api/results.hpp"
#include "daemon/copies.hpp"
#include "daemon/jobs/ulid.hpp"
#include "daemon/peer_message.hpp"
#include "net/copy.hpp"

namespace histod::daemon::api {

namespace http = net::http;

void peer_answer(Context context, http::Response response) {
  response.fields.emplace_back(k_peer_version_field, peer_version());
  context.send(std::move(response));
}

void peer_refuse(Context context, const Problem& problem) {
  peer_answer(std::move(context), problem_response(problem));
}

bool peer_understands(Context& context) {
  const std::string_view version = context.request.head.field(k_peer_version_field);
  if (understands_peer(version)) return true;
  context.services.log.once("peer-version", LogLevel::error,
                            "a node of another release asks what is not understood here",
                            {{"peer", context.request.head.peer}, {"version", valid_utf8(version)}});
  peer_refuse(std::move(context),
              make_problem(400, "peer-version",
                           "Histod-Peer-Version must be one that this release understands: " + peer_version()));
  return false;
}

namespace {

void answer_done(WaitingPtr waiting) {
  http::Response response;
  response.status = 204;
  peer_answer(std::move(waiting->context), std::move(response));
}

/// A reply that is answered with the version in it, whatever it is.
template <class T, class Then>
jobs::Reply<T> home(Context context, Then then) {
  return at_home_or<T>(wait_with(std::move(context)), then,
                       [](WaitingPtr w, const Problem& problem) { peer_refuse(std::move(w->context), problem); });
}

std::optional<std::vector<std::string>> sent_ids(Context& context) {
  auto ids = parse_ids(context.request.body);
  if (ids) return std::move(*ids);
  peer_refuse(std::move(context), make_problem(400, "bad-request", ids.error()));
  return std::nullopt;
}

std::string query_option(const Context& context, const std::string& name) {
  const auto query = parse_query(context.request.head.query);
  return query && query->contains(name) ? query->at(name) : std::string();
}

std::optional<std::uint64_t> asked_revision(Context& context) {
  constexpr std::uint64_t k_revision_max = 1ull << 62;
  const auto revision = number_option("revision", query_option(context, "revision"), 1, k_revision_max);
  if (revision) return *revision;
  peer_refuse(std::move(context), revision.error());
  return std::nullopt;
}

using Ids = std::vector<std::string>;

jobs::Reply<Ids> tell_ids(Context context) {
  return home<Ids>(std::move(context), [](WaitingPtr w, const Ids& own) {
    peer_answer(std::move(w->context), text_response(200, "application/json", ids_text(own)));
  });
}

}  // namespace

void peer_copy_put(Context context) {
  if (!peer_understands(context)) return;
  auto record = parse_copy_field(context.request.head.field(k_copy_field));
  if (!record)
    return peer_refuse(std::move(context), make_problem(400, "bad-request", "Histod-Record: " + record.error()));
  const auto body = context.request.body;
  const bool fits = record->input.bytes <= body.size() && record->input.mask_bytes == body.size() - record->input.bytes;
  if (record->id != context.parameter || !fits)
    return peer_refuse(std::move(context),
                       make_problem(400, "bad-request", "the record is of another job or another image"));
  jobs::Engine& engine = context.services.engine;
  const auto image = body.first(record->input.bytes), mask = body.subspan(record->input.bytes);
  engine.hold(std::move(*record), image, mask, home<void>(std::move(context), answer_done));
}

void peer_copy_delete(Context context) {
  if (!peer_understands(context)) return;
  jobs::Engine& engine = context.services.engine;
  std::string id = context.parameter;
  const bool removed = query_option(context, "removed") == "1";
  auto reply = home<void>(std::move(context), answer_done);
  if (removed) return engine.removed_elsewhere(std::move(id), std::move(reply));
  engine.release({std::move(id)}, std::move(reply));
}

void peer_key(Context context) {
  if (!peer_understands(context)) return;
  jobs::Engine& engine = context.services.engine;
  const std::string key = context.parameter;
  engine.find_key(key, home<jobs::Keyed>(std::move(context), [](WaitingPtr w, const jobs::Keyed& keyed) {
                    peer_answer(std::move(w->context), text_response(200, "application/json", keyed_text(keyed)));
                  }));
}

void peer_owned(Context context) {
  if (!peer_understands(context)) return;
  auto ids = sent_ids(context);
  if (!ids) return;
  jobs::Engine& engine = context.services.engine;
  engine.owned(std::move(*ids), tell_ids(std::move(context)));
}

void peer_keep(Context context) {
  if (!peer_understands(context)) return;
  auto ids = sent_ids(context);
  if (!ids) return;
  std::string from = query_option(context, "from");
  if (!jobs::is_ulid(from))
    return peer_refuse(std::move(context), make_problem(400, "bad-request", "from must be the identity of a node"));
  jobs::Engine& engine = context.services.engine;
  engine.keep(std::move(*ids), std::move(from), tell_ids(std::move(context)));
}

void peer_disown(Context context) {
  if (!peer_understands(context)) return;
  auto ids = sent_ids(context);
  if (!ids) return;
  jobs::Engine& engine = context.services.engine;
  engine.disown(std::move(*ids), home<void>(std::move(context), answer_done));
}

void peer_share(Context context) {
  if (!peer_understands(context)) return;
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  engine.share(id, home<jobs::Share>(std::move(context), [](WaitingPtr w, const jobs::Share& share) {
                 const std::string head = share_head(share);
                 Worker& worker = w->context.worker;
                 const std::size_t bytes = head.size() + share.tally.size();
                 net::Lease lease = worker.pool().lease(bytes);
                 if (!lease)
                   return peer_refuse(std::move(w->context),
                                      make_problem(503, "overloaded", "no memory is free for a share, in bytes", bytes,
                                                   worker.pool().stats().budget_bytes));
                 const auto text = std::as_bytes(std::span(head));
                 net::move_bytes(lease.data(), text.data(), text.size(), worker.copied_bytes());
                 net::move_bytes(lease.data() + text.size(), share.tally.data(), share.tally.size(),
                                 worker.copied_bytes());
                 http::Response response;
                 response.content_type = "application/octet-stream";
                 response.body = http::LeasedBytes{std::move(lease), 0, bytes};
                 peer_answer(std::move(w->context), std::move(response));
               }));
}

void peer_tables_get(Context context) {
  if (!peer_understands(context)) return;
  const auto revision = asked_revision(context);
  if (!revision) return;
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  engine.get_tables(
      id, *revision, home<jobs::SharedTables>(std::move(context), [](WaitingPtr w, const jobs::SharedTables& tables) {
        peer_answer(std::move(w->context), text_response(200, "application/octet-stream", tables_message(*tables)));
      }));
}

void peer_tables_put(Context context) {
  if (!peer_understands(context)) return;
  const auto revision = asked_revision(context);
  if (!revision) return;
  auto tables = parse_tables_message(context.request.body);
  if (!tables) return peer_refuse(std::move(context), make_problem(422, "bad-lut", tables.error()));
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  auto shared = std::make_shared<const std::vector<compute::KindTables>>(std::move(*tables));
  engine.stage_tables(id, *revision, std::move(shared), home<void>(std::move(context), answer_done));
}

}  // namespace histod::daemon::api
