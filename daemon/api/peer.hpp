// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/api/api.hpp"

/// What all that nodes ask each other has in common.
namespace histod::daemon::api {

/// With the version in it.
void peer_answer(Context context, net::http::Response response);
void peer_refuse(Context context, const Problem& problem);
/// False, and answered, when the node is of a release that this one does not understand.
bool peer_understands(Context& context);

}  // namespace histod::daemon::api
