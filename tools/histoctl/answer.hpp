// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/failure.hpp"

/// The server's JSON, of which a client can rely on nothing: what is missing or of another kind is "-", false, 0 or
/// nothing.
namespace histod::ctl {

/// The request's answer as JSON.
Result<boost::json::value> fetch_json(Client& client, Request request);
Result<boost::json::value> fetch_json(Client& client, std::string target);

/// The request's answer in the file of --output, where it appears when it is whole; or, without a name or as "-", on
/// standard output. A file that exists is replaced with --overwrite only.
Result<Reply> fetch_output(const Arguments& arguments, Client& client, Request request);

/// A failure when a list is not whole, because nodes of the fleet do not answer.
Result<void> check_whole(const boost::json::value& list);

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

/// A member as one line of text, `inner` being a member of it; "-" where it is missing or null.
std::string field(const boost::json::value& object, std::string_view key, std::string_view inner = {});
/// A member that is a text, as it is; empty where it is none.
std::string text_field(const boost::json::value& object, std::string_view key, std::string_view inner = {});
/// A member that is a number and not negative; 0 where it is none.
std::uint64_t number_field(const boost::json::value& object, std::string_view key, std::string_view inner = {});

/// A line for each member that is not null.
void print_members(const boost::json::object& object, int indent = 0);
/// The whole with --json, else its members.
void print_answer(const Arguments& arguments, const boost::json::value& answer);

/// DELETE of `folder` + id for each; with --json a line for each, which has the id as `key`.
Exit remove_each(const Arguments& arguments, Client& client, std::string_view folder, std::string_view key,
                 std::span<const std::string> ids);

}  // namespace histod::ctl
