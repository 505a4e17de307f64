// SPDX-License-Identifier: Apache-2.0
#include "net/http/connection.hpp"

namespace histod::net::http {

// The timer is set again only when the deadline moves closer than what it waits for: in steady state deadlines move
// away with every byte, and the timer fires once per period, finds the deadline later, and sleeps on.

void Connection::arm(Clock::time_point deadline) {
  timed_out_ = false;
  deadline_ = deadline;
  if (!timer_armed_ || deadline < timer_->expiry()) schedule_timer();
}

void Connection::schedule_timer() {
  timer_armed_ = true;
  timer_->expires_at(deadline_);
  timer_->async_wait([self = shared_from_this(), generation = ++timer_generation_](const boost::system::error_code&) {
    if (generation == self->timer_generation_) self->on_timer();
  });
}

void Connection::on_timer() {
  timer_armed_ = false;
  if (!stream_ || deadline_ == Clock::time_point::max()) return;
  if (Clock::now() < deadline_) return schedule_timer();
  timed_out_ = true;
  disarm();
  interrupt();
}

/// Ends whatever the coroutine waits for; it looks at the flags next.
void Connection::interrupt() {
  if (websocket_) return websocket_->abort();
  if (stream_) stream_->cancel();
  event_.notify();
}

}  // namespace histod::net::http
