// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace histod::control {

/// The one thread on which all of control/ runs, with its clock and its randomness: daemon/ hands in a real one, a
/// simulator its own. Objects of control/ are made, called and destroyed on that thread, and call back on it.
class Executor {
 public:
  using Clock = std::chrono::steady_clock;
  using Task = std::move_only_function<void()>;

  virtual ~Executor() = default;
  /// Any thread. Tasks run in the order in which they were posted, never inside post().
  virtual void post(Task task) = 0;
  virtual void after(Clock::duration delay, Task task) = 0;
  virtual Clock::time_point now() const = 0;
  virtual std::uint64_t random() = 0;
};

/// The last member of what hands out callbacks: those that it has guarded do nothing once it is gone or renewed.
class Lifetime {
 public:
  template <class F>
  auto guard(F callback) const {
    return [alive = std::weak_ptr<char>(token_), callback = std::move(callback)](auto&&... arguments) mutable {
      if (!alive.expired()) callback(std::forward<decltype(arguments)>(arguments)...);
    };
  }
  /// Ends everything guarded so far.
  void renew() { token_ = std::make_shared<char>(); }

 private:
  std::shared_ptr<char> token_ = std::make_shared<char>();
};

}  // namespace histod::control
