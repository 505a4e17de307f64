// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/jobs/record.hpp"

namespace histod::test {

/// Content that follows from the id alone, so that whoever knows the id can check it.
inline std::string content_of(std::string_view id, std::string_view what) {
  std::string out;
  std::size_t state = 1469598103934665603u;
  for (const char c : std::string(id) + std::string(what))
    state = (state ^ static_cast<unsigned char>(c)) * 1099511628211u;
  const std::size_t bytes = 100 + state % 5000;
  while (out.size() < bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out += static_cast<char>(state >> 56);
  }
  return out;
}

/// A queued job whose input is content_of(id, "input").
daemon::jobs::JobRecord sample_job(const std::string& id);
/// The same, done, with content_of(id, "result").
daemon::jobs::JobRecord finished_job(const std::string& id);

}  // namespace histod::test
