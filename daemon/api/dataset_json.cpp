// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/dataset_json.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>

#include "daemon/log.hpp"
#include "daemon/webhooks.hpp"

namespace histod::daemon::api {

namespace json = boost::json;
using jobs::JobState;

namespace {

/// Of `images`, and of `part`.
constexpr std::array<std::string_view, 7> k_shown{"total", "queued", "running", "counted", "done", "failed", "bytes"};
constexpr std::array<std::string_view, 5> k_sums{"waiting", "waiting_bytes", "counted_bytes", "made", "made_bytes"};
constexpr std::array<std::string_view, 2> k_revisions{"lut_revision", "applied_revision"};

json::object lut_json(const jobs::DatasetLut& lut, bool stale) {
  json::array kinds;
  for (const jobs::LutKind& kind : lut.kinds)
    kinds.push_back(json::object{{"quantity", kind.quantity},
                                 {"planes", kind.planes},
                                 {"bins", kind.bins},
                                 {"levels", kind.levels},
                                 {"images", kind.images},
                                 {"counted", kind.counted},
                                 {"masked", kind.masked}});
  return {{"revision", lut.revision}, {"digest", lut.digest}, {"origin", jobs::origin_name(lut.origin)},
          {"images", lut.images},     {"stale", stale},       {"made_at", format_time(lut.made_ms)},
          {"kinds", std::move(kinds)}};
}

/// Without the path, which may be a secret.
json::value webhook_json(const jobs::DatasetRecord& record) {
  if (record.webhook.empty()) return nullptr;
  return json::object{{"to", valid_utf8(webhook_host(record.webhook))},
                      {"notified_revision", record.notified_revision}};
}

const json::value* member(const json::object& object, std::string_view name) { return object.if_contains(name); }

/// What is not there, or no number, is 0.
std::uint64_t number(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  boost::system::error_code error;
  const auto out = value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
  return error ? 0 : out;
}

const json::object* inner(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

void add(json::object& sums, const json::object& more, std::string_view name) {
  sums[name] = number(sums, name) + number(more, name);
}

/// Counting comes first; what is applied is told once all is counted.
json::object progress_json(const json::object& images, const json::object& sums, bool applies) {
  const std::uint64_t counted = number(images, "counted"), total = number(images, "total");
  const bool counting = number(sums, "waiting") > 0;
  const bool applying = !counting && applies && number(sums, "made") < counted;
  const bool of_making = !counting && applies;
  return {
      {"phase", counting   ? "counting"
                : applying ? "applying"
                           : "idle"},
      {"items_done", of_making ? number(sums, "made") : total - number(sums, "waiting")},
      {"items_total", of_making ? counted : total},
      {"bytes_done", of_making ? number(sums, "made_bytes") : number(images, "bytes") - number(sums, "waiting_bytes")},
      {"bytes_total", of_making ? number(sums, "counted_bytes") : number(images, "bytes")}};
}

bool is_stale(const json::object& part) {
  const json::object* lut = inner(part, "lut");
  const json::value* stale = lut == nullptr ? nullptr : member(*lut, "stale");
  return stale != nullptr && stale->is_bool() && stale->get_bool();
}

/// The `part` of the node that has heard most.
json::object last_revisions(const std::vector<NodePart>& parts) {
  json::object last;
  for (const NodePart& one : parts) {
    if (one.part.empty()) continue;
    const json::object& theirs = one.part.at("part").as_object();
    const auto rank = [](const json::object& part) {
      return std::pair(number(part, "lut_revision"), number(part, "applied_revision"));
    };
    if (last.empty() || rank(theirs) > rank(last)) last = theirs;
  }
  return last;
}

bool same_tables(const json::object& a, const json::object& b) {
  return std::ranges::all_of(k_revisions, [&](std::string_view name) { return number(a, name) == number(b, name); });
}

}  // namespace

json::object dataset_part(const jobs::DatasetStatus& status) {
  const jobs::DatasetRecord& record = status.record;
  const jobs::Datasets::Images& images = status.images;
  json::object options;
  for (const auto& [name, value] : record.options) options[name] = valid_utf8(value);
  if (!record.reference.empty()) options["reference"] = record.reference;
  const auto in_state = [&](JobState state) { return images.in_state[static_cast<std::size_t>(state)]; };
  return {{"id", record.id},
          {"name", valid_utf8(record.name)},
          {"created_at", format_time(record.created_ms)},
          {"changed_at", format_time(record.changed_ms)},
          {"options", std::move(options)},
          {"images", json::object{{"total", images.total},
                                  {"queued", in_state(JobState::queued)},
                                  {"running", in_state(JobState::running)},
                                  {"counted", images.counted},
                                  {"done", in_state(JobState::done)},
                                  {"failed", in_state(JobState::failed)},
                                  {"bytes", images.bytes}}},
          {"webhook", webhook_json(record)},
          {"lut", record.lut ? json::value(lut_json(*record.lut, status.stale)) : json::value(nullptr)},
          {"part", json::object{{"lut_revision", record.lut ? record.lut->revision : 0},
                                {"applied_revision", record.applied_revision},
                                {"waiting", images.waiting},
                                {"waiting_bytes", images.waiting_bytes},
                                {"counted_bytes", images.counted_bytes},
                                {"made", images.made},
                                {"made_bytes", images.made_bytes}}}};
}

json::object dataset_json(const jobs::DatasetStatus& status, const std::string& node) {
  std::vector<NodePart> own;
  own.push_back({node, dataset_part(status)});
  return joined(std::move(own));
}

bool is_dataset_part(const json::object& part) {
  const json::value* id = member(part, "id");
  const json::value* lut = member(part, "lut");
  return id != nullptr && id->is_string() && inner(part, "images") != nullptr && inner(part, "part") != nullptr &&
         lut != nullptr && (lut->is_null() || lut->is_object());
}

json::object joined(std::vector<NodePart> parts) {
  assert(!parts.empty() && !parts.front().part.empty());
  json::object out = parts.front().part;
  const json::object first = out.at("part").as_object();
  // A node that has not heard of the last tables, or that they are applied, has more to do than it says.
  const json::object last = last_revisions(parts);
  json::object images, sums;
  json::array nodes;
  bool stale = false;
  for (NodePart& one : parts) {
    json::object shown;
    if (!one.part.empty()) {
      const json::object& theirs = one.part.at("part").as_object();
      const bool same = same_tables(last, theirs);
      for (const std::string_view name : k_shown) add(shown, one.part.at("images").as_object(), name);
      for (const std::string_view name : k_shown) add(images, shown, name);
      for (const std::string_view name : k_sums)
        if (same || !name.starts_with("made")) add(sums, theirs, name);
      stale = stale || (same_tables(first, theirs) && is_stale(one.part));
    }
    nodes.push_back(json::object{{"name", one.node}, {"reachable", !one.part.empty()}, {"images", std::move(shown)}});
  }
  const bool applies =
      number(last, "lut_revision") > 0 && number(last, "lut_revision") == number(last, "applied_revision");
  if (auto* lut = out.at("lut").if_object()) (*lut)["stale"] = stale;
  out["progress"] = progress_json(images, sums, applies);
  out["images"] = std::move(images);
  out["nodes"] = std::move(nodes);
  out.erase("part");
  return out;
}

}  // namespace histod::daemon::api
