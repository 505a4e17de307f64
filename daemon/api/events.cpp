// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "daemon/api/api.hpp"
#include "daemon/api/events_query.hpp"
#include "daemon/api/results.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/telemetry/cloudevents_http.hpp"
#include "daemon/telemetry/flux_signature.hpp"
#include "daemon/telemetry/normalizer.hpp"

namespace histod::daemon::api {

namespace http = net::http;

namespace {

constexpr std::size_t k_events_answer_bytes_max = 4u << 20;

Problem problem_of(const telemetry::EventsRefusal& refusal) {
  using Kind = telemetry::EventsRefusal::Kind;
  switch (refusal.kind) {
    case Kind::media_type:
      return make_problem(415, "unsupported-media", refusal.detail);
    case Kind::form:
      return make_problem(400, "bad-request", refusal.detail);
    case Kind::too_many:
      return make_problem(413, "too-large", refusal.detail, refusal.value, refusal.limit);
    case Kind::event:
      break;
  }
  return make_problem(422, "bad-event", refusal.detail);
}

std::string_view text_of(std::span<const std::byte> body) {
  return {reinterpret_cast<const char*>(body.data()), body.size()};
}

std::string tools() { return fmt::format("{}", fmt::join(telemetry::normalizer_tools(), ", ")); }

/// What a tool says in its own words, which `tool` names.
std::expected<std::vector<telemetry::Event>, Problem> told_events(const Query& query, std::string_view body) {
  for (const auto& [name, value] : query)
    if (name != "tool" && name != "rollout")
      return std::unexpected(bad_option(fmt::format("there is no option {}; there are tool and rollout", name)));
  const auto rollout = query.find("rollout");
  const auto normalizer =
      telemetry::make_normalizer(query.at("tool"), {rollout == query.end() ? std::string() : rollout->second});
  if (!normalizer) return std::unexpected(bad_option("tool must be one of " + tools()));
  return telemetry::normalize_body(*normalizer, body);
}

std::expected<std::vector<telemetry::Event>, Problem> sent_events(const http::Request& request) {
  const auto query = parse_query(request.head.query);
  if (!query) return std::unexpected(query.error());
  if (query->contains("tool")) return told_events(*query, text_of(request.body));
  if (!query->empty()) return std::unexpected(bad_option("there is no option " + query->begin()->first));
  std::vector<telemetry::EventField> fields;
  for (const http::Field& field : request.head.fields) fields.emplace_back(field.name, field.value);
  auto events = telemetry::read_http_events(request.head.field("Content-Type"), fields, text_of(request.body));
  if (!events) return std::unexpected(problem_of(events.error()));
  return std::move(*events);
}

/// One token, however its scheme is written, has one allowance.
std::string token_digest(std::string_view authorization) {
  const auto digest = jobs::sha256(authorization.substr(std::min(authorization.rfind(' ') + 1, authorization.size())));
  return {digest.begin(), digest.end()};
}

}  // namespace

bool signs_events(const Services& services, const http::RequestHead& head) {
  return !services.event_hmac_key.empty() && head.method == "POST" && head.path == k_events_path &&
         head.field("Authorization").empty() && !head.field("X-Signature").empty();
}

/// All or nothing: whoever is refused sends all of it again.
void events_post(Context context) {
  Services& services = context.services;
  const http::RequestHead& head = context.request.head;
  if (signs_events(services, head) &&
      !telemetry::is_flux_signature(head.field("X-Signature"), text_of(context.request.body),
                                    services.event_hmac_key)) {
    services.sources->security("token_refused", telemetry::Severity::warning, head.peer,
                               fmt::format("events with a wrong signature were refused (from {})", head.peer),
                               {{"peer", head.peer}});
    return context.fail(make_problem(401, "unauthorized", "X-Signature is not that of this body and key"));
  }
  auto events = sent_events(context.request);
  if (!events) {
    ++services.event_stats.refused;
    return context.fail(events.error());
  }
  const std::string token = token_digest(context.request.head.field("Authorization"));
  if (const auto wait = services.event_rates.take(token, events->size()); wait.count() > 0) {
    ++services.event_stats.limited;
    const std::string peer(context.request.head.peer);
    services.sources->security("rate_limited", telemetry::Severity::warning, peer,
                               "too many events a second from " + peer, {{"peer", peer}});
    http::Response response =
        problem_response(make_problem(429, "too-many-events", "more events than this token may post now",
                                      events->size(), EventRates::k_events_per_s));
    for (auto& [name, value] : response.fields)
      if (name == "Retry-After") value = fmt::format("{}", wait.count());
    return context.send(std::move(response));
  }
  const auto done = services.events->publish(std::move(*events));
  context.send(json_response(202, boost::json::object{{"accepted", done.accepted}, {"duplicates", done.duplicates}}));
}

/// The handshake of the CloudEvents webhook specification: anybody may ask, and needs a token all the same.
void events_options(Context context) {
  const http::RequestHead& head = context.request.head;
  http::Response response;
  response.status = 204;
  response.fields.emplace_back("Allow", "GET, HEAD, POST, OPTIONS");
  if (!head.field("WebHook-Request-Origin").empty()) {
    response.fields.emplace_back("WebHook-Allowed-Origin", "*");
    if (!head.field("WebHook-Request-Rate").empty())
      response.fields.emplace_back("WebHook-Allowed-Rate", fmt::format("{}", EventRates::k_events_per_s * 60));
  }
  context.send(std::move(response));
}

void events_list(Context context) {
  const http::RequestHead& head = context.request.head;
  const auto query = events_query(head.query);
  if (!query) return context.fail(query.error());
  telemetry::Bus& bus = *context.services.events;
  if (http::is_websocket_upgrade(head)) {
    if (foreign_origin(head))
      return context.fail(make_problem(403, "forbidden", "a page of another site may not read this feed"));
    return context.send(context.feed->answer(bus, *query, head));
  }
  const auto limit = static_cast<std::size_t>(query->limit);
  const telemetry::EventsRead read = query->after
                                         ? bus.read(*query->after, limit, k_events_answer_bytes_max, query->filter)
                                         : bus.read_last(limit, k_events_answer_bytes_max, query->filter);
  std::string text = "{\"events\":[";
  for (const telemetry::EventPtr& event : read.events) {
    if (text.back() == '}') text += ',';
    text += event->json;
  }
  text += fmt::format("],\"next\":{},\"missed\":{},\"last\":{},\"identity\":\"{}\"}}", read.next, read.missed,
                      bus.last(), bus.identity());
  context.send(text_response(200, "application/json", std::move(text)));
}

void tickets_post(Context context) {
  auto ticket = context.services.tickets.issue();
  if (!ticket)
    return context.fail(make_problem(503, "overloaded", "as many tickets as there may be are out, unused",
                                     TicketStore::k_tickets_max, TicketStore::k_tickets_max));
  context.send(
      json_response(201, boost::json::object{{"ticket", *ticket}, {"expires_in_s", TicketStore::k_life.count()}}));
}

}  // namespace histod::daemon::api
