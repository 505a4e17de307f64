// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace histod::net::http {

/// Why a request is refused before a handler sees it. `value` and `limit` are 0 where they do not apply.
struct Refusal {
  unsigned status = 400;
  std::string_view code = "framing";
  std::string detail;
  std::uint64_t value = 0;
  std::uint64_t limit = 0;
};

}  // namespace histod::net::http
