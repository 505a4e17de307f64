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

/// A reply that takes what the engine says back to the request's worker, and calls then(waiting, outcome) there; a
/// problem is answered.
template <class T, class Then>
jobs::Reply<T> at_home(WaitingPtr waiting, Then then) {
  return [waiting = std::move(waiting), then](jobs::Outcome<T> outcome) mutable {
    Mailbox& home = waiting->context.worker.mailbox();
    home.complete([waiting = std::move(waiting), then, outcome = std::move(outcome)]() mutable {
      if (!outcome) return waiting->context.fail(outcome.error());
      if constexpr (std::is_void_v<T>)
        then(std::move(waiting));
      else
        then(std::move(waiting), std::move(*outcome));
    });
  };
}

}  // namespace histod::daemon::api
