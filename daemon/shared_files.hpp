// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/file_root.hpp"

namespace histod::daemon {

/// The shared volumes of a node, and the thread that reads and writes there: a volume of a network may take its time,
/// or never answer, and neither event loops nor the spool's engine are to wait for it. One thing at a time, in order.
/// What waits is refused with 503 while the volume does not answer. Every member function may be called from any
/// thread and does not block; a reply comes exactly once, on the thread of SharedFiles, or at once on the caller's.
class SharedFiles {
 public:
  struct Options {
    /// After so long without a byte the volume counts as one that does not answer.
    std::chrono::steady_clock::duration patience = std::chrono::seconds(30);
    /// Told apart from other nodes', for the names of files that are not whole yet.
    std::string identity;
  };

  /// Starts the thread.
  SharedFiles(std::vector<FileRoot> roots, Options options);
  ~SharedFiles();  ///< stop(), if that was not done
  SharedFiles(const SharedFiles&) = delete;
  SharedFiles& operator=(const SharedFiles&) = delete;

  void open_source(FileName name, jobs::Reply<SourceFile> reply);
  /// `into` stays valid until the reply.
  void read(SourceFile source, std::span<std::byte> into, jobs::Reply<void> reply);
  void check_target(FileName name, jobs::Reply<FileName> reply);
  /// The temporary name is made here, of the job's id.
  void write(ResultFile result, const std::string& job, jobs::Reply<std::string> reply);

  /// Now and then: refuses what waits behind a volume that does not answer.
  void poll();
  bool stuck() const;
  /// Refuses what waits and whatever comes later, and returns when what is being done has ended.
  void stop();

 private:
  using Progress = FileRoot::Progress;
  /// Does it, or replies with the problem instead.
  using Task = std::move_only_function<void(const std::optional<api::Problem>& instead)>;

  template <class T, class Op>
  void call(const std::string& root, jobs::Reply<T> reply, Op op);
  void main();
  void note_progress() { progress_ns_ = now_ns(); }
  static std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  const std::vector<FileRoot> roots_;
  const Options options_;
  std::atomic<bool> busy_{false};
  std::atomic<std::int64_t> progress_ns_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace histod::daemon
