// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <system_error>

namespace histod::net {

/// Tries to set up so many rings (Linux 5.1), each as large as that of an event loop, and takes them down again. Zero,
/// or why they cannot be had, as the kernel says it: ENOSYS (kernel or seccomp), EPERM (seccomp or
/// kernel.io_uring_disabled), EACCES (LSM), ENOMEM (some kernels count the memory of rings as locked).
std::error_code probe_io_uring(std::size_t rings);

}  // namespace histod::net
