// SPDX-License-Identifier: Apache-2.0
#include "daemon/process_metrics.hpp"

#include <ctime>
#include <fstream>
#include <functional>

#include <sys/resource.h>
#include <unistd.h>

#include "daemon/wall_clock.hpp"

namespace histod::daemon {

namespace {

double cpu_seconds() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0, resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double descriptors_max() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

void declare_process_metrics(Metrics& metrics) {
  using Value = std::function<double()>;
  metrics.counter("process_cpu_seconds_total", "CPU time of all threads.", Value(cpu_seconds));
  metrics.gauge("process_resident_memory_bytes", "Memory that is resident.", Value(resident_bytes));
  metrics.gauge("process_max_fds", "File descriptors that the process may have.", Value(descriptors_max));
  metrics.gauge("process_start_time_seconds", "When the process began, since 1970.",
                Value([began_s = static_cast<double>(wall_clock_ms()) / 1e3] { return began_s; }));
}

}  // namespace histod::daemon
