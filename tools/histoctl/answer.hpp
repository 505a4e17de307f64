// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "tools/histoctl/failure.hpp"

/// Reads the daemon's JSON answers leniently: what is missing or of another kind is "-", false, 0 or nothing.
namespace histod::ctl {

Result<boost::json::object> parse_object(const std::string& body);
/// One line that cannot drive a terminal.
std::string scalar(const boost::json::value& value);
std::string field(const boost::json::object& object, std::string_view key);
bool flag(const boost::json::object& object, std::string_view key);
double number(const boost::json::object& object, std::string_view key);
/// The object under the key; an empty one where there is none.
const boost::json::object& part(const boost::json::object& object, std::string_view key);

/// Calls `show` with each object of the array `key`.
template <class Show>
void for_each_object(const boost::json::object& object, std::string_view key, Show show) {
  const boost::json::value* found = object.if_contains(key);
  if (!found || !found->is_array()) return;
  for (const boost::json::value& each : found->get_array()) {
    if (each.is_object()) show(each.get_object());
  }
}

}  // namespace histod::ctl
