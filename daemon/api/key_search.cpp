// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/key_search.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/api/engine_call.hpp"
#include "daemon/api/fan_out.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/peer_message.hpp"

namespace histod::daemon::api {

namespace http = net::http;
using jobs::Keyed;
using Here = std::move_only_function<void(Context)>;

namespace {

constexpr std::chrono::milliseconds k_patience{2'000};
constexpr http::Deadlines k_post_deadlines{std::chrono::seconds(2), std::chrono::seconds(70), std::chrono::minutes(5)};
constexpr std::uint64_t k_answer_bytes_max = 4u << 20;

Problem unreachable(const std::string& detail) { return make_problem(503, "unreachable", detail); }

/// The request as it came, with its body where it is.
http::PeerRequest same_request(const Context& context) {
  const Question same = same_question(context);
  http::PeerRequest out;
  out.method = same.method;
  out.target = same.target;
  for (const char* name : {"Content-Type", "Idempotency-Key"})
    if (const auto value = context.request.head.field(name); !value.empty()) out.fields.emplace_back(name, value);
  out.fields.emplace_back(k_forwarded, "1");
  out.body = context.request.body;
  out.idempotent = true;  // that is what the key is for
  out.response_bytes_max = k_answer_bytes_max;
  out.deadlines = k_post_deadlines;
  return out;
}

/// That node then answers as if it had been asked first.
void pass_to(Context context, const std::string& node) {
  ++context.services.copies.keys_elsewhere;
  http::PeerRequest request = same_request(context);
  const auto silent = [node](const std::string& why) {
    return unreachable("the job of this Idempotency-Key is at node " + node + ", which does not answer: " + why);
  };
  if (const auto addressed = context.services.peers->address(request, node, context.traceparent); !addressed)
    return context.fail(silent(addressed.error()));
  http::Client& client = context.worker.client();
  client.request(std::move(request),
                 [context = std::make_unique<Context>(std::move(context)), silent](auto answer) mutable {
                   if (answer) return context->send(passed_on(std::move(*answer)));
                   context->fail(silent(answer.error().text));
                 });
}

std::optional<Keyed> keyed_of(const http::PeerAnswer& answer) {
  if (answer.status != 200) return std::nullopt;
  auto keyed = parse_keyed(answer.body);
  return keyed ? std::optional(std::move(*keyed)) : std::nullopt;
}

class KeySearch final : public Listening {
 public:
  KeySearch(Context context, std::optional<Keyed> copy, Here here)
      : context_(std::move(context)), here_(std::move(here)) {
    if (copy) copies_.insert(copy->owner);
  }

  bool hear(Heard heard) override {
    const bool none = heard.answer && heard.answer->status == 404;
    const auto keyed = heard.answer ? keyed_of(*heard.answer) : std::nullopt;
    if (!none && !keyed) {
      silent_ = true;
      return true;
    }
    asked_.insert(heard.node);
    if (keyed && keyed->owner.empty()) owner_ = std::move(heard.node);
    if (keyed && !keyed->owner.empty()) copies_.insert(keyed->owner);
    return owner_.empty();
  }

  void end() override {
    if (!owner_.empty()) return pass_to(std::move(context_), owner_);
    for (const std::string& identity : copies_)
      if (!has_spoken(identity))
        return context_.fail(
            unreachable("there is a job of this Idempotency-Key, and the node that has it does not answer"));
    if (silent_) ++context_.services.copies.keys_unsure;
    here_(std::move(context_));
  }

 private:
  /// Who says that he has no such job has withdrawn it, or removed it.
  bool has_spoken(const std::string& identity) const {
    if (identity == context_.services.identity) return true;
    const auto fleet = context_.services.fleet.read();
    const auto member = std::ranges::find(fleet->members, identity, &control::Member::identity);
    return member != fleet->members.end() && asked_.contains(member->name);
  }

  Context context_;
  Here here_;
  std::set<std::string> copies_;  ///< whose they are
  std::set<std::string> asked_;   ///< nodes that have answered
  std::string owner_;
  bool silent_ = false;
};

}  // namespace

void search_key(Context context, const std::string& key, Here here) {
  const std::string sha256 = jobs::sha256_hex(key);
  jobs::Engine& engine = context.services.engine;
  const auto ask = [sha256](WaitingPtr w, std::optional<Keyed> copy, Here then) {
    const auto nodes = others(w->context);
    if (nodes.empty()) return then(std::move(w->context));
    Services& services = w->context.services;
    Worker& worker = w->context.worker;
    Question question;
    question.target = "/v1/peer/keys/" + sha256;
    question.fields = {{std::string(k_peer_version_field), peer_version()}};
    question.deadlines = {k_patience, k_patience, k_patience};
    question.traceparent = w->context.traceparent;
    ask_all(services, worker, nodes, question,
            std::make_unique<KeySearch>(std::move(w->context), std::move(copy), std::move(then)));
  };
  const auto shared = std::make_shared<Here>(std::move(here));
  engine.find_key(sha256, at_home_or<Keyed>(
                              wait_with(std::move(context)),
                              [ask, shared](WaitingPtr w, Keyed keyed) {
                                if (keyed.owner.empty()) return (*shared)(std::move(w->context));
                                ask(std::move(w), std::move(keyed), std::move(*shared));
                              },
                              [ask, shared](WaitingPtr w, const Problem& problem) {
                                if (problem.status != 404) return w->context.fail(problem);
                                ask(std::move(w), std::nullopt, std::move(*shared));
                              }));
}

}  // namespace histod::daemon::api
