// SPDX-License-Identifier: Apache-2.0
#include "daemon/peer_message.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>

#include "compute/table_text.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/ulid.hpp"

namespace histod::daemon {

namespace json = boost::json;

namespace {

constexpr std::size_t k_length_bytes = 4;
constexpr unsigned k_version = 1;
#ifdef HISTOD_NEXT_RECORDS
/// In a program that writes as the release after this one may: tests run it beside this one.
constexpr unsigned k_later = 1;
#else
constexpr unsigned k_later = 0;
#endif

std::string text_of(json::object message) {
  if (k_later > 0) message["later"] = k_later;
  return json::serialize(message);
}

/// 0: it is none.
unsigned version_of(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}
constexpr std::size_t k_kinds_max = 64;

void append_length(std::string& out, std::size_t length) {
  for (std::size_t i = 0; i < k_length_bytes; ++i) out += static_cast<char>(length >> (8 * i) & 0xff);
}

/// What stands behind its length; `bytes` then begins behind it.
std::optional<std::string_view> take_text(std::span<const std::byte>& bytes) {
  if (bytes.size() < k_length_bytes) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < k_length_bytes; ++i) length |= std::to_integer<std::size_t>(bytes[i]) << (8 * i);
  bytes = bytes.subspan(k_length_bytes);
  if (bytes.size() < length) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), length);
  bytes = bytes.subspan(length);
  return text;
}

std::optional<json::object> object_of(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::optional<std::vector<std::string>> ids_of(const json::object& object, std::string_view name) {
  const json::value* list = object.if_contains(name);
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (const json::value& id : list->get_array()) {
    if (!id.is_string() || !jobs::is_ulid(std::string_view(id.get_string()))) return std::nullopt;
    out.emplace_back(id.get_string());
  }
  return out;
}

template <class T>
bool take_number(const json::value* value, T& out) {
  boost::system::error_code error;
  if (value != nullptr) out = value->to_number<T>(error);
  return value != nullptr && !error;
}

/// A release before this one does not tell it.
bool take_optional(const json::object& object, std::string_view name, std::uint64_t& out) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || take_number(value, out);
}

bool take_held(const json::value* value, std::map<std::string, std::uint64_t>& out) {
  if (value == nullptr || !value->is_object()) return false;
  return std::ranges::all_of(value->get_object(), [&out](const auto& member) {
    return jobs::is_ulid(std::string_view(member.key())) &&
           take_number(&member.value(), out[std::string(member.key())]);
  });
}

}  // namespace

std::string peer_version() {
  return k_later > 0 ? fmt::format("{}; since={}", k_version + k_later, k_version) : fmt::format("{}", k_version);
}

bool understands_peer(std::string_view version) {
  constexpr std::string_view k_since = "; since=";
  const std::size_t semicolon = version.find(k_since);
  const unsigned written = version_of(version.substr(0, semicolon));
  const bool alone = semicolon == std::string_view::npos;
  const unsigned since = alone ? written : version_of(version.substr(semicolon + k_since.size()));
  return written > 0 && since > 0 && since <= written && since <= k_version + k_later;
}

std::string ids_text(const std::vector<std::string>& ids) {
  return text_of(json::object{{"ids", json::array(ids.begin(), ids.end())}});
}

std::expected<std::vector<std::string>, std::string> parse_ids(std::span<const std::byte> bytes) {
  const auto object = object_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  auto ids = object ? ids_of(*object, "ids") : std::nullopt;
  if (!ids) return std::unexpected("it must be JSON with a list of ids under \"ids\"");
  return std::move(*ids);
}

std::string keyed_text(const jobs::Keyed& keyed) {
  return text_of(json::object{{"id", keyed.job}, {"owner", keyed.owner}});
}

std::expected<jobs::Keyed, std::string> parse_keyed(std::span<const std::byte> bytes) {
  const auto object = object_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const auto text = [&](const char* name) {
    const json::value* value = object ? object->if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string("?");
  };
  jobs::Keyed keyed{text("id"), text("owner")};
  if (!jobs::is_ulid(keyed.job) || !(keyed.owner.empty() || jobs::is_ulid(keyed.owner)))
    return std::unexpected("it must be an object with the ids of a job and of its owner");
  return keyed;
}

std::string share_head(const jobs::Share& share) {
  json::object held;
  for (const auto& [owner, count] : share.held) held[owner] = count;
  const std::string text = text_of(json::object{{"tally_sha256", share.tally_sha256},
                                                {"images", json::array(share.images.begin(), share.images.end())},
                                                {"waiting", share.waiting},
                                                {"unmade", share.unmade},
                                                {"applied_revision", share.applied_revision},
                                                {"active_ms", share.active_ms},
                                                {"total", share.total},
                                                {"failed", share.failed},
                                                {"held", std::move(held)}});
  std::string out;
  append_length(out, text.size());
  return out + text;
}

std::expected<jobs::Share, std::string> parse_share(std::span<const std::byte> bytes) {
  const auto text = take_text(bytes);
  const auto object = text ? object_of(*text) : std::nullopt;
  if (!object) return std::unexpected("a share begins with the length of its JSON and the JSON");
  jobs::Share share;
  auto images = ids_of(*object, "images");
  const json::value* digest = object->if_contains("tally_sha256");
  const bool whole = images && digest != nullptr && digest->is_string() &&
                     take_number(object->if_contains("waiting"), share.waiting) &&
                     take_number(object->if_contains("unmade"), share.unmade) &&
                     take_number(object->if_contains("applied_revision"), share.applied_revision) &&
                     take_number(object->if_contains("active_ms"), share.active_ms) && share.active_ms >= 0 &&
                     take_optional(*object, "total", share.total) && take_optional(*object, "failed", share.failed) &&
                     take_held(object->if_contains("held"), share.held);
  if (!whole) return std::unexpected("a member of the share is missing, or is something else");
  share.images = std::move(*images);
  if (std::ranges::adjacent_find(share.images, std::greater_equal()) != share.images.end())
    return std::unexpected("the share's images are not in order, or not distinct");
  share.tally_sha256 = std::string(digest->get_string());
  share.tally.assign(bytes.begin(), bytes.end());
  if (share.tally_sha256 != jobs::sha256_hex(bytes)) return std::unexpected("the share's tally has another digest");
  return share;
}

std::string tables_message(std::span<const compute::KindTables> tables) {
  std::string out;
  for (const compute::KindTables& kind : tables) {
    const std::string text = compute::to_text(kind);
    append_length(out, text.size());
    out += text;
  }
  return out;
}

std::expected<std::vector<compute::KindTables>, std::string> parse_tables_message(std::span<const std::byte> bytes) {
  std::vector<compute::KindTables> out;
  while (!bytes.empty()) {
    const auto text = take_text(bytes);
    if (!text || out.size() == k_kinds_max) return std::unexpected("it must be tables, each behind its length");
    auto tables = compute::tables_from_text(*text);
    if (!tables) return std::unexpected(tables.error().detail);
    out.push_back(std::move(*tables));
  }
  if (out.empty()) return std::unexpected("there are no tables in it");
  return out;
}

}  // namespace histod::daemon
