// SPDX-License-Identifier: Apache-2.0
#include "daemon/systemd.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include <fmt/core.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

namespace histod::daemon::systemd {
namespace {

/// A line feed would start another assignment.
std::string one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, '\n', ' ');
  return out;
}

void notify(const std::string& state) { ::sd_notify(0, state.c_str()); }

}  // namespace

void ready(std::string_view status) { notify(fmt::format("READY=1\nSTATUS={}", one_line(status))); }

void status(std::string_view text) { notify(fmt::format("STATUS={}", one_line(text))); }

void reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  // Type=notify-reload insists on the time.
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000LL + now.tv_nsec / 1'000));
}

void stopping(std::string_view text) { notify(fmt::format("STOPPING=1\nSTATUS={}", one_line(text))); }

void watchdog() { notify("WATCHDOG=1"); }

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t usec = 0;
  if (::sd_watchdog_enabled(0, &usec) <= 0 || usec < 2) return {};
  return std::chrono::microseconds(usec / 2);
}

std::expected<std::vector<int>, std::string> listen_fds() {
  const int count = ::sd_listen_fds(1);
  if (count < 0) return std::unexpected("LISTEN_FDS cannot be read");
  std::vector<int> fds;
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    if (::sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
        (::sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) <= 0 && ::sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) <= 0)) {
      return std::unexpected(fmt::format("descriptor {} from systemd is no listening TCP socket", fd));
    }
    fds.push_back(fd);
  }
  return fds;
}

}  // namespace histod::daemon::systemd
