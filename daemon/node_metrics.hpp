// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/services.hpp"

namespace histod::daemon {

/// Declares every metric of the node. `services` outlives services.metrics' use.
void declare_event_metrics(Services& services);   ///< event_metrics.cpp; the next one calls it
void declare_stream_metrics(Services& services);  ///< stream_metrics.cpp; likewise
void declare_metrics(Services& services);

}  // namespace histod::daemon
