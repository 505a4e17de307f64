// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "daemon/api/api.hpp"
#include "daemon/worker.hpp"

/// How a resource asks the job engine, which lives on another thread.
namespace histod::daemon::api {

/// A request that waits for the engine. Made, used and destroyed on the worker's thread; in between the engine holds
/// it.
struct Waiting {
  Context context;
  net::Lease result;
  jobs::JobRecord record;
};
using WaitingPtr = std::unique_ptr<Waiting>;

inline WaitingPtr wait_with(Context context) {
  return std::make_unique<Waiting>(std::move(context), net::Lease{}, jobs::JobRecord{});
}

/// A reply that takes what the engine says back to the request's worker, and calls then(waiting, outcome) there;
/// otherwise(waiting, problem) when it is a problem.
template <class T, class Then, class Otherwise>
jobs::Reply<T> at_home_or(WaitingPtr waiting, Then then, Otherwise otherwise) {
  return [waiting = std::move(waiting), then = std::move(then),
          otherwise = std::move(otherwise)](jobs::Outcome<T> outcome) mutable {
    Mailbox& home = waiting->context.worker.mailbox();
    home.complete([waiting = std::move(waiting), then, otherwise, outcome = std::move(outcome)]() mutable {
      if (!outcome) return otherwise(std::move(waiting), std::move(outcome.error()));
      if constexpr (std::is_void_v<T>)
        then(std::move(waiting));
      else
        then(std::move(waiting), std::move(*outcome));
    });
  };
}

/// The same; a problem is answered.
template <class T, class Then>
jobs::Reply<T> at_home(WaitingPtr waiting, Then then) {
  return at_home_or<T>(std::move(waiting), std::move(then),
                       [](WaitingPtr w, const Problem& problem) { w->context.fail(problem); });
}

}  // namespace histod::daemon::api
