// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/peer.hpp"
#include "daemon/api/results.hpp"
#include "daemon/event_message.hpp"

namespace histod::daemon::api {

void peer_events(Context context) {
  if (!peer_understands(context)) return;
  auto message = parse_event_message(context.request.body);
  telemetry::Bus& bus = *context.services.events;
  if (message && message->identity == bus.identity()) message = std::unexpected("its identity is this node's");
  if (!message) return peer_refuse(std::move(context), make_problem(400, "bad-request", message.error()));
  const std::uint64_t have = bus.receive(message->identity, message->after, std::move(message->events));
  peer_answer(std::move(context), text_response(200, "application/json", have_text(have)));
}

}  // namespace histod::daemon::api
