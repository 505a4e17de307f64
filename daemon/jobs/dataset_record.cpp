// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/dataset_record.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/serialize.hpp>

#include "daemon/jobs/ulid.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon::jobs {
namespace {

namespace json = boost::json;

/// The first line of a record has the oldest version that understands it, its member `format` the version it was
/// written for.
constexpr std::string_view k_magic = "histod-dataset ";
#ifdef HISTOD_NEXT_RECORDS
/// In a program that writes as the release after this one may: tests run it beside this one.
constexpr unsigned k_later = 1;
#else
constexpr unsigned k_later = 0;
#endif
constexpr std::array<std::string_view, 3> k_origins{"counted", "matched", "uploaded"};

json::object lut_object(const DatasetLut& lut) {
  json::array kinds;
  for (const LutKind& kind : lut.kinds)
    kinds.push_back(json::object{{"quantity", text(kind.quantity)},
                                 {"planes", kind.planes},
                                 {"bins", kind.bins},
                                 {"levels", kind.levels},
                                 {"images", kind.images},
                                 {"counted", kind.counted},
                                 {"masked", kind.masked}});
  return {{"revision", lut.revision}, {"digest", text(lut.digest)}, {"origin", origin_name(lut.origin)},
          {"images", lut.images},     {"made_ms", lut.made_ms},     {"tally_sha256", text(lut.tally_sha256)},
          {"kinds", std::move(kinds)}};
}

void read_lut(const json::value& value, DatasetLut& lut, std::string& error) {
  RecordReader from(value, "lut.", error);
  from.take("revision", lut.revision);
  if (lut.revision == 0) from.fail("revision", "must not be 0");
  from.take("digest", lut.digest);
  std::string origin;
  from.take("origin", origin);
  const auto known = origin_from_name(origin);
  if (!known) from.fail("origin", "is none that this release knows");
  lut.origin = known.value_or(LutOrigin::counted);
  from.take("images", lut.images);
  from.take("made_ms", lut.made_ms);
  from.take_digest("tally_sha256", lut.tally_sha256, true);
  const auto* kinds = from.member("kinds");
  const json::array* list = kinds == nullptr ? nullptr : kinds->if_array();
  if (list == nullptr) return from.fail("kinds", "must be a list");
  for (const json::value& item : *list) {
    RecordReader one(item, "lut.kinds.", error);
    LutKind& kind = lut.kinds.emplace_back();
    one.take("quantity", kind.quantity);
    one.take("planes", kind.planes);
    one.take("bins", kind.bins);
    one.take("levels", kind.levels);
    one.take("images", kind.images);
    one.take("counted", kind.counted);
    one.take("masked", kind.masked);
  }
}

}  // namespace

std::string_view origin_name(LutOrigin origin) { return k_origins[static_cast<std::size_t>(origin)]; }

std::optional<LutOrigin> origin_from_name(std::string_view name) {
  const auto found = std::ranges::find(k_origins, name);
  if (found == k_origins.end()) return {};
  return static_cast<LutOrigin>(found - k_origins.begin());
}

json::object dataset_object(const DatasetRecord& record) {
  json::object options;
  for (const auto& [name, value] : record.options) options[text(name)] = text(value);
  json::object out{{"id", text(record.id)},
                   {"name", text(record.name)},
                   {"created_ms", record.created_ms},
                   {"changed_ms", record.changed_ms},
                   {"options", std::move(options)},
                   {"reference", text(record.reference)},
                   {"applied_revision", record.applied_revision},
                   {"removed", record.removed}};
  if (record.lut) out["lut"] = lut_object(*record.lut);
  if (!record.webhook.empty()) {
    out["webhook"] = text(record.webhook);
    out["notified_revision"] = record.notified_revision;
  }
  if (!record.traceparent.empty()) out["traceparent"] = text(record.traceparent);
  return out;
}

std::expected<DatasetRecord, RecordError> read_dataset(const json::value& value) {
  DatasetRecord record;
  std::string error;
  RecordReader from(value, "", error);
  from.take("id", record.id);
  if (!is_ulid(record.id)) from.fail("id", "is no ULID");
  from.take("name", record.name);
  from.take("created_ms", record.created_ms);
  from.take("changed_ms", record.changed_ms);
  from.take_map("options", record.options);
  from.take("reference", record.reference);
  if (!record.reference.empty() && !is_ulid(record.reference)) from.fail("reference", "is no ULID");
  from.take("applied_revision", record.applied_revision);
  from.take("removed", record.removed);
  if (from.optional("webhook") != nullptr) {
    from.take("webhook", record.webhook);
    from.take("notified_revision", record.notified_revision);
  }
  if (from.optional("traceparent")) from.take("traceparent", record.traceparent);
  record.traceparent = parse_traceparent(record.traceparent);  // of a form to come: none
  if (const auto* lut = from.optional("lut")) read_lut(*lut, record.lut.emplace(), error);
  if (record.applied_revision > (record.lut ? record.lut->revision : 0))
    from.fail("applied_revision", "is later than its tables");
  if (!error.empty()) return broken("the record's " + error);
  return record;
}

std::string encode_dataset(const DatasetRecord& record) {
  json::object fields = dataset_object(record);
  fields["format"] = k_dataset_version + k_later;
  if (k_later > 0) fields["later"] = k_later;
  return encode_payload(k_magic, 1, json::serialize(fields));
}

std::expected<DatasetRecord, RecordError> decode_dataset(std::string_view bytes) {
  const auto value = decode_payload(k_magic, k_dataset_version, bytes);
  if (!value) return std::unexpected(value.error());
  return read_dataset(*value);
}

}  // namespace histod::daemon::jobs
