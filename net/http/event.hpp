// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>

#include <boost/asio/post.hpp>

#include "net/http/asio.hpp"

namespace histod::net::http {

/// Wakes one coroutine of the same thread. A notification that comes first is kept; several count as one.
class Event {
 public:
  explicit Event(asio::io_context& io) : io_(io) {}

  asio::awaitable<void> wait() {
    if (!std::exchange(signalled_, false)) {
      const auto park = [this](auto resume) { resume_ = std::move(resume); };
      auto parked = asio::async_initiate<const asio::use_awaitable_t<>, void()>(park, asio::use_awaitable);
      co_await std::move(parked);
    }
  }

  /// The coroutine goes on from the event loop, never inside this call.
  void notify() {
    if (!resume_) {
      signalled_ = true;
      return;
    }
    asio::post(io_, std::exchange(resume_, nullptr));
  }

 private:
  asio::io_context& io_;
  std::move_only_function<void()> resume_;
  bool signalled_ = false;
};

}  // namespace histod::net::http
