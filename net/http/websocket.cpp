// SPDX-License-Identifier: Apache-2.0
#include "net/http/websocket.hpp"

#include <algorithm>
#include <array>

#include "net/http/message.hpp"
#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

constexpr std::string_view k_version = "13";
/// 16 bytes in base64: 22 digits, the last of which has four bits that say nothing, and the padding.
constexpr std::size_t k_key_chars = 24;

/// The members of a list that may be spread over several fields of that name; empty ones are none (RFC 9110, 5.6.1).
std::vector<std::string_view> list_of(const RequestHead& head, std::string_view name) {
  std::vector<std::string_view> members;
  for (const Field& field : head.fields) {
    if (!iequals(field.name, name)) continue;
    for (std::size_t from = 0; from <= field.value.size();) {
      const std::size_t end = std::min(field.value.find(',', from), field.value.size());
      const std::string_view member = trim(field.value.substr(from, end - from));
      if (!member.empty()) members.push_back(member);
      from = end + 1;
    }
  }
  return members;
}

bool lists(const RequestHead& head, std::string_view name, std::string_view member) {
  return std::ranges::any_of(list_of(head, name), [member](std::string_view one) { return iequals(one, member); });
}

std::size_t count_of(const RequestHead& head, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(head.fields, [name](const Field& field) { return iequals(field.name, name); }));
}

bool is_key(std::string_view key) {
  if (key.size() != k_key_chars || !key.ends_with("==")) return false;
  const std::string_view digits = key.substr(0, k_key_chars - 2);
  const auto is_base64 = [](char c) { return is_digit(c) || is_alpha(c) || c == '+' || c == '/'; };
  return std::ranges::all_of(digits, is_base64) && std::string_view("AQgw").contains(digits.back());
}

Refusal refused(std::string detail) { return {400, "websocket", std::move(detail), 0, 0}; }

}  // namespace

std::string_view websocket_end_name(WebSocketEnd end) {
  static constexpr std::array<std::string_view, k_websocket_ends> k_names = {"by_peer", "by_us",  "drained", "protocol",
                                                                             "lost",    "silent", "stalled", "aborted"};
  return k_names[static_cast<std::size_t>(end)];
}

bool is_websocket_upgrade(const RequestHead& head) { return lists(head, "Upgrade", "websocket"); }

std::optional<Refusal> websocket_trouble(const RequestHead& head) {
  if (head.method != "GET") return refused("a WebSocket begins with GET");
  if (head.version_minor == 0) return refused("a WebSocket begins with HTTP/1.1");
  if (head.chunked || head.content_length.value_or(0) > 0) return refused("a WebSocket begins without a body");
  if (!is_websocket_upgrade(head)) return refused("the field Upgrade does not say websocket");
  if (!lists(head, "Connection", "upgrade")) return refused("the field Connection does not say upgrade");
  const std::size_t versions = count_of(head, "Sec-WebSocket-Version");
  if (versions != 1) return refused("the field Sec-WebSocket-Version is wanted once");
  if (head.field("Sec-WebSocket-Version") != k_version) {
    return Refusal{426, "websocket", "only version 13 of WebSocket is spoken", 0, 0};
  }
  if (count_of(head, "Sec-WebSocket-Key") != 1) return refused("the field Sec-WebSocket-Key is wanted once");
  if (!is_key(head.field("Sec-WebSocket-Key"))) return refused("Sec-WebSocket-Key is not 16 bytes in base64");
  const auto subprotocols = websocket_subprotocols(head);
  if (!std::ranges::all_of(subprotocols, is_token)) return refused("Sec-WebSocket-Protocol is not a list of tokens");
  return std::nullopt;
}

Response websocket_refusal(Handler& handler, const RequestHead& head, const Refusal& trouble) {
  Response response =
      handler.refusal(trouble.status, trouble.code, trouble.detail, trouble.value, trouble.limit, &head);
  if (trouble.status == 426) {
    response.fields.emplace_back("Upgrade", "websocket");
    response.fields.emplace_back("Connection", "upgrade");
    response.fields.emplace_back("Sec-WebSocket-Version", k_version);
  }
  return response;
}

std::vector<std::string_view> websocket_subprotocols(const RequestHead& head) {
  return list_of(head, "Sec-WebSocket-Protocol");
}

}  // namespace histod::net::http
