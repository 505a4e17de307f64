// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace histod::daemon {

/// The whole program: command line, start-up checks, the choice of I/O back-end, and the application. Returns the exit
/// code: 0 stopped as asked, 1 cannot run, 2 wrong usage.
int start(int argc, char** argv);

}  // namespace histod::daemon
