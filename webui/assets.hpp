// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace histod::webui {

// One file of the dashboard, embedded in the binary. Everything here lives as long as the program.
struct Asset {
  std::string_view path;             // "/" or "/assets/<name>-<content hash>.<ext>"
  std::string_view media_type;       // value of Content-Type
  std::string_view etag;             // strong, quoted; of `bytes`
  std::string_view gzip_etag;        // strong, quoted; of `gzip`. Empty when `gzip` is
  std::span<const std::byte> bytes;  // never empty
  std::span<const std::byte> gzip;   // for Accept-Encoding: gzip (send Vary). Empty where it would save nothing
  bool immutable;                    // the name holds the content's hash: cache it for ever
};

// Headers that belong to the page. The page has no inline script or style.
inline constexpr std::string_view k_content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
inline constexpr std::string_view k_cache_immutable = "public, max-age=31536000, immutable";
inline constexpr std::string_view k_cache_revalidate = "no-cache";

// All of them, sorted by path; the first is "/".
std::span<const Asset> assets();

// By the exact path of the request (no query); null when there is none.
const Asset* find_asset(std::string_view path);

// False when built with HISTOD_WEBUI=OFF: "/" then says how to build the dashboard.
bool has_dashboard();

}  // namespace histod::webui
