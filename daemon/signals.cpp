// SPDX-License-Identifier: Apache-2.0
#include "daemon/signals.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include <sys/signalfd.h>
#include <unistd.h>

namespace histod::daemon {

std::expected<Signals, std::error_code> Signals::open(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) {
    if (::sigaddset(&set, signal) != 0) return std::unexpected(std::error_code(errno, std::system_category()));
  }
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return std::unexpected(std::error_code(error, std::system_category()));
  }
  std::signal(SIGPIPE, SIG_IGN);
  const int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return std::unexpected(std::error_code(errno, std::system_category()));
  return Signals(fd);
}

Signals::Signals(Signals&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Signals& Signals::operator=(Signals&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Signals::~Signals() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  const ssize_t n = ::read(fd_, &info, sizeof info);
  if (n != sizeof info) return {};
  return static_cast<int>(info.ssi_signo);
}

}  // namespace histod::daemon
