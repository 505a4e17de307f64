// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// The lines of a file, or of standard input as they come. For one thread.
class LineSource {
 public:
  enum class Got : std::uint8_t { line, idle, end };
  using Clock = std::chrono::steady_clock;

  /// Of a line that is longer than `line_bytes_max` that much and one byte more is kept, the rest is dropped.
  explicit LineSource(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}
  ~LineSource();
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;

  /// Empty: standard input. Exit::usage where it cannot be read.
  Result<void> open(const std::string& path);
  /// Waits for a whole line, or until `until` (none: as long as it takes): then it is idle. The last line needs no end.
  /// Exit::interrupted when a signal came first.
  Result<Got> next(std::string& line, std::optional<Clock::time_point> until);

 private:
  bool take_line(std::string& line);
  Result<void> wait_and_read(std::optional<Clock::time_point> until);

  const std::size_t line_bytes_max_;
  int fd_ = 0;
  bool ended_ = false;
  bool dropping_ = false;
  std::string buffer_;
  std::size_t begin_ = 0;     ///< of what is not given yet
  std::size_t searched_ = 0;  ///< up to here there is no newline
};

}  // namespace histod::ctl
