// SPDX-License-Identifier: Apache-2.0
#include "daemon/http_peers.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/core.h>

#include "daemon/copies.hpp"
#include "daemon/event_message.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/services.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon {

namespace http = net::http;
using jobs::Outcome;

namespace {

constexpr http::Deadlines k_deadlines{std::chrono::seconds(2), std::chrono::seconds(10), std::chrono::seconds(60)};
constexpr std::uint64_t k_answer_bytes_max = 64u << 10;
/// A tally as large as one may be, and the ids of a million images.
constexpr std::uint64_t k_share_bytes_max = (256u << 20) + (64u << 20);

std::unexpected<api::Problem> peer_failed(const std::string& node, std::string_view why) {
  return std::unexpected(jobs::problem(502, "peer-failed", fmt::format("{}: {}", node, why)));
}

/// The problem that the node tells.
std::unexpected<api::Problem> refused(const std::string& node, const http::PeerAnswer& answer) {
  boost::system::error_code error;
  const auto body = boost::json::parse({reinterpret_cast<const char*>(answer.body.data()), answer.body.size()}, error);
  auto problem = error ? std::unexpected(std::string()) : api::parse_problem(body);
  if (!problem) return peer_failed(node, fmt::format("it answers with {}", answer.status));
  return std::unexpected(std::move(*problem));
}

/// One question. Crosses from the executor's thread to the worker's; its reply goes back.
template <class T>
struct Call {
  Services& services;
  control::Executor& executor;
  std::string node;
  http::PeerRequest request;
  std::string body;
  /// Of an answer with 200 or 204.
  std::function<Outcome<T>(const http::PeerAnswer&)> read;
  PeerLink::Reply<T> reply;
  std::string traceparent = {};

  void finish(Outcome<T> outcome) {
    executor.post([reply = std::move(reply), outcome = std::move(outcome)]() mutable { reply(std::move(outcome)); });
  }
  Outcome<T> judge(const std::expected<http::PeerAnswer, http::PeerError>& answer) {
    if (!answer) return peer_failed(node, answer.error().text);
    if (!understands_peer(answer->field(k_peer_version_field))) {
      services.log.once("peer-version-" + node, LogLevel::error,
                        "a node is of a release that this one does not understand",
                        {{"node", node}, {"answers", answer->status}});
      return peer_failed(node, "its answer is of another version");
    }
    if (answer->status != 200 && answer->status != 204) return refused(node, *answer);
    return read(*answer);
  }
};

template <class T>
void send(std::unique_ptr<Call<T>> call) {
  Call<T>& c = *call;
  c.request.deadlines = k_deadlines;
  c.request.fields.emplace_back(k_peer_version_field, peer_version());
  c.request.body = std::as_bytes(std::span(c.body));
  c.request.idempotent = true;
  if (c.request.response_bytes_max == 0) c.request.response_bytes_max = k_answer_bytes_max;
  if (const auto addressed = c.services.peers->address(c.request, c.node, c.traceparent); !addressed)
    return c.finish(peer_failed(c.node, addressed.error()));
  // The box is closed to nobody: what waits in it is run before the worker ends.
  Worker& worker = *c.services.workers.front();
  Mailbox::Message message = [&worker, call = std::move(call)]() mutable {
    http::PeerRequest request = std::move(call->request);
    worker.client().request(std::move(request),
                            [call = std::move(call)](auto answer) { call->finish(call->judge(answer)); });
  };
  auto* const kept = &c;
  if (!worker.mailbox().post(std::move(message))) kept->finish(peer_failed(kept->node, "this node is overloaded"));
}

Outcome<void> nothing(const http::PeerAnswer& /*answer*/) { return {}; }

std::string dataset_target(const std::string& dataset, std::string_view what) {
  return fmt::format("/v1/peer/datasets/{}/{}", dataset, what);
}

http::PeerRequest request_to(std::string method, std::string target, std::uint64_t answer_bytes_max = 0) {
  http::PeerRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.response_bytes_max = answer_bytes_max;
  return request;
}

/// A copy under way: the job's files are read into a lease, and sent from it.
struct Copying {
  Services& services;
  Worker& worker;
  jobs::JobRecord record;
  std::move_only_function<void(Outcome<void>)> finish;
  net::Lease lease;

  std::span<std::byte> bytes() const { return lease.bytes().first(record.input.bytes + record.input.mask_bytes); }
};

void read_and_send(std::unique_ptr<Copying> copying) {
  Copying& c = *copying;
  const std::uint64_t bytes = c.record.input.bytes + c.record.input.mask_bytes;
  c.lease = c.worker.pool().lease(bytes);
  if (!c.lease)
    return c.finish(std::unexpected(jobs::problem(503, "overloaded", "no memory is free for a copy, in bytes", bytes,
                                                  c.worker.pool().stats().budget_bytes)));
  const auto whole = c.bytes();
  c.services.engine.read_own(
      c.record, whole.first(c.record.input.bytes), whole.subspan(c.record.input.bytes),
      [copying = std::move(copying)](Outcome<void> done) mutable {
        Mailbox& home = copying->worker.mailbox();
        home.complete([copying = std::move(copying), done = std::move(done)]() mutable {
          if (!done) return copying->finish(std::move(done));
          Copying& kept = *copying;
          kept.record.owner = kept.services.identity;
          send_copies(kept.services, kept.worker, kept.record, kept.bytes(), 1,
                      [copying = std::move(copying)](CopiesSent sent) {
                        if (sent.enough()) return copying->finish({});
                        copying->finish(std::unexpected(jobs::problem(
                            502, "peer-failed", "no node takes a copy of job " + copying->record.id, sent.asked)));
                      });
        });
      });
}

}  // namespace

void HttpPeers::share(std::string node, AskedDataset dataset, Reply<jobs::Share> reply) {
  const auto read = [node](const http::PeerAnswer& answer) -> Outcome<jobs::Share> {
    auto share = parse_share(answer.body);
    if (!share) return peer_failed(node, share.error());
    return std::move(*share);
  };
  send(std::make_unique<Call<jobs::Share>>(services_, executor_, node,
                                           request_to("GET", dataset_target(dataset.id, "share"), k_share_bytes_max),
                                           std::string(), read, std::move(reply), std::move(dataset.traceparent)));
}

void HttpPeers::stage(std::string node, AskedDataset dataset, std::uint64_t revision, jobs::SharedTables tables,
                      Reply<void> reply) {
  const std::string target = dataset_target(dataset.id, fmt::format("tables?revision={}", revision));
  send(std::make_unique<Call<void>>(services_, executor_, std::move(node), request_to("PUT", target),
                                    tables_message(*tables), nothing, std::move(reply),
                                    std::move(dataset.traceparent)));
}

void HttpPeers::tables(std::string node, AskedDataset dataset, std::uint64_t revision,
                       Reply<jobs::SharedTables> reply) {
  const std::string target = dataset_target(dataset.id, fmt::format("tables?revision={}", revision));
  const auto read = [node](const http::PeerAnswer& answer) -> Outcome<jobs::SharedTables> {
    auto tables = parse_tables_message(answer.body);
    if (!tables) return peer_failed(node, tables.error());
    return std::make_shared<const std::vector<compute::KindTables>>(std::move(*tables));
  };
  send(std::make_unique<Call<jobs::SharedTables>>(services_, executor_, node,
                                                  request_to("GET", target, k_peer_tables_bytes_max), std::string(),
                                                  read, std::move(reply), std::move(dataset.traceparent)));
}

void HttpPeers::disown(std::string node, std::vector<std::string> ids, Reply<void> reply) {
  send(std::make_unique<Call<void>>(services_, executor_, std::move(node), request_to("POST", "/v1/peer/disown"),
                                    ids_text(ids), nothing, std::move(reply)));
}

void HttpPeers::ask_ids(const std::string& node, const std::string& target, const std::vector<std::string>& ids,
                        Reply<std::vector<std::string>> reply) {
  using Ids = std::vector<std::string>;
  const auto read = [node](const http::PeerAnswer& answer) -> Outcome<Ids> {
    auto known = parse_ids(answer.body);
    if (!known) return peer_failed(node, known.error());
    return std::move(*known);
  };
  send(std::make_unique<Call<Ids>>(services_, executor_, node, request_to("POST", target, k_ids_bytes_max),
                                   ids_text(ids), read, std::move(reply)));
}

void HttpPeers::owned(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) {
  ask_ids(node, "/v1/peer/owned", ids, std::move(reply));
}

void HttpPeers::keep(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) {
  ask_ids(node, "/v1/peer/keep?from=" + services_.identity, ids, std::move(reply));
}

void HttpPeers::copy(jobs::JobRecord record, Reply<void> reply) {
  const auto refuse = [&](std::string_view why) {
    executor_.post(
        [reply = std::move(reply), problem = peer_failed("copy", why)]() mutable { reply(std::move(problem)); });
  };
  if (*copying_ == k_copies_max) return refuse("as many copies are under way as may be");
  ++*copying_;
  Worker& worker = *services_.workers.front();
  auto finish = [&executor = executor_, copying = copying_, reply = std::move(reply)](Outcome<void> done) mutable {
    executor.post([copying, reply = std::move(reply), done = std::move(done)]() mutable {
      --*copying;
      reply(std::move(done));
    });
  };
  auto job = std::make_unique<Copying>(services_, worker, std::move(record), std::move(finish), net::Lease());
  auto* const kept = job.get();
  Mailbox::Message message = [job = std::move(job)]() mutable { read_and_send(std::move(job)); };
  if (!worker.mailbox().post(std::move(message))) kept->finish(peer_failed("copy", "this node is overloaded"));
}

void HttpEvents::tell(std::string node, std::string message, jobs::Reply<std::uint64_t> have) {
  const auto read = [node](const http::PeerAnswer& answer) -> Outcome<std::uint64_t> {
    const auto number = parse_have(answer.body);
    if (!number) return peer_failed(node, number.error());
    return *number;
  };
  send(std::make_unique<Call<std::uint64_t>>(services_, executor_, node, request_to("POST", "/v1/peer/events"),
                                             std::move(message), read, std::move(have)));
}

}  // namespace histod::daemon
