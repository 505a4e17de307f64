// SPDX-License-Identifier: Apache-2.0
#include "net/uring_probe.hpp"

#include <cerrno>

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace histod::net {

std::error_code probe_io_uring() {
  io_uring_params params{};
  constexpr unsigned k_entries = 8;
  const long fd = ::syscall(SYS_io_uring_setup, k_entries, &params);
  if (fd < 0) return {errno, std::system_category()};
  ::close(static_cast<int>(fd));
  return {};
}

}  // namespace histod::net
