// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/metrics.hpp"

namespace histod::daemon {

/// What Prometheus' own libraries tell of a process, by the names that they use.
void declare_process_metrics(Metrics& metrics);

}  // namespace histod::daemon
