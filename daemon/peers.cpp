// SPDX-License-Identifier: Apache-2.0
#include "daemon/peers.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "daemon/fleet_snapshot.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon {

std::expected<void, std::string> Peers::address(net::http::PeerRequest& request, std::string_view name,
                                                std::string_view traceparent) const {
  const auto fleet = board_.read();
  if (name == fleet->self) return std::unexpected(fmt::format("{} is this node itself", name));
  const auto member = std::ranges::find(fleet->members, name, &control::Member::name);
  if (member == fleet->members.end()) return std::unexpected(fmt::format("no member of the fleet is named {}", name));
  auto endpoint = net::http::parse_endpoint(member->address);
  if (!endpoint) return std::unexpected(fmt::format("the address of {} is none: {}", name, endpoint.error()));
  request.endpoint = std::move(*endpoint);
  const auto is_old = [](const auto& field) {
    return field.first == "Authorization" || field.first == k_traceparent_field;
  };
  std::erase_if(request.fields, is_old);
  request.fields.emplace_back("Authorization", authorization_);
  request.fields.emplace_back(k_traceparent_field, next_traceparent(traceparent));
  return {};
}

}  // namespace histod::daemon
