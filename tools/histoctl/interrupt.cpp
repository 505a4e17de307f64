// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/interrupt.hpp"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace histod::ctl {
namespace {

std::atomic<bool> g_interrupted = false;
int g_pipe[2] = {-1, -1};
static_assert(std::atomic<bool>::is_always_lock_free, "the signal handler needs it");

void on_signal(int) {
  const int saved = errno;
  g_interrupted = true;
  [[maybe_unused]] const ssize_t written = ::write(g_pipe[1], "!", 1);
  errno = saved;
}

}  // namespace

void catch_interrupts() {
  const int made = ::pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK);
  assert(made == 0);
  static_cast<void>(made);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool interrupted() { return g_interrupted; }
int wake_fd() { return g_pipe[0]; }

}  // namespace histod::ctl
