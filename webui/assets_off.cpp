// SPDX-License-Identifier: Apache-2.0
// Stands in for the generated table when the dashboard is not built.
#include <array>

#include "webui/assets.hpp"

namespace histod::webui {
namespace {

constexpr std::string_view k_page = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>histod</title>
</head>
<body>
<h1>histod is running</h1>
<p>The dashboard was not built into this program (it was configured with HISTOD_WEBUI=OFF).</p>
<p>The HTTP API works without it. Its description is at <a href="/openapi.yaml">/openapi.yaml</a>.</p>
</body>
</html>
)";

}  // namespace

std::span<const Asset> assets() {
  static const std::array<Asset, 1> k_assets{{{
      .path = "/",
      .media_type = "text/html; charset=utf-8",
      .etag = "\"dashboard-not-built-1\"",
      .gzip_etag = {},
      .bytes = std::as_bytes(std::span(k_page)),
      .gzip = {},
      .immutable = false,
  }}};
  return k_assets;
}

bool has_dashboard() { return false; }

}  // namespace histod::webui
