// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/jobs/record_text.hpp"

namespace histod::daemon::jobs {

/// Where a dataset's tables come from.
enum class LutOrigin : std::uint8_t { counted, matched, uploaded };
std::string_view origin_name(LutOrigin origin);
std::optional<LutOrigin> origin_from_name(std::string_view name);

struct LutKind {
  std::string quantity;  ///< with what follows, a compute::TableKind
  std::uint32_t planes = 0, bins = 0, levels = 0;
  std::uint64_t images = 0, counted = 0, masked = 0;  ///< that the tables were made of; 0 when they were uploaded
  bool operator==(const LutKind&) const = default;
};

/// The tables that are in force. They themselves lie beside the record.
struct DatasetLut {
  std::uint64_t revision = 0;  ///< from 1 on; each change of the tables has one
  std::string digest;          ///< "sha-256=<hex>"
  LutOrigin origin = LutOrigin::counted;
  std::uint64_t images = 0;  ///< that were counted then
  std::string tally_sha256;  ///< of what they contributed; empty when the tables were uploaded
  std::int64_t made_ms = 0;
  std::vector<LutKind> kinds;
  bool operator==(const DatasetLut&) const = default;
};

/// Many images that get the same tables. Times are milliseconds since 1970.
struct DatasetRecord {
  std::string id;  ///< a ULID
  std::string name;
  std::int64_t created_ms = 0, changed_ms = 0;
  std::map<std::string, std::string> options;  ///< of each of its images
  std::string reference;                       ///< method=match: the dataset whose distribution it is given
  std::optional<DatasetLut> lut;
  std::uint64_t applied_revision = 0;   ///< images that have no result of it yet are to be made; 0: none
  bool removed = false;                 ///< its images are being removed, and then it is
  std::string webhook = {};             ///< who is told when all of it is made; empty: nobody
  std::uint64_t notified_revision = 0;  ///< the latest that he has been told of
  std::string traceparent = {};         ///< of the latest request that changed it and had one; empty: none had
  bool operator==(const DatasetRecord&) const = default;
};

/// As the fleet keeps it, too.
boost::json::object dataset_object(const DatasetRecord& record);
std::expected<DatasetRecord, RecordError> read_dataset(const boost::json::value& value);

inline constexpr unsigned k_dataset_version = 1;

/// Magic `histod-dataset`.
std::string encode_dataset(const DatasetRecord& record);
std::expected<DatasetRecord, RecordError> decode_dataset(std::string_view bytes);

}  // namespace histod::daemon::jobs
