// SPDX-License-Identifier: Apache-2.0
#include "daemon/executor.hpp"

#include <utility>

#include <pthread.h>

namespace histod::daemon {

ThreadExecutor::ThreadExecutor(std::string name) {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  random_.seed(seed);
  thread_ = std::thread([this, name = std::move(name)] { main(name); });
}

ThreadExecutor::~ThreadExecutor() { stop(); }

void ThreadExecutor::post(Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void ThreadExecutor::after(Clock::duration delay, Task task) {
  const std::lock_guard lock(mutex_);
  timers_.emplace(now() + delay, std::move(task));
  changed_.notify_one();
}

/// Waits for it. Timers that are due come first: tasks which always post another would hold them up.
ThreadExecutor::Task ThreadExecutor::next() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!timers_.empty() && timers_.begin()->first <= now())
      return std::move(timers_.extract(timers_.begin()).mapped());
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      return task;
    }
    if (timers_.empty())
      changed_.wait(lock);
    else
      changed_.wait_until(lock, timers_.begin()->first);
  }
}

void ThreadExecutor::main(const std::string& name) {
  ::pthread_setname_np(::pthread_self(), name.c_str());
  while (!stopping_) next()();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  end_.notify_all();
}

/// What is dropped may own what posts more when it goes.
void ThreadExecutor::forget() {
  while (true) {
    std::deque<Task> tasks;
    std::multimap<Clock::time_point, Task> timers;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
      timers.swap(timers_);
    }
    if (tasks.empty() && timers.empty()) return;
  }
}

bool ThreadExecutor::stop_within(Clock::duration at_most) {
  post([this] { stopping_ = true; });
  {
    std::unique_lock lock(mutex_);
    if (!end_.wait_for(lock, at_most, [this] { return ended_; })) return false;
  }
  stop();
  return true;
}

void ThreadExecutor::stop() {
  if (!thread_.joinable()) return;
  post([this] { stopping_ = true; });
  thread_.join();
  forget();
}

}  // namespace histod::daemon
