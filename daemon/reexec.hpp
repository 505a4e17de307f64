// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <system_error>

namespace histod::daemon {

/// Asio picks its back-end at compile time, so falling back to epoll means running the program's other build.

/// The variable that tells the second program why it runs.
inline constexpr const char* k_fallback_variable = "HISTOD_FALLBACK_REASON";

/// Why the first program gave way to this one, or nothing.
std::optional<std::string> fallback_reason();

/// The path of `histod-epoll` beside the running program.
std::string epoll_sibling_path();

/// Replaces this process by `path` with the same arguments and environment plus the reason. Returns only on failure:
/// errc::too_many_symbolic_link_levels when this process is itself a fallback (no exec loop). Call it before
/// systemd::listen_fds(), which takes the sockets out of the environment.
std::error_code exec_fallback(const std::string& path, char** argv, const std::string& reason);

}  // namespace histod::daemon
