// SPDX-License-Identifier: Apache-2.0
#include "net/uring_probe.hpp"

#include <cerrno>
#include <vector>

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace histod::net {

std::error_code probe_io_uring(std::size_t rings) {
  constexpr unsigned k_entries = 16'384;  // what Asio's event loops ask for
  std::error_code error;
  std::vector<int> held;
  while (!error && held.size() < rings) {
    io_uring_params params{};
    const long fd = ::syscall(SYS_io_uring_setup, k_entries, &params);
    if (fd < 0)
      error = {errno, std::system_category()};
    else
      held.push_back(static_cast<int>(fd));
  }
  for (const int fd : held) ::close(fd);
  return error;
}

}  // namespace histod::net
