// SPDX-License-Identifier: Apache-2.0
// Asio and Beast, compiled once per back-end.
#ifdef BOOST_ASIO_HAS_IO_URING
#include <liburing.h>

/// Asio 1.26 leaves a cancellation without user data, and liburing from 2.2 on does not clear what an entry of the ring
/// held before. Once the ring has gone round, the completion of a cancellation would be taken for that of whatever used
/// the entry then: an operation that is still under way ends for no reason, or never.
inline io_uring_sqe* histod_io_uring_get_clean_sqe(io_uring* ring) {
  io_uring_sqe* const entry = io_uring_get_sqe(ring);
  if (entry != nullptr) io_uring_sqe_set_data(entry, nullptr);
  return entry;
}
#define io_uring_get_sqe histod_io_uring_get_clean_sqe
#endif
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
