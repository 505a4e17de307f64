// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/answer.hpp"

#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "tools/histoctl/console.hpp"
#include "tools/histoctl/output_file.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

/// Null: there is none.
const json::value* find(const json::value& object, std::string_view key, std::string_view inner) {
  const json::value* found = object.is_object() ? object.get_object().if_contains(key) : nullptr;
  if (!found || found->is_null()) return nullptr;
  return inner.empty() ? found : find(*found, inner, {});
}

}  // namespace

Result<Reply> fetch_output(const Arguments& arguments, Client& client, Request request) {
  const std::string path = arguments.get("output", "-");
  std::error_code error;
  if (path != "-" && !arguments.has("overwrite") && std::filesystem::exists(path, error)) {
    return fail(Exit::some_failed, fmt::format("{} exists already (--overwrite replaces it)", path));
  }
  std::optional<OutputFile> output;
  if (path != "-") {
    auto created = OutputFile::create(path);
    if (!created) return std::unexpected(std::move(created.error()));
    output.emplace(std::move(*created));
  }
  if (output) request.sink_fd = output->fd();
  auto reply = fetch(client, std::move(request));
  if (!reply) return reply;
  const auto stored = output ? output->commit(arguments.has("overwrite")) : write_standard_output(reply->body);
  if (!stored) return std::unexpected(stored.error());
  return reply;
}

Result<void> check_whole(const json::value& list) {
  const json::value* nodes = list.is_object() ? list.get_object().if_contains("unreachable") : nullptr;
  if (!nodes || !nodes->is_array() || nodes->get_array().empty()) return {};
  std::string names;
  for (const json::value& node : nodes->get_array()) names += (names.empty() ? "" : ", ") + scalar(node);
  return fail(Exit::some_failed, fmt::format("the list is not whole: no answer from {}", names));
}

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

Result<json::value> fetch_json(Client& client, Request request) {
  const auto reply = fetch(client, std::move(request));
  if (!reply) return std::unexpected(reply.error());
  boost::system::error_code error;
  json::value answer = json::parse(reply->body, error);
  if (error) return fail(Exit::some_failed, "the server's answer is not JSON");
  return answer;
}

Result<json::value> fetch_json(Client& client, std::string target) {
  return fetch_json(client, {.method = "GET", .target = std::move(target), .fields = {}, .upload = {}});
}

std::string field(const json::value& object, std::string_view key, std::string_view inner) {
  const json::value* found = find(object, key, inner);
  return found ? scalar(*found) : "-";
}

std::string text_field(const json::value& object, std::string_view key, std::string_view inner) {
  const json::value* found = find(object, key, inner);
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::uint64_t number_field(const json::value& object, std::string_view key, std::string_view inner) {
  const json::value* found = find(object, key, inner);
  boost::system::error_code error;
  const auto number = found ? found->to_number<std::uint64_t>(error) : 0;
  return error ? 0 : number;
}

void print_members(const json::object& object, int indent) {
  for (const auto& [key, value] : object) {
    if (value.is_object()) {
      print(fmt::format("{:{}}{}:\n", "", indent, one_line(key)));
      print_members(value.get_object(), indent + 2);
    } else if (!value.is_null()) {
      print(fmt::format("{:{}}{}: {}\n", "", indent, one_line(key), field(object, key)));
    }
  }
}

void print_answer(const Arguments& arguments, const json::value& answer) {
  if (arguments.has("json") || !answer.is_object()) {
    print(to_text(answer) + "\n");
  } else {
    print_members(answer.get_object());
  }
}

Exit remove_each(const Arguments& arguments, Client& client, std::string_view folder, std::string_view key,
                 std::span<const std::string> ids) {
  Console console({.json = true, .quiet = true}, 0);
  Verdict verdict;
  for (const std::string& id : ids) {
    if (verdict.hopeless()) break;
    const auto reply = fetch(
        client, {.method = "DELETE", .target = std::string(folder) + percent_encoded(id), .fields = {}, .upload = {}});
    if (!reply && reply.error().exit == Exit::interrupted) return Exit::interrupted;
    json::object record{{key, id}, {"ok", reply.has_value()}};
    if (!reply) {
      verdict.add(reply.error());
      console.report(id, reply.error());
      record["error"] = to_json(reply.error());
    } else {
      verdict.add_success();
    }
    if (arguments.has("json")) print(to_text(record) + "\n");
  }
  return verdict.exit();
}

}  // namespace histod::ctl
