// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/jobs/record.hpp"

namespace histod::daemon::jobs {

/// The job as it was submitted, and whose it is: all that a copy of it says, and where whoever takes it over begins.
JobRecord as_submitted(const JobRecord& record);

}  // namespace histod::daemon::jobs
