// SPDX-License-Identifier: Apache-2.0
#include "net/udp/ring.hpp"

#include <cassert>
#include <cerrno>

namespace histod::net::udp {

void Ring::Close::operator()(io_uring* ring) const {
  const std::unique_ptr<io_uring> owned(ring);
  io_uring_queue_exit(ring);
}

std::expected<Ring, std::error_code> Ring::open(unsigned depth, unsigned completions) {
  constexpr unsigned k_always = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  constexpr unsigned k_wanted[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
                                   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};
  int error = 0;
  for (const unsigned wanted : k_wanted) {
    auto ring = std::make_unique<io_uring>();
    io_uring_params params{};
    params.flags = k_always | wanted;
    params.cq_entries = completions;
    error = -io_uring_queue_init_params(depth, ring.get(), &params);
    if (error == 0) {
      Ring opened;
      opened.ring_.reset(ring.release());
      return opened;
    }
    if (error != EINVAL) break;
  }
  return std::unexpected(std::error_code(error, std::system_category()));
}

io_uring_sqe* Ring::next() {
  io_uring_sqe* const sqe = io_uring_get_sqe(ring_.get());
  if (sqe != nullptr) return sqe;
  submit();
  return io_uring_get_sqe(ring_.get());
}

void Ring::submit() {
  constexpr int k_tries = 16;
  for (int i = 0; i < k_tries && io_uring_sq_ready(ring_.get()) > 0; ++i) {
    const int done = io_uring_submit(ring_.get());
    assert(done != -EEXIST);  // the ring of another thread
    if (done < 0 && done != -EINTR && done != -EAGAIN) return;
  }
}

void Ring::run_deferred() {
  const unsigned flags = IO_URING_READ_ONCE(*ring_->sq.kflags);
  if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) io_uring_get_events(ring_.get());
}

}  // namespace histod::net::udp
