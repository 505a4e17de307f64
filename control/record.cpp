// SPDX-License-Identifier: Apache-2.0
#include "control/record.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace histod::control {

namespace {

namespace json = boost::json;

constexpr std::size_t k_depth_max = 16;
#ifdef HISTOD_NEXT_RECORDS
/// In a program that writes as the release after this one may: tests run it beside this one.
constexpr int k_later = 1;
#else
constexpr int k_later = 0;
#endif

int version_of(const json::object& fields, std::string_view name) {
  const std::int64_t number = number_of(fields, name);
  return static_cast<int>(std::min<std::int64_t>(number, 1'000'000));
}

}  // namespace

Result<json::object> RecordFormat::read(std::string_view text) const {
  json::parse_options options;
  options.max_depth = k_depth_max;
  boost::system::error_code error;
  const json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return std::unexpected(Errc::bad_record);
  const json::object& fields = value.get_object();
  if (version_of(fields, "format") < 1 || version_of(fields, "since") < 1) return std::unexpected(Errc::bad_record);
  if (version_of(fields, "since") > format_ + k_later) return std::unexpected(Errc::newer_format);
  return fields;
}

std::string RecordFormat::write(json::object fields) const {
  fields["format"] = std::max(version_of(fields, "format"), format_ + k_later);
  if (k_later > 0) fields["later"] = k_later;
  fields["since"] = std::max(version_of(fields, "since"), since_);
  return json::serialize(fields);
}

std::string text_of(const json::object& fields, std::string_view name) {
  const json::value* value = fields.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t number_of(const json::object& fields, std::string_view name) {
  const json::value* value = fields.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error || number < 0 ? 0 : number;
}

}  // namespace histod::control
