// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace histod::test {

/// One payload that two readers of HTTP might frame differently.
struct GuardCase {
  std::string name;
  std::string bytes;
  unsigned status = 400;  ///< the refusal that is due, or 0 for a request that is good
};

const std::vector<GuardCase>& guard_corpus();

/// Sent behind every payload on the same connection.
inline constexpr const char* k_innocent = "GET /innocent HTTP/1.1\r\nHost: test\r\n\r\n";

}  // namespace histod::test
