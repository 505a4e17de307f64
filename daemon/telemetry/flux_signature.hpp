// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace histod::daemon::telemetry {

/// Whether `header` ("sha256=" and 64 hexadecimal digits, the field X-Signature of Flux' generic-hmac provider) is the
/// HMAC-SHA256 of `body` under `key`. Takes as long for a wrong signature as for a right one. An empty key signs
/// nothing.
bool is_flux_signature(std::string_view header, std::string_view body, std::string_view key);

}  // namespace histod::daemon::telemetry
