// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/problem.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "daemon/jobs/outcome.hpp"
#include "daemon/utf8.hpp"

namespace histod::daemon::api {
namespace {

constexpr std::string_view k_type_prefix = "urn:histod:problem:";

constexpr auto k_titles = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"unauthorized", "A valid token is needed"},
    {"forbidden", "The token's role does not allow this"},
    {"rate-limited", "Too many failed attempts"},
    {"bad-request", "The request is malformed"},
    {"framing", "The request's framing is malformed"},
    {"bad-option", "An option is wrong"},
    {"length-required", "The length of the body is needed"},
    {"too-large", "The body is too large"},
    {"timeout", "The request came too slowly"},
    {"unknown-format", "The format of the image is unknown"},
    {"unsupported", "The image uses a feature that is not supported"},
    {"broken-image", "The image is broken"},
    {"limit-exceeded", "The image exceeds a limit"},
    {"overloaded", "No capacity right now"},
    {"not-found", "There is no such thing"},
    {"method-not-allowed", "The method does not fit the resource"},
    {"not-acceptable", "No acceptable format can be produced"},
    {"conflict", "The request contradicts an earlier one"},
    {"spool-full", "The spool is full"},
    {"no-file-root", "This node takes no files from there"},
    {"file-refused", "The file is not taken"},
    {"file-changed", "The file was changed while it was read"},
    {"file-exists", "Another file is there already"},
    {"file-failed", "A shared volume failed"},
    {"unsupported-media", "The media type is not taken here"},
    {"bad-event", "An event is not as CloudEvents has it"},
    {"too-many-events", "Too many events a second"},
    {"bad-stream", "A stream cannot be as it was asked for"},
    {"stream-unavailable", "The stream cannot be had here"},
    {"too-many-streams", "The node has as many streams as it may"},
    {"no-frame", "No frame is there to be shown"},
    {"no-target", "The stream is sent to nobody"},
});

void put(boost::json::object& object, std::string_view key, const Amount& amount) {
  if (const auto* number = std::get_if<std::uint64_t>(&amount)) object[key] = *number;
  if (const auto* text = std::get_if<std::string>(&amount)) object[key] = valid_utf8(*text);
}

bool take(const boost::json::object& object, std::string_view key, Amount& amount) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return true;
  if (const auto* text = value->if_string()) {
    amount = std::string(*text);
    return true;
  }
  boost::system::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  if (!error) amount = number;
  return !error;
}

bool take(const boost::json::object& object, std::string_view key, std::string& text) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return true;
  if (!value->is_string()) return false;
  text = std::string(value->get_string());
  return true;
}

}  // namespace

Amount amount(std::uint64_t n) {
  if (n == 0) return {};
  return n;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.bytes == 0) {
      out += '?';
    } else {
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(std::max<std::size_t>(point.bytes, 1));
  }
  return out;
}

std::string problem_title(std::string_view code) {
  const auto found = std::ranges::find(k_titles, code, &std::pair<std::string_view, std::string_view>::first);
  if (found != k_titles.end()) return std::string(found->second);
  std::string title(code);
  std::ranges::replace(title, '-', ' ');
  return title;
}

boost::json::object problem_object(const Problem& problem) {
  boost::json::object object;
  object["type"] = std::string(k_type_prefix) + problem.code;
  object["title"] = problem_title(problem.code);
  object["status"] = problem.status;
  object["detail"] = valid_utf8(problem.detail);
  put(object, "value", problem.value);
  put(object, "limit", problem.limit);
  if (!problem.instance.empty()) object["instance"] = valid_utf8(problem.instance);
  return object;
}

std::string problem_json(const Problem& problem) { return boost::json::serialize(problem_object(problem)); }

std::expected<Problem, std::string> parse_problem(const boost::json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return std::unexpected("a problem must be an object");
  Problem problem;
  std::string type;
  if (!take(*object, "type", type) || !type.starts_with(k_type_prefix)) {
    return std::unexpected("a problem's type must start with urn:histod:problem:");
  }
  problem.code = type.substr(k_type_prefix.size());
  const auto* status = object->if_contains("status");
  boost::system::error_code error;
  if (status != nullptr) problem.status = status->to_number<unsigned>(error);
  if (status == nullptr || error || problem.status < 400 || problem.status > 599) {
    return std::unexpected("a problem's status must be 400 to 599");
  }
  if (!take(*object, "detail", problem.detail) || !take(*object, "instance", problem.instance) ||
      !take(*object, "value", problem.value) || !take(*object, "limit", problem.limit)) {
    return std::unexpected("a member of the problem has the wrong type");
  }
  return problem;
}

}  // namespace histod::daemon::api

namespace histod::daemon::jobs {

api::Problem problem(unsigned status, std::string code, std::string detail, std::uint64_t value, std::uint64_t limit) {
  api::Problem out;
  out.status = status;
  out.code = std::move(code);
  out.detail = std::move(detail);
  out.value = api::amount(value);
  out.limit = api::amount(limit);
  return out;
}

}  // namespace histod::daemon::jobs
