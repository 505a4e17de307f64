// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "tools/histoctl/client.hpp"

namespace histod::ctl {

/// 128 random bits in hex: makes a repeated submission the same job.
std::string new_idempotency_key();

/// The id in a job's JSON.
Result<std::string> job_id_of(std::string_view body);

/// Polls the job until it is finished, then fetches its result into `sink_fd` (or the reply's body when it is -1).
void wait_for_job(Client& client, std::string id, int sink_fd, Client::Done done);

/// Polls the job until it is finished: the reply is its JSON. It is a failure, too, when its result could not be
/// written to the shared volume where it was to go.
void wait_until_written(Client& client, std::string id, Client::Done done);

}  // namespace histod::ctl
