// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "daemon/jobs/spool.hpp"

namespace histod::daemon {

/// What tells this node from another one of its name: made once, a ULID, and kept beside the jobs of its spool. One
/// that is broken is made anew.
jobs::DiskResult<std::string> node_identity(jobs::Disk& disk, const std::function<std::string()>& make);

}  // namespace histod::daemon
