// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <system_error>

namespace histod::net {

/// What net/ refuses itself; what the kernel refuses keeps its errno.
enum class Errc {
  bad_address = 1,        ///< not a numeric IPv4 or IPv6 address
  not_listening,          ///< the descriptor that was handed over is no listening TCP socket
  no_registered_buffers,  ///< the back-end (epoll) knows no registered buffers
};

const std::error_category& error_category();
std::error_code make_error_code(Errc error);

}  // namespace histod::net

template <>
struct std::is_error_code_enum<histod::net::Errc> : std::true_type {};
