// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/jobs/engine.hpp"

namespace histod::daemon::api {

/// What a job was made of: views of the request's body.
struct SentImage {
  std::span<std::byte> image, mask;
};

/// Answers who sent a job that is on this node's disk: once it is on as many others' as --replicas asks for. When it is
/// not, the job is removed again, and the answer is 503.
void accept_job(WaitingPtr waiting, jobs::Submitted submitted, SentImage sent, Accepted answer);

}  // namespace histod::daemon::api
