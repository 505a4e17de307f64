// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "control/executor.hpp"

namespace histod::daemon {

/// A thread that runs tasks in order and timers when they are due. Its queue has no bound, unlike a mailbox's: what
/// comes from other threads are ZooKeeper's answers, which are no more than were asked for, and none may get lost.
class ThreadExecutor final : public control::Executor {
 public:
  explicit ThreadExecutor(std::string name);
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void post(Task task) override;
  void after(Clock::duration delay, Task task) override;
  Clock::time_point now() const override { return Clock::now(); }
  std::uint64_t random() override { return random_(); }  ///< on this thread only

  /// Returns when all that was posted before has run; drops timers and whatever comes later. Not on this thread.
  void stop();
  /// The same, but false when a task takes longer than that: stop() can then be called again.
  [[nodiscard]] bool stop_within(Clock::duration at_most);

 private:
  void main(const std::string& name);
  Task next();
  void forget();

  std::mt19937_64 random_;
  std::mutex mutex_;
  std::condition_variable changed_, end_;
  std::deque<Task> tasks_;
  std::multimap<Clock::time_point, Task> timers_;
  bool stopping_ = false;  ///< on this thread only
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace histod::daemon
