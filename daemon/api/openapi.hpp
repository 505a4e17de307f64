// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace histod::daemon::api {

/// The description of the HTTP interface (daemon/api/openapi.yaml), embedded.
std::span<const std::byte> openapi_yaml();

}  // namespace histod::daemon::api
