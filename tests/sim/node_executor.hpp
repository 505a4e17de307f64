// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <utility>

#include "control/executor.hpp"
#include "tests/control/test_loop.hpp"

namespace histod::sim {

using control::tests::TestLoop;

/// The thread of one process, on everybody's clock. Stopped, it keeps what is to be done, as SIGSTOP does; dead, it
/// drops that. Outlives all tasks of the loop.
class NodeExecutor final : public control::Executor {
 public:
  /// `ran` is called after each task.
  NodeExecutor(TestLoop& loop, std::uint64_t seed, std::function<void()> ran)
      : loop_(loop), random_(seed), ran_(std::move(ran)) {}

  void post(Task task) override {
    if (state_ != State::dead) loop_.post([this, task = std::move(task)]() mutable { run(std::move(task)); });
  }
  void after(Clock::duration delay, Task task) override {
    if (state_ != State::dead) loop_.after(delay, [this, task = std::move(task)]() mutable { run(std::move(task)); });
  }
  Clock::time_point now() const override { return loop_.now(); }
  std::uint64_t random() override { return random_(); }

  void stop() {
    if (state_ == State::running) state_ = State::stopped;
  }
  void go_on() {
    if (state_ != State::stopped) return;
    state_ = State::running;
    for (Task& task : std::exchange(held_, {})) post(std::move(task));
  }
  void kill() {
    state_ = State::dead;
    const auto dropped = std::exchange(held_, {});
  }
  bool dead() const { return state_ == State::dead; }
  bool stopped() const { return state_ == State::stopped; }

 private:
  enum class State : std::uint8_t { running, stopped, dead };
  void run(Task task) {
    if (state_ == State::dead) return;
    if (state_ == State::stopped) return held_.push_back(std::move(task));
    task();
    if (state_ == State::running && ran_) ran_();
  }

  TestLoop& loop_;
  std::mt19937_64 random_;
  const std::function<void()> ran_;
  State state_ = State::running;
  std::deque<Task> held_;
};

}  // namespace histod::sim
