// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/failure.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace histod::ctl {
namespace json = boost::json;
namespace {

Exit exit_of_status(unsigned status) {
  if (status == 401 || status == 403) return Exit::refused;
  if (status == 429 || status == 503) return Exit::busy;
  return Exit::some_failed;
}

std::string_view meaning_of(unsigned status) {
  switch (status) {
    case 401:
      return "the server wants a token (--token-file, HISTOCTL_TOKEN_FILE)";
    case 403:
      return "the token's role does not allow this";
    case 404:
      return "the server does not know this";
    case 413:
      return "too large for the server";
    case 429:
      return "the server limits the rate of requests";
    case 503:
      return "the server is busy";
    default:
      return "the server refused the request";
  }
}

std::string text_of(const json::object& problem, std::string_view key) {
  const json::value* found = problem.if_contains(key);
  return found && found->is_string() ? one_line(found->as_string()) : std::string();
}

std::optional<std::string> scalar_of(const json::object& problem, std::string_view key) {
  const json::value* found = problem.if_contains(key);
  if (!found || found->is_null() || found->is_structured()) return std::nullopt;
  return one_line(found->is_string() ? std::string(found->as_string()) : json::serialize(*found));
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, 500));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return line;
}

std::string render(const Failure& failure) {
  if (failure.value && failure.limit) {
    return fmt::format("{} (value {}, limit {})", failure.text, *failure.value, *failure.limit);
  }
  if (failure.value) return fmt::format("{} (value {})", failure.text, *failure.value);
  if (failure.limit) return fmt::format("{} (limit {})", failure.text, *failure.limit);
  return failure.text;
}

Failure failure_of_response(unsigned status, std::string_view body) {
  Failure failure;
  failure.exit = exit_of_status(status);
  failure.status = status;
  failure.text = fmt::format("{} (HTTP {})", meaning_of(status), status);
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !parsed.is_object()) return failure;
  const json::object& problem = parsed.as_object();
  const std::string type = text_of(problem, "type");
  failure.code = type.substr(type.rfind(':') + 1);
  const std::string detail = text_of(problem, "detail");
  const std::string title = text_of(problem, "title");
  if (!detail.empty()) {
    failure.text = detail;
  } else if (!title.empty()) {
    failure.text = title;
  }
  while (failure.text.ends_with('.')) failure.text.pop_back();
  failure.value = scalar_of(problem, "value");
  failure.limit = scalar_of(problem, "limit");
  return failure;
}

}  // namespace histod::ctl
