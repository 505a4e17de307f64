// SPDX-License-Identifier: Apache-2.0
#include "daemon/http_webhooks.hpp"

#include <memory>
#include <utility>

#include <fmt/core.h>

#include "daemon/services.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon {

namespace http = net::http;
using jobs::Outcome;

namespace {

constexpr http::Deadlines k_call_deadlines{std::chrono::seconds(5), std::chrono::seconds(10), std::chrono::seconds(30)};
constexpr std::uint64_t k_reply_bytes_max = 64u << 10;

/// Crosses from the executor's thread to the worker's; its reply goes back.
struct WebhookCall {
  Services& services;
  control::Executor& executor;
  std::string body;
  http::PeerRequest request;
  jobs::Reply<void> reply;

  void finish(Outcome<void> outcome) {
    ++(outcome ? services.webhook_stats.sent : services.webhook_stats.failed);
    executor.post([reply = std::move(reply), outcome = std::move(outcome)]() mutable { reply(std::move(outcome)); });
  }
  void fail(std::string_view why) { finish(std::unexpected(jobs::problem(502, "webhook-failed", std::string(why)))); }
  void judge(const std::expected<http::PeerAnswer, http::PeerError>& answer) {
    if (!answer) return fail(answer.error().text);
    if (answer->status < 200 || answer->status > 299) return fail(fmt::format("it answers with {}", answer->status));
    finish({});
  }
};

}  // namespace

void HttpWebhooks::call(std::string url, std::string body, std::string traceparent, jobs::Reply<void> reply) {
  auto made =
      std::make_unique<WebhookCall>(services_, executor_, std::move(body), http::PeerRequest(), std::move(reply));
  // Its node may have allowed it, or it was allowed then.
  auto to = services_.webhooks->check(url);
  if (!to) return made->fail(to.error());
  http::PeerRequest& request = made->request;
  request.endpoint = std::move(to->endpoint);
  request.target = std::move(to->target);
  request.method = "POST";
  request.fields = {{"Content-Type", "application/json"},
                    {"Histod-Signature", services_.webhooks->signature(made->body)}};
  if (!traceparent.empty()) request.fields.emplace_back(k_traceparent_field, next_traceparent(traceparent));
  request.body = std::as_bytes(std::span(made->body));
  request.response_bytes_max = k_reply_bytes_max;
  request.deadlines = k_call_deadlines;
  Worker& worker = *services_.workers.front();
  WebhookCall* const kept = made.get();
  Mailbox::Message message = [&worker, call = std::move(made)]() mutable {
    http::PeerRequest moved = std::move(call->request);
    worker.client().request(std::move(moved), [call = std::move(call)](auto answer) { call->judge(answer); });
  };
  if (!worker.mailbox().post(std::move(message))) kept->fail("this node is overloaded");
}

}  // namespace histod::daemon
