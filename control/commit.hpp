// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "control/session.hpp"
#include "control/store.hpp"

namespace histod::control {

/// A multi whose outcome will be known, though answers get lost. It is sent again until there is an answer; the
/// versions that it checks make sure that it has its effect once. When a repetition finds them changed, the witness
/// tells by whom.
struct Commit {
  std::vector<Op> ops;      ///< each Set with a version
  std::size_t witness = 0;  ///< a Create or Set among them, whose data nobody else would have written
  std::function<bool(const std::string& data)> ours;
};

/// The version of the witness.
using CommitReply = std::move_only_function<void(std::expected<std::int32_t, MultiError>)>;

/// Replies once, unless the session object goes before. session_lost: the session ended before the outcome was known;
/// it may have been done, or may be done yet while the servers still know that session.
void commit(Session& session, Commit what, CommitReply reply);

/// Names a write or a candidate: 32 hexadecimal digits.
std::string make_token(Executor& executor);

}  // namespace histod::control
