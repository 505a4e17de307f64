// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace histod::daemon {

/// Talks to systemd; every call does nothing when it did not start us.
namespace systemd {

void ready(std::string_view status);
void status(std::string_view status);
void reloading();  ///< follow it by ready()
void stopping(std::string_view status);
void watchdog();  ///< only from a loop that is known to be healthy
/// How often watchdog() is due: half of what systemd allows. Nothing: no watchdog is set.
std::optional<std::chrono::microseconds> watchdog_interval();
/// Listening TCP sockets that systemd opened for us, owned by the caller; empty without socket activation. Fails when
/// one of them is something else.
std::expected<std::vector<int>, std::string> listen_fds();

}  // namespace systemd
}  // namespace histod::daemon
