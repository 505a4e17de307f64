// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <system_error>

#include <liburing.h>

namespace histod::net::udp {

/// An io_uring of one thread. With Linux 6.1 the kernel does that thread's work only when it asks (DEFER_TASKRUN), with
/// 5.19 when it enters the kernel anyway (COOP_TASKRUN), before that by interrupting it.
class Ring {
 public:
  static std::expected<Ring, std::error_code> open(unsigned depth, unsigned completions);

  io_uring* get() const { return ring_.get(); }
  bool deferred() const { return (ring_->flags & IORING_SETUP_DEFER_TASKRUN) != 0; }
  /// A free submission; submits what is queued when there is none. Null when the kernel takes none now.
  io_uring_sqe* next();
  void submit();
  /// Has the kernel do what it deferred, if anything. Costs no system call when there is nothing to do.
  void run_deferred();

 private:
  struct Close {
    void operator()(io_uring* ring) const;
  };
  std::unique_ptr<io_uring, Close> ring_;
};

}  // namespace histod::net::udp
