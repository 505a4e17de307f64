// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace histod::bench {

/// What keeps a measurement from being made or believed: one sentence without a full stop.
struct Failure : std::runtime_error {
  explicit Failure(const std::string& what) : std::runtime_error(what) {}
};

}  // namespace histod::bench
