// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/jobs/engine.hpp"
#include "daemon/shared_files.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon {
struct Services;
}

namespace histod::daemon::jobs {

/// One attempt at a job, on `worker`'s thread: memory for the image, its bytes from the spool, the pipeline, and the
/// result back to the spool. Ends with engine.finished() or, when there is no memory now, engine.yielded(). An image of
/// a dataset is made by `tables`, or only counted when there are none. A result that goes to a shared volume is written
/// there first.
void run_attempt(Services& services, Worker& worker, const JobRecord& record, SharedTables tables);

}  // namespace histod::daemon::jobs
