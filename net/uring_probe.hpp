// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <system_error>

namespace histod::net {

/// Tries to set up a ring (Linux 5.1) and takes it down again. Zero, or why it cannot be had, as the kernel says it:
/// ENOSYS (kernel or seccomp), EPERM (seccomp or kernel.io_uring_disabled), EACCES (LSM), ENOMEM (memory lock limit).
std::error_code probe_io_uring();

}  // namespace histod::net
