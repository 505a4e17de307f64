// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/answer.hpp"

#include <utility>

#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;

Result<json::object> parse_object(const std::string& body) {
  boost::system::error_code error;
  json::value parsed = json::parse(body, error);
  if (error || !parsed.is_object()) return fail(Exit::some_failed, "the server's answer is not a JSON object");
  return std::move(parsed.get_object());
}

std::string scalar(const json::value& value) {
  if (value.is_null()) return "-";
  return one_line(value.is_string() ? std::string(value.get_string()) : to_text(value));
}

std::string field(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found ? scalar(*found) : "-";
}

bool flag(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found && found->is_bool() && found->get_bool();
}

double number(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  boost::system::error_code error;
  const double value = found ? found->to_number<double>(error) : 0;
  return error ? 0 : value;
}

const json::object& part(const json::object& object, std::string_view key) {
  static const json::object k_none;
  const json::value* found = object.if_contains(key);
  return found && found->is_object() ? found->get_object() : k_none;
}

}  // namespace histod::ctl
