// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace histod::ctl {

/// From now on SIGINT and SIGTERM only set a flag and make wake_fd() readable; blocking reads end with EINTR. SIGPIPE
/// is ignored.
void catch_interrupts();
bool interrupted();
/// Readable once a signal has come; to be polled, never read.
int wake_fd();

}  // namespace histod::ctl
