// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "daemon/api/api.hpp"

namespace histod::daemon::api {

/// A request with an Idempotency-Key that may have been sent to another node before. The node whose job it is answers
/// it; where nobody says that it has one, `here` is called. A node that is silent may have had one: then there are two
/// jobs with equal results. But 503 where a copy of such a job is known and not its owner: he will be back, or the job
/// is taken over.
void search_key(Context context, const std::string& key, std::move_only_function<void(Context)> here);

}  // namespace histod::daemon::api
