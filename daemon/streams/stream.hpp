// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "compute/arena.hpp"
#include "daemon/streams/config.hpp"
#include "daemon/streams/loop.hpp"
#include "daemon/streams/notes.hpp"
#include "daemon/streams/port.hpp"
#include "daemon/streams/preview.hpp"
#include "daemon/streams/snapshot.hpp"

namespace histod::daemon::streams {

/// What is seen of a stream from outside, by any thread; readers may hold it longer than there is the stream.
class StreamRecord {
 public:
  struct Status {
    StreamConfig config;
    std::string local;          ///< what is listened on, its port included; empty: nothing
    int cpu = -1;               ///< that its thread is pinned to; -1: it shares those of others
    std::string error;          ///< why there is no port; empty: there is one
    std::int64_t since_ms = 0;  ///< when it was opened, or last failed to be
  };

  StreamRecord(const StreamConfig& config, std::uint64_t number) : epoch(number) { status_.config = config; }

  Status status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  void set_status(Status status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }

  const std::uint64_t epoch;  ///< no other stream of this name has it
  StreamBoard board;
  PreviewBoard previews;

 private:
  mutable std::mutex mutex_;
  Status status_;
};

/// A stream that runs: one thread of its own, and its port.
class Stream {
 public:
  /// Returns when its port is open. `cpu` -1: not pinned.
  static std::expected<std::unique_ptr<Stream>, net::udp::Failure> start(std::shared_ptr<StreamRecord> record, int cpu,
                                                                         compute::Arena& arena, DpdkHome& dpdk);
  ~Stream();  ///< stop()
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Returns when the port is closed and its thread is gone.
  void stop();
  /// What of `config` may change does so with the next frame; `done` is called then, on the stream's thread. False: too
  /// many changes wait.
  [[nodiscard]] bool change(const StreamConfig& config, std::move_only_function<void()> done);
  NoteRing& notes() { return notes_; }
  const std::vector<std::string>& absent() const { return absent_; }

 private:
  using Opened = std::expected<void, net::udp::Failure>;

  Stream(std::shared_ptr<StreamRecord> record, int cpu, compute::Arena& arena);
  void main(DpdkHome& dpdk, std::promise<Opened>& opened);
  std::optional<net::udp::Failure> pin() const;
  std::expected<Port, net::udp::Failure> open(DpdkHome& dpdk) const;

  const std::shared_ptr<StreamRecord> record_;
  const StreamConfig config_;
  const int cpu_;
  NoteRing notes_;
  Previewer previewer_;
  std::vector<std::string> absent_;
  std::unique_ptr<Loop> loop_;  ///< made and destroyed by the thread
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace histod::daemon::streams
