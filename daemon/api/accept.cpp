// SPDX-License-Identifier: Apache-2.0
// 202 says: it is on the disks of several nodes.
#include "daemon/api/accept.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/core.h>

#include "daemon/api/fan_out.hpp"
#include "daemon/api/results.hpp"
#include "daemon/copies.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/trace_context.hpp"
#include "net/copy.hpp"

namespace histod::daemon::api {

namespace {

using Clock = std::chrono::steady_clock;

/// How many copies it wants; a job that has ended wants none, unless its dataset's tables may change.
std::size_t copies_wanted(const Services& services, const jobs::Submitted& submitted) {
  const jobs::JobRecord& record = submitted.record;
  if (!services.peers || (record.dataset.empty() && jobs::is_final(record.state))) return 0;
  const auto fleet = services.fleet.read();
  const auto able = holders(*fleet);
  const auto to_identity = &control::Member::identity;
  if (submitted.replayed && std::ranges::find(able, record.holder, to_identity) != able.end()) return 0;
  return std::min<std::size_t>(services.options.replicas - 1, able.size());
}

/// Image and mask in one piece; where there is no mask, no byte is moved. Empty when no memory is free.
std::span<const std::byte> in_one_piece(Waiting& waiting, const SentImage& sent) {
  if (sent.mask.empty()) return sent.image;
  Worker& worker = waiting.context.worker;
  const std::size_t bytes = sent.image.size() + sent.mask.size();
  waiting.result = worker.pool().lease(bytes);
  if (!waiting.result) return {};
  net::Counter& moved = waiting.context.worker.copied_bytes();
  net::move_bytes(waiting.result.data(), sent.image.data(), sent.image.size(), moved);
  net::move_bytes(waiting.result.data() + sent.image.size(), sent.mask.data(), sent.mask.size(), moved);
  return waiting.result.bytes().first(bytes);
}

/// Who was asked for a copy may have it, also without having said so. A job that another request was told of stays.
void withdrawn(WaitingPtr waiting, const std::string& id, Problem problem) {
  const auto answer = [problem = std::move(problem)](WaitingPtr w) { w->context.fail(problem); };
  jobs::Engine& engine = waiting->context.services.engine;
  engine.get(
      id, at_home_or<jobs::JobRecord>(
              std::move(waiting), [answer](WaitingPtr w, const jobs::JobRecord&) { answer(std::move(w)); },
              [answer, id](WaitingPtr w, const Problem&) { drop_copies(std::move(w), id, Gone::withdrawn, answer); }));
}

/// A job that was accepted before stays: another request was told so.
void refuse(WaitingPtr waiting, const jobs::Submitted& submitted, Problem problem) {
  if (submitted.replayed) return waiting->context.fail(problem);
  jobs::Engine& engine = waiting->context.services.engine;
  ++waiting->context.services.copies.refused;
  engine.withdraw(submitted.record.id,
                  at_home<void>(std::move(waiting), [id = submitted.record.id, problem = std::move(problem)](
                                                        WaitingPtr w) { withdrawn(std::move(w), id, problem); }));
}

void say_accepted(Context& context, const jobs::Submitted& submitted, net::http::Response response) {
  const std::string& trace = context.traceparent;
  context.services.log.write(trace_level(trace), "job accepted",
                             {{"job", submitted.record.id}, {"replayed", submitted.replayed}, trace_field(trace)});
  context.send(std::move(response));
}

class Dropping final : public Listening {
 public:
  Dropping(WaitingPtr waiting, std::move_only_function<void(WaitingPtr)> then)
      : waiting_(std::move(waiting)), then_(std::move(then)) {}
  bool hear(Heard heard) override {
    if (!heard.answer || heard.answer->status != 204) ++waiting_->context.services.copies.unreleased;
    return true;
  }
  void end() override { then_(std::move(waiting_)); }

 private:
  WaitingPtr waiting_;
  std::move_only_function<void(WaitingPtr)> then_;
};

}  // namespace

void drop_copies(WaitingPtr waiting, const std::string& id, Gone why, std::move_only_function<void(WaitingPtr)> then) {
  Services& services = waiting->context.services;
  Worker& worker = waiting->context.worker;
  const auto nodes = members_but_this(services);
  if (nodes.empty()) return then(std::move(waiting));
  Question question;
  question.method = "DELETE";
  question.target = "/v1/peer/copies/" + id + (why == Gone::removed ? "?removed=1" : "");
  question.fields = {{std::string(k_peer_version_field), peer_version()}};
  question.deadlines = {k_drop_patience, k_drop_patience, k_drop_patience};
  question.traceparent = waiting->context.traceparent;
  ask_all(services, worker, nodes, question, std::make_unique<Dropping>(std::move(waiting), std::move(then)));
}

void accept_job(WaitingPtr waiting, jobs::Submitted submitted, SentImage sent, Accepted answer) {
  Services& services = waiting->context.services;
  Worker& worker = waiting->context.worker;
  const std::size_t wanted = copies_wanted(services, submitted);
  if (wanted == 0) {
    services.engine.settle(submitted.record.id);
    return say_accepted(waiting->context, submitted, answer(submitted, services.options.node_name));
  }
  const auto bytes = in_one_piece(*waiting, sent);
  if (bytes.empty())
    return refuse(std::move(waiting), submitted,
                  make_problem(503, "overloaded", "no memory is free for image and mask, in bytes",
                               sent.image.size() + sent.mask.size(), worker.pool().stats().budget_bytes));
  jobs::JobRecord copy = submitted.record;
  copy.owner = services.identity;
  send_copies(services, worker, copy, bytes, wanted,
              [waiting = std::move(waiting), submitted = std::move(submitted), answer,
               began = Clock::now()](CopiesSent done) mutable {
                if (!done.enough())
                  return refuse(std::move(waiting), submitted,
                                make_problem(503, "no-replica",
                                             "the job is to be kept by other nodes too, and too few take a copy; asked",
                                             done.asked, done.wanted));
                Context& context = waiting->context;
                context.services.engine.settle(submitted.record.id);
                net::http::Response response = answer(submitted, context.services.options.node_name);
                const std::chrono::duration<double, std::milli> took = Clock::now() - began;
                response.fields.emplace_back("Server-Timing", fmt::format("copy;dur={:.3f}", took.count()));
                say_accepted(context, submitted, std::move(response));
              });
}

}  // namespace histod::daemon::api
