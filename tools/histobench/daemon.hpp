// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/histobench/process.hpp"

namespace histod::bench {

/// A histod of our own, with an empty spool and a token that nobody else knows, on a free port of 127.0.0.1.
class Daemon {
 public:
  /// `program`: its path. Waits until it is ready; throws Failure with the end of its log when it does not become so.
  explicit Daemon(const std::string& program, const std::vector<std::string>& flags = {});
  ~Daemon();  ///< stops it gracefully
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& authorization() const { return authorization_; }
  const std::string& backend() const { return backend_; }
  pid_t pid() const { return process_->pid(); }
  double start_ms() const { return start_ms_; }  ///< from fork to READY=1
  void stop();                                   ///< throws Failure unless it ends by itself, with 0

  /// What /proc says of its memory, in MiB.
  struct Memory {
    double resident = 0, resident_peak = 0;
    double pool = 0;  ///< of what is resident: mappings of 64 MiB and more without a file, which only the pool has
  };
  Memory memory() const;
  double cpu_seconds() const;    ///< of all its threads, since it began, in the kernel's ticks
  void reset_peak();             ///< the peak begins anew at what is resident now
  unsigned descriptors() const;  ///< open ones

 private:
  void wait_until_ready(int notify_fd);
  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
  std::string authorization_, backend_;
  std::uint16_t port_ = 0;
  double start_ms_ = 0;
};

/// histod, else histod-epoll, beside this program; empty when neither is there.
std::string daemon_beside_us();

}  // namespace histod::bench
