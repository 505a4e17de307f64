// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/api.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/core.h>

#include "daemon/api/fan_out.hpp"
#include "daemon/api/results.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/telemetry/cloudevents_http.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"
#include "net/http/text.hpp"

namespace histod::daemon::api {

namespace http = net::http;

namespace {

constexpr std::uint64_t k_tables_bytes_max = 32u << 20;  ///< as text; as JSON they have a limit of their own
constexpr std::uint64_t k_settings_bytes_max = 64u << 10;
constexpr std::string_view k_echo_path = "/v1/echo";  // there only with --bench

constexpr std::array k_routes{
    Route{"POST", "/v1/equalize", Role::submit, BodyKind::image, equalize},
    Route{"POST", "/v1/histogram", Role::submit, BodyKind::image, histogram},
    Route{"POST", k_echo_path, Role::submit, BodyKind::image, echo},
    Route{"POST", "/v1/jobs", Role::submit, BodyKind::image, jobs_post},
    Route{"GET", "/v1/jobs", Role::read, BodyKind::none, jobs_list},
    Route{"GET", "/v1/jobs/{}", Role::read, BodyKind::none, jobs_get},
    Route{"GET", "/v1/jobs/{}/result", Role::read, BodyKind::none, jobs_result},
    Route{"DELETE", "/v1/jobs/{}", Role::submit, BodyKind::none, jobs_delete},
    Route{"POST", "/v1/datasets", Role::submit, BodyKind::none, datasets_post},
    Route{"GET", "/v1/datasets", Role::read, BodyKind::none, datasets_list},
    Route{"GET", "/v1/datasets/{}", Role::read, BodyKind::none, datasets_get},
    Route{"DELETE", "/v1/datasets/{}", Role::submit, BodyKind::none, datasets_delete},
    Route{"POST", "/v1/datasets/{}/images", Role::submit, BodyKind::image, dataset_images_post},
    Route{"GET", "/v1/datasets/{}/images", Role::read, BodyKind::none, dataset_images_list},
    Route{"POST", "/v1/datasets/{}/finalize", Role::submit, BodyKind::none, dataset_finalize},
    Route{"POST", "/v1/datasets/{}/apply", Role::submit, BodyKind::none, dataset_apply},
    Route{"GET", "/v1/datasets/{}/lut", Role::read, BodyKind::none, dataset_lut_get},
    Route{"PUT", "/v1/datasets/{}/lut", Role::submit, BodyKind::tables, dataset_lut_put},
    Route{"PUT", "/v1/peer/copies/{}", Role::peer, BodyKind::copy, peer_copy_put},
    Route{"DELETE", "/v1/peer/copies/{}", Role::peer, BodyKind::none, peer_copy_delete},
    Route{"GET", "/v1/peer/keys/{}", Role::peer, BodyKind::none, peer_key},
    Route{"POST", "/v1/peer/owned", Role::peer, BodyKind::ids, peer_owned},
    Route{"POST", "/v1/peer/keep", Role::peer, BodyKind::ids, peer_keep},
    Route{"POST", "/v1/peer/disown", Role::peer, BodyKind::ids, peer_disown},
    Route{"GET", "/v1/peer/datasets/{}/share", Role::peer, BodyKind::none, peer_share},
    Route{"GET", "/v1/peer/datasets/{}/tables", Role::peer, BodyKind::none, peer_tables_get},
    Route{"PUT", "/v1/peer/datasets/{}/tables", Role::peer, BodyKind::tables, peer_tables_put},
    Route{"POST", "/v1/peer/parts/count", Role::peer, BodyKind::image, peer_part_count},
    Route{"POST", "/v1/peer/parts/apply", Role::peer, BodyKind::image, peer_part_apply},
    Route{"POST", k_events_path, Role::events, BodyKind::events, events_post},
    Route{"GET", k_events_path, Role::read, BodyKind::none, events_list},
    Route{"OPTIONS", k_events_path, Role::none, BodyKind::none, events_options},
    Route{"POST", "/v1/tickets", Role::read, BodyKind::none, tickets_post},
    Route{"POST", "/v1/peer/events", Role::peer, BodyKind::events, peer_events},
    Route{"GET", "/v1/streams", Role::read, BodyKind::none, streams_list},
    Route{"GET", "/v1/streams/{}", Role::read, BodyKind::none, streams_get},
    Route{"PUT", "/v1/streams/{}", Role::admin, BodyKind::settings, streams_put},
    Route{"PATCH", "/v1/streams/{}", Role::admin, BodyKind::settings, streams_patch},
    Route{"DELETE", "/v1/streams/{}", Role::admin, BodyKind::none, streams_delete},
    Route{"GET", "/v1/streams/{}/preview", Role::read, BodyKind::none, streams_preview},
    Route{"GET", "/v1/streams/{}/sdp", Role::read, BodyKind::none, streams_sdp},
    Route{"GET", "/v1/cluster", Role::read, BodyKind::none, cluster},
    Route{"GET", "/v1/node", Role::read, BodyKind::none, node},
    Route{"GET", "/v1/nodes", Role::read, BodyKind::none, nodes},
    Route{"POST", "/upload", Role::submit, BodyKind::image, upload},
    Route{"GET", "/download/{}", Role::read, BodyKind::none, download},
    Route{"GET", "/health", Role::none, BodyKind::none, health_original},
    Route{"GET", "/ready", Role::none, BodyKind::none, ready_original},
    Route{"GET", "/healthz", Role::none, BodyKind::none, healthz},
    Route{"GET", "/readyz", Role::none, BodyKind::none, readyz},
    Route{"GET", "/metrics", Role::none, BodyKind::none, metrics},
    Route{"GET", "/openapi.yaml", Role::none, BodyKind::none, openapi},
    Route{"GET", "/", Role::none, BodyKind::none, page},
    Route{"GET", "/assets/{}", Role::none, BodyKind::none, page},
};

/// What stands for "{}", when `path` has the shape of `pattern`.
std::optional<std::string> match_path(std::string_view pattern, std::string_view path) {
  const auto hole = pattern.find("{}");
  if (hole == std::string_view::npos) return pattern == path ? std::optional(std::string()) : std::nullopt;
  const std::string_view head = pattern.substr(0, hole);
  const std::string_view tail = pattern.substr(hole + 2);
  if (path.size() <= head.size() + tail.size() || !path.starts_with(head) || !path.ends_with(tail)) return std::nullopt;
  const std::string_view middle = path.substr(head.size(), path.size() - head.size() - tail.size());
  if (middle.find('/') != std::string_view::npos) return std::nullopt;
  return percent_decode(middle, false);
}

http::Response with_body_closed(http::Response response, const http::RequestHead& head) {
  // A body that nobody is going to read follows: the connection cannot go on.
  if (head.chunked || head.content_length.value_or(0) > 0) response.close = true;
  return response;
}

/// Two of them are none.
std::string traceparent_of(const http::RequestHead& head) {
  const auto is_one = [](const http::Field& field) { return http::iequals(field.name, k_traceparent_field); };
  const auto first = std::ranges::find_if(head.fields, is_one);
  if (first == head.fields.end() || std::any_of(std::next(first), head.fields.end(), is_one)) return {};
  return parse_traceparent(first->value);
}

/// A request that names its image, and need not say that none follows.
bool sends_no_image(const Route& route, const http::RequestHead& head) {
  if (head.content_length || head.chunked) return false;
  if (route.resource != jobs_post && route.resource != dataset_images_post) return false;
  const auto query = parse_query(head.query);
  return query && query->contains("file");
}

bool wants_feed(const http::RequestHead& head) {
  return head.path == k_events_path && http::is_websocket_upgrade(head);
}

}  // namespace

std::span<const Route> routes() { return k_routes; }

RequestKind kind_of(const Route& route) {
  if (route.role == Role::peer) return RequestKind::peer;
  if (route.resource == equalize || route.resource == histogram || route.resource == echo) return RequestKind::image;
  if (route.body == BodyKind::image) return RequestKind::submit;
  return route.method == "GET" ? RequestKind::read : RequestKind::change;
}

Match match_route(std::string_view method, std::string_view path) {
  Match match;
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : k_routes) {
    auto parameter = match_path(route.path, path);
    if (!parameter) continue;
    if (route.method == wanted) return {&route, std::move(*parameter), {}};
    const std::string_view with_head = route.method == "GET" ? ", HEAD" : "";
    match.allowed += fmt::format("{}{}{}", match.allowed.empty() ? "" : ", ", route.method, with_head);
  }
  return match;
}

Problem make_problem(unsigned status, std::string_view code, std::string detail, std::uint64_t value,
                     std::uint64_t limit) {
  Problem problem;
  problem.status = status;
  problem.code = code;
  problem.detail = std::move(detail);
  problem.value = amount(value);
  problem.limit = amount(limit);
  return problem;
}

void Context::fail(const Problem& problem) { send(problem_response(problem)); }

Api::Api(Services& services, Worker& worker)
    : services_(services),
      worker_(worker),
      express_(*this, worker.pipeline(), worker.arena(), worker.mailbox(), worker.arena_apart()),
      feed_(worker.io(), worker.mailbox(), services.feed_stats) {}

void Api::tell(std::string_view kind, const http::RequestHead& head, std::string_view what) {
  services_.sources->security(kind, telemetry::Severity::warning, head.peer,
                              fmt::format("{}: {} {} from {}", what, head.method, head.path, head.peer),
                              {{"peer", head.peer}, {"method", head.method}, {"path", head.path}});
}

std::optional<Problem> Api::authorize(const http::RequestHead& head, Role needed, std::uint64_t& retry_after_s) {
  const std::string trace = traceparent_of(head);
  std::string_view credential = head.field("Authorization");
  // A browser cannot send its token with a WebSocket. A ticket that is none any more counts as a wrong token.
  const std::string_view ticket = credential.empty() && wants_feed(head) ? offered_ticket(head) : std::string_view();
  if (!ticket.empty() && services_.tickets.redeem(ticket)) return std::nullopt;
  const std::string spent = ticket.empty() ? "" : fmt::format("Bearer {}", ticket);
  if (!ticket.empty()) credential = spent;
  const Verdict verdict = services_.auth.check(credential, head.peer, needed);
  switch (verdict.access) {
    case Access::granted:
      return std::nullopt;
    case Access::missing:
      return make_problem(401, "unauthorized", "send a token as Authorization: Bearer TOKEN");
    case Access::wrong:
      services_.log.warn("refused token",
                         {{"peer", head.peer}, {"method", head.method}, {"path", head.path}, trace_field(trace)});
      tell("token_refused", head, "a token was refused");
      return make_problem(401, "unauthorized", "the token is not one of this node's");
    case Access::forbidden:
      services_.log.warn("role too low",
                         {{"peer", head.peer}, {"token", verdict.name}, {"path", head.path}, trace_field(trace)});
      tell("token_refused", head, fmt::format("the role of token {} is too low", verdict.name));
      return make_problem(
          403, "forbidden",
          fmt::format("the token's role is {}; this takes {}", role_name(verdict.role), role_name(needed)));
    case Access::limited:
      break;
  }
  tell("rate_limited", head, "too many wrong tokens");
  retry_after_s = static_cast<std::uint64_t>(verdict.retry_after.count());
  return make_problem(429, "rate-limited", "too many wrong tokens from this address within a minute",
                      services_.options.auth_failures_per_minute + 1, services_.options.auth_failures_per_minute);
}

std::expected<http::BodyAdmission, http::Response> Api::admit(const http::RequestHead& head) {
  const bool hidden = head.path == k_echo_path && !services_.options.bench;
  const Match match = hidden ? Match() : match_route(head.method, head.path);
  if (match.route == nullptr) {
    const bool known = !match.allowed.empty();
    http::Response response = problem_response(
        known ? make_problem(405, "method-not-allowed", fmt::format("this path takes {}", match.allowed))
              : make_problem(404, "not-found", "there is nothing at this path"));
    if (known) response.fields.emplace_back("Allow", match.allowed);
    return std::unexpected(with_body_closed(std::move(response), head));
  }
  const bool metrics_guarded = match.route->resource == metrics && !services_.options.metrics_public;
  const Role needed = metrics_guarded                 ? Role::read
                      : signs_events(services_, head) ? Role::none  // events_post() looks at the signature
                                                      : match.route->role;
  if (needed != Role::none) {
    std::uint64_t retry_after_s = 0;
    if (const auto problem = authorize(head, needed, retry_after_s)) {
      if (needed == Role::peer) {
        const std::string trace = traceparent_of(head);
        ++services_.peer_intrusions;
        services_.log.warn("security: whoever is no node asks as one",
                           {{"peer", head.peer}, {"path", head.path}, {"status", problem->status}, trace_field(trace)});
        tell("peer_intrusion", head, "blocked intrusion: whoever is no node asks as one");
      }
      http::Response response = text_response(problem->status, k_problem_type, problem_json(*problem));
      if (problem->status == 401) response.fields.emplace_back("WWW-Authenticate", "Bearer realm=\"histod\"");
      if (problem->status == 429) response.fields.emplace_back("Retry-After", fmt::format("{}", retry_after_s));
      return std::unexpected(with_body_closed(std::move(response), head));
    }
    if (const std::string trace = traceparent_of(head); !trace.empty())
      services_.log.write(trace_level(trace), "request",
                          {{"method", head.method}, {"path", head.path}, {"peer", head.peer}, trace_field(trace)});
  }
  if (const auto trouble = wants_feed(head) ? http::websocket_trouble(head) : std::nullopt)
    return std::unexpected(with_body_closed(http::websocket_refusal(*this, head, *trouble), head));
  http::BodyAdmission admission{services_.options.max_upload_bytes, nullptr,
                                static_cast<std::uint8_t>(kind_of(*match.route))};
  if (match.route->body == BodyKind::none) admission.bytes_max = 0;
  if (match.route->body == BodyKind::ids) admission.bytes_max = k_ids_bytes_max;
  if (match.route->body == BodyKind::events) admission.bytes_max = telemetry::k_events_body_bytes_max;
  if (match.route->body == BodyKind::settings) admission.bytes_max = k_settings_bytes_max;
  if (match.route->body == BodyKind::tables) admission.bytes_max = k_tables_bytes_max;
  if (match.route->body != BodyKind::image) return admission;
  // Refused before the body is read, so that a busy node costs its clients nothing but a round trip.
  if (worker_.pipeline().in_hand() >= services_.options.max_requests_queued)
    return std::unexpected(with_body_closed(
        problem_response(make_problem(503, "overloaded", "images are in hand on this worker",
                                      worker_.pipeline().in_hand(), services_.options.max_requests_queued)),
        head));
  if (sends_no_image(*match.route, head)) admission.bytes_max = 0;
  const bool fits = head.content_length.value_or(0) <= admission.bytes_max;
  if (match.route->resource == equalize && fits) admission.watcher = express_.board(head);
  return admission;
}

void Api::handle(http::Request request, http::Responder responder) {
  go_on(std::move(request), std::move(responder), nullptr);
}

void Api::go_on(http::Request request, http::Responder responder, std::unique_ptr<EarlyDecode> early_decode) {
  Match match = match_route(request.head.method, request.head.path);
  const Resource resource = match.route->resource;
  // Whoever is no node of the fleet cannot have one answer for another.
  const bool forwarded = request.head.field(k_forwarded) == "1" &&
                         services_.auth.role_of(request.head.field("Authorization")) == Role::peer;
  std::string traceparent = traceparent_of(request.head);
  resource(Context{services_, worker_, std::move(request), std::move(responder), std::move(match.parameter),
                   std::move(early_decode), forwarded, std::move(traceparent), &feed_});
}

http::Response Api::refusal(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
                            std::uint64_t limit, const http::RequestHead* head) {
  if (head != nullptr && services_.log.enabled(LogLevel::debug)) {
    const std::string trace = traceparent_of(*head);
    services_.log.debug(
        "request refused",
        {{"status", status}, {"code", code}, {"peer", head->peer}, {"path", head->path}, trace_field(trace)});
  }
  if (head != nullptr && code == "framing") {
    services_.sources->security("request_refused", telemetry::Severity::warning, head->peer,
                                fmt::format("a malformed request was refused: {} (from {})", detail, head->peer),
                                {{"peer", head->peer}, {"status", status}});
  }
  return problem_response(make_problem(status, code, std::string(detail), value, limit));
}

}  // namespace histod::daemon::api
