// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "daemon/telemetry/event_log.hpp"

namespace histod::daemon::telemetry {

/// Writes entries to the log on a thread of its own, `histod-events`, in the order in which they were offered. Whoever
/// offers never waits for the disk: what finds no room is not written, and counted.
class EventWriter {
 public:
  struct Options {
    std::size_t waiting_max = 16'384;
    std::uint64_t waiting_bytes_max = 16u << 20;
    std::chrono::milliseconds pause{1'000};  ///< after a failure of the disk
  };
  struct Counts {
    std::uint64_t written = 0, failed = 0;  ///< entries
    std::uint64_t waiting = 0;
  };
  /// `failed`: told of each failure of the disk, on the thread. The log is recovered.
  EventWriter(EventLog log, const Options& options, std::function<void(std::error_code)> failed);
  ~EventWriter();  ///< stop()
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void offer(LogEntry entry);  ///< any thread
  /// Writes what waits, once, and joins the thread. Not from it.
  void stop();
  /// Returns when nothing waits: what was offered before is written, or has failed.
  void flush();
  Counts counts() const;

 private:
  void main();

  EventLog log_;
  const Options options_;
  const std::function<void(std::error_code)> failed_;
  mutable std::mutex mutex_;
  std::condition_variable offered_, idle_;
  std::vector<LogEntry> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  bool writing_ = false, stopping_ = false;
  Counts counts_;
  std::thread thread_;
};

}  // namespace histod::daemon::telemetry
