// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "control/session.hpp"

namespace histod::control::tests {

/// Writes down what a session tells its listeners.
struct SessionLog {
  SessionLog(Session& session, std::vector<std::string>& into) {
    session.listen([&into](SessionState state) { into.emplace_back(state_name(state)); });
  }
};

}  // namespace histod::control::tests
