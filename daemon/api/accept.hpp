// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/jobs/engine.hpp"

namespace histod::daemon::api {

/// What a job was made of: views of the request's body.
struct SentImage {
  jobs::Bytes image, mask;
};

/// Answers who sent a job that is on this node's disk: once it is on as many others' as --replicas asks for. When it is
/// not, the job is removed again, and the answer is 503.
void accept_job(WaitingPtr waiting, jobs::Submitted submitted, SentImage sent, Accepted answer);

/// How long drop_copies() may take: a removal that another node asks for takes that much longer.
inline constexpr std::chrono::milliseconds k_drop_patience{2'000};

/// Why a job is here no more.
enum class Gone : std::uint8_t { withdrawn, removed };
/// Asks all members to drop their copies of it, and, if a client has removed it, to have no such job either, and calls
/// `then`, whatever they say: who does not hear it drops its copy when it next asks this node. Should this node be
/// given up before, the job is back.
void drop_copies(WaitingPtr waiting, const std::string& id, Gone why, std::move_only_function<void(WaitingPtr)> then);

}  // namespace histod::daemon::api
