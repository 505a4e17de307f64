// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>

#include "daemon/streams/stream.hpp"

namespace histod::daemon::streams {

/// What GET /v1/streams/{name} says; `whole`: with histogram and table.
boost::json::object state_json(const StreamRecord& record, bool whole);

}  // namespace histod::daemon::streams
