// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "daemon/peer_link.hpp"
#include "tests/sim/node_executor.hpp"

namespace histod::sim {

using daemon::jobs::Outcome;
using daemon::jobs::Reply;
using std::chrono::milliseconds;

class Process;

/// Requests between processes, and from clients: late, lost, done twice, cut off; each has one answer.
class Network {
 public:
  static constexpr std::size_t k_client = 1'000'000;  ///< reaches everybody
  /// The process of a node; null: it is down.
  using Find = std::function<Process*(std::size_t node)>;
  template <class T>
  using Op = std::function<void(Process& target, Reply<T> reply)>;
  struct Trouble {
    unsigned lost_permille = 0, twice_permille = 0, slow_permille = 0;
  };

  Network(TestLoop& loop, std::mt19937_64& random, Find find) : loop_(loop), random_(random), find_(std::move(find)) {}

  Trouble trouble;
  std::uint64_t lost = 0, twice = 0, late = 0;  ///< requests or answers that were; answers after the deadline

  void cut(std::size_t a, std::size_t b) { cut_.insert(std::minmax(a, b)); }
  void heal() { cut_.clear(); }
  void heal(std::size_t a, std::size_t b) { cut_.erase(std::minmax(a, b)); }

  /// Carries `op` to the node `to`, and its answer back to the caller's thread: once, and 502 where there is none.
  template <class T>
  void ask(NodeExecutor& caller, std::size_t from, std::size_t to, Op<T> op, Reply<T> reply,
           std::chrono::seconds deadline = std::chrono::seconds(10));
  /// Of those that live, and were asked: how many have not answered yet.
  std::size_t unanswered() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(open_, [](const Asking* asking) { return !asking->target.dead(); }));
  }
  std::uint64_t answered_twice = 0, never_answered = 0;

 private:
  template <class T>
  struct Call {
    Network& network;
    Reply<T> reply;
    bool answered = false;

    void finish(Outcome<T> outcome) {
      if (std::exchange(answered, true))
        ++network.late;
      else
        reply(std::move(outcome));
    }
  };
  static constexpr std::chrono::seconds k_connect{2};

  /// A request that has reached its process, for as long as anybody could answer it.
  struct Asking {
    Asking(Network& network_, NodeExecutor& target_) : network(network_), target(target_) {
      network.open_.insert(this);
    }
    ~Asking() {
      if (network.open_.erase(this) > 0 && !target.dead()) ++network.never_answered;
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    void answered() {
      if (network.open_.erase(this) == 0) ++network.answered_twice;
    }
    Network& network;
    NodeExecutor& target;
  };

  bool happens(unsigned permille) { return random_() % 1'000 < permille; }
  milliseconds delay() { return milliseconds(1 + random_() % (happens(trouble.slow_permille) ? 4'000 : 15)); }
  bool reaches(std::size_t a, std::size_t b) const { return !cut_.contains(std::minmax(a, b)); }
  template <class T>
  void deliver(const std::shared_ptr<Call<T>>& call, NodeExecutor& caller, std::size_t from, std::size_t to, Op<T> op);
  static NodeExecutor& executor_of(Process& process);

  TestLoop& loop_;
  std::mt19937_64& random_;
  const Find find_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;
  std::set<const Asking*> open_;
};

inline std::unexpected<daemon::api::Problem> peer_failed(const char* why) {
  return std::unexpected(daemon::jobs::problem(502, "peer-failed", why));
}

template <class T>
void Network::ask(NodeExecutor& caller, std::size_t from, std::size_t to, Op<T> op, Reply<T> reply,
                  std::chrono::seconds deadline) {
  const auto call = std::make_shared<Call<T>>(*this, std::move(reply));
  const bool connects = reaches(from, to) && find_(to) != nullptr;
  caller.after(connects ? deadline : k_connect, [call] {
    if (!call->answered) call->finish(peer_failed("no answer"));
  });
  if (!connects) return;
  if (happens(trouble.lost_permille)) {
    ++lost;
    return;
  }
  const bool doubled = happens(trouble.twice_permille);
  if (doubled) ++twice;
  for (int i = 0; i < (doubled ? 2 : 1); ++i)
    loop_.after(delay(), [this, call, &caller, from, to, op] { deliver<T>(call, caller, from, to, op); });
}

template <class T>
void Network::deliver(const std::shared_ptr<Call<T>>& call, NodeExecutor& caller, std::size_t from, std::size_t to,
                      Op<T> op) {
  Process* const target = find_(to);
  if (target == nullptr || !reaches(from, to)) return;
  auto asking = std::make_shared<Asking>(*this, executor_of(*target));
  auto back = [this, call, &caller, from, to, asking = std::move(asking)](Outcome<T> outcome) {
    asking->answered();
    if (asking->target.dead() || !reaches(from, to)) return;
    if (happens(trouble.lost_permille)) {
      ++lost;
      return;
    }
    loop_.after(delay(), [call, &caller, outcome = std::move(outcome)]() mutable {
      caller.post([call, outcome = std::move(outcome)]() mutable { call->finish(std::move(outcome)); });
    });
  };
  executor_of(*target).post([target, op = std::move(op), back = std::move(back)]() mutable { op(*target, back); });
}

}  // namespace histod::sim
