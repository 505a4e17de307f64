// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "daemon/api/problem.hpp"
#include "net/http/message.hpp"

namespace histod::daemon::api {

/// The image that a request carries, and a mask if there is one: views of its body.
struct ImageInput {
  std::span<std::byte> image;
  std::span<std::byte> mask;
  std::string filename;  ///< as the client sent it; for display only
  bool multipart = false;
};

bool is_multipart(std::string_view content_type);

/// The raw body, or the parts `image` and `mask` of multipart/form-data.
std::expected<ImageInput, Problem> image_input(const net::http::Request& request);

}  // namespace histod::daemon::api
