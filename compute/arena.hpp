// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace histod::compute {

/// A oneTBB task arena whose threads run only on a given list of CPUs (one arena for each NUMA node).
/// Thread-safe. With HISTOD_SERIAL_ARENA (the tsan preset: Debian's TBB is not instrumented) it is one plain thread.
class Arena {
 public:
  /// A piece of work that outlives its run.
  class Job {
   public:
    virtual void run() = 0;  ///< must not throw

   protected:
    ~Job() = default;
  };

  struct Options {
    std::span<const int> cpus = {};  ///< CPUs to pin to; empty: do not pin
    unsigned threads = 0;            ///< 0: one for each CPU of the list, or the hardware's number when that is empty
    bool yields =
        false;  ///< its threads step back (nice 10) for others on the same CPUs; they cannot come forward again
  };

  explicit Arena(const Options& options);
  ~Arena();  ///< waits for what was enqueued
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Runs `task` in the arena, later, on one of its threads; returns at once. `task` must not throw.
  void enqueue(std::move_only_function<void()> task);
  /// The same without an allocation. `job` may be enqueued again, or be gone, as soon as its run has ended.
  void enqueue(Job& job);

  /// Calls body(begin, end) for disjoint ranges that cover [0, count), each of at least `grain` items but for the
  /// last, in any order and on any of the arena's threads; returns when all are done. May be called from inside
  /// the arena (a task) or from outside. `body` must not throw.
  void parallel_for(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t begin, std::size_t end)>& body);

  unsigned threads() const;
  /// CPUs that the arena's threads could not be pinned to, since start (0 on a healthy node).
  std::uint64_t pin_failures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace histod::compute
