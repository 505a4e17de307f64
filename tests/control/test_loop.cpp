// SPDX-License-Identifier: Apache-2.0
#include "tests/control/test_loop.hpp"

#include <algorithm>
#include <utility>

namespace histod::control::tests {

TestLoop::TestLoop(Time time, std::uint64_t seed) : time_(time), random_(seed) {}

void TestLoop::post(Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  posted_.notify_one();
}

void TestLoop::after(Clock::duration delay, Task task) {
  const auto due = now() + delay;
  const std::lock_guard lock(mutex_);
  timers_.emplace(due, std::move(task));
}

TestLoop::Clock::time_point TestLoop::now() const { return time_ == Time::real ? Clock::now() : simulated_now_; }

/// Runs one task or timer, or waits for one; false when there is none up to the deadline.
bool TestLoop::step(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  while (tasks_.empty() && (timers_.empty() || timers_.begin()->first > now())) {
    const auto next = timers_.empty() ? deadline : std::min(deadline, timers_.begin()->first);
    if (time_ == Time::simulated) {
      simulated_now_ = std::max(simulated_now_, next);
    } else {
      posted_.wait_until(lock, next);
    }
    if (tasks_.empty() && now() >= deadline && (timers_.empty() || timers_.begin()->first > deadline)) return false;
  }
  Task task;
  if (!timers_.empty() && timers_.begin()->first <= now()) {
    task = std::move(timers_.extract(timers_.begin()).mapped());
  } else {
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  lock.unlock();
  task();
  return true;
}

bool TestLoop::drive(const std::function<bool()>& done, Clock::duration at_most) {
  const auto deadline = now() + at_most;
  while (!done()) {
    if (!step(deadline)) return done();
    if (now() > deadline) return done();
  }
  return true;
}

void TestLoop::forget() {
  while (!tasks_.empty() || !timers_.empty()) {
    const auto tasks = std::exchange(tasks_, {});
    const auto timers = std::exchange(timers_, {});
  }
}

void TestLoop::pass(Clock::duration time) {
  const auto deadline = now() + time;
  while (step(deadline) && now() <= deadline) {
  }
}

}  // namespace histod::control::tests
