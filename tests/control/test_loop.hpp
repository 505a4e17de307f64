// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <random>

#include "control/executor.hpp"

namespace histod::control::tests {

/// The executor of tests. With virtual time the clock moves only when nothing is left to do, straight to the next
/// timer, so that a run is a function of its seed; with real time other threads (the ZooKeeper client's) may post.
class TestLoop final : public Executor {
 public:
  enum class Time { simulated, real };
  explicit TestLoop(Time time = Time::simulated, std::uint64_t seed = 1);

  void post(Task task) override;
  void after(Clock::duration delay, Task task) override;
  Clock::time_point now() const override;
  std::uint64_t random() override { return random_(); }

  /// Runs tasks until `done()`; false when that takes longer than `at_most` on the loop's clock, or nothing is left to
  /// do.
  bool drive(const std::function<bool()>& done, Clock::duration at_most = std::chrono::seconds(30));
  /// Runs all that is due in this time.
  void pass(Clock::duration time);
  /// Simulated time goes on and nothing runs: what SIGSTOP does to a process.
  void freeze(Clock::duration time) { simulated_now_ += time; }
  /// Drops whatever is left to do, and what that owns, which may post more.
  void forget();

 private:
  bool step(Clock::time_point deadline);

  const Time time_;
  std::mt19937_64 random_;
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Task> tasks_;
  std::multimap<Clock::time_point, Task> timers_;
  Clock::time_point simulated_now_{std::chrono::hours(1)};
};

}  // namespace histod::control::tests
