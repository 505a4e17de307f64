// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/input.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "daemon/api/api.hpp"
#include "net/http/multipart.hpp"

namespace histod::daemon::api {

namespace http = net::http;

namespace {

constexpr std::string_view k_multipart = "multipart/";

Problem problem_of(const http::Refusal& refusal) {
  return make_problem(refusal.status, refusal.code, refusal.detail, refusal.value, refusal.limit);
}

std::expected<ImageInput, Problem> from_parts(const std::vector<http::Part>& parts) {
  ImageInput input;
  input.multipart = true;
  for (const http::Part& part : parts) {
    const bool is_image = part.name == "image";
    if (!is_image && part.name != "mask")
      return std::unexpected(make_problem(400, "bad-request", "the form has a part that is neither image nor mask"));
    std::span<std::byte>& slot = is_image ? input.image : input.mask;
    if (!slot.empty()) return std::unexpected(make_problem(400, "bad-request", "the form has " + part.name + " twice"));
    if (part.body.empty())
      return std::unexpected(make_problem(400, "bad-request", "the part " + part.name + " is empty"));
    slot = part.body;
    if (is_image) input.filename = part.filename.value_or("");
  }
  if (input.image.empty()) return std::unexpected(make_problem(400, "bad-request", "the form has no part named image"));
  return input;
}

}  // namespace

bool is_multipart(std::string_view content_type) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return content_type.size() >= k_multipart.size() &&
         std::ranges::equal(content_type.substr(0, k_multipart.size()), k_multipart, same);
}

std::expected<ImageInput, Problem> image_input(const http::Request& request) {
  if (request.body.empty())
    return std::unexpected(make_problem(400, "bad-request", "the body is empty; send an image"));
  const std::string_view content_type = request.head.field("Content-Type");
  if (!is_multipart(content_type)) {
    ImageInput input;
    input.image = request.body;
    return input;
  }
  const auto boundary = http::multipart_boundary(content_type);
  if (!boundary) return std::unexpected(problem_of(boundary.error()));
  auto parts = http::parse_multipart(request.body, *boundary);
  if (!parts) return std::unexpected(problem_of(parts.error()));
  return from_parts(*parts);
}

}  // namespace histod::daemon::api
