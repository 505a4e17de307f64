// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <initializer_list>
#include <optional>
#include <system_error>

namespace histod::daemon {

/// Signals as a readable descriptor. Open it before any other thread starts: the signals are blocked in the calling
/// thread, and threads inherit that. SIGPIPE is ignored for the whole process.
class Signals {
 public:
  static std::expected<Signals, std::error_code> open(std::initializer_list<int> signals);
  Signals(Signals&& other) noexcept;
  Signals& operator=(Signals&& other) noexcept;
  ~Signals();  ///< closes; the signals stay blocked

  int fd() const { return fd_; }  ///< non-blocking, close-on-exec
  std::optional<int> next();      ///< a pending signal's number, or nothing

 private:
  explicit Signals(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace histod::daemon
