// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "control/election.hpp"
#include "daemon/coordinator.hpp"

namespace histod::daemon {

/// Calls those who are to be told something. All calls and replies are on the fleet's thread; a reply comes once, never
/// from within the call.
class WebhookCaller {
 public:
  virtual ~WebhookCaller() = default;
  /// POSTs JSON, in the trace that a traceparent says, or in none. 502 webhook-failed: he has not taken it, and why.
  virtual void call(std::string url, std::string body, std::string traceparent, jobs::Reply<void> reply) = 0;
};

std::string announcement(const Completion& completion);

/// Tells who asked for it that a dataset is done: once for each revision of its tables that is applied. The leader
/// does, so that one node does; one that dies between the call and its note of it may leave the call to be repeated.
class Announcer {
 public:
  static constexpr std::size_t k_calls_max = 4;                      ///< at one time
  static constexpr std::chrono::milliseconds k_patience{3'600'000};  ///< with a receiver, from the first call on

  /// `caller`: null: this node calls nobody.
  Announcer(control::Executor& executor, const control::Election& election, Coordinator& coordinator,
            WebhookCaller* caller, Log& log)
      : executor_(executor), election_(election), coordinator_(coordinator), caller_(caller), log_(log) {}
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  /// Each second.
  void tick();

 private:
  using Time = control::Executor::Clock::time_point;
  struct Due {
    bool busy = false;
    Time next{};
    std::chrono::milliseconds pause{0};
    bool called = false;
    bool told = false;  ///< or given up; it is to be noted
    Time called_first{};
  };
  using Key = std::pair<std::string, std::uint64_t>;  ///< a dataset and a revision

  void look(const Key& key);
  void call(const Key& key, const Completion& completion);
  void note(const Key& key);
  void later(const Key& key, std::chrono::milliseconds pause_max);

  control::Executor& executor_;
  const control::Election& election_;
  Coordinator& coordinator_;
  WebhookCaller* const caller_;
  Log& log_;
  std::map<Key, Due> due_;
  control::Lifetime lifetime_;
};

}  // namespace histod::daemon
