// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <system_error>

#include <boost/asio/io_context.hpp>
#include <boost/asio/registered_buffer.hpp>

#include "net/buffer_pool.hpp"

namespace histod::net {

/// The resident part of a pool, known to the ring of an io_context: the kernel pins its pages once instead of with
/// every read. One per io_context; to be destroyed before both the pool and the io_context.
class Registration {
 public:
  virtual ~Registration() = default;
  virtual std::size_t bytes() const = 0;
  /// As much of the front of `range` as is registered; empty where its first byte is not.
  virtual boost::asio::mutable_registered_buffer front(std::span<std::byte> range) const = 0;
};

/// Fails with ENOMEM where RLIMIT_MEMLOCK is too low (the caller goes on without, and says so), and with
/// Errc::no_registered_buffers on the epoll back-end.
std::expected<std::unique_ptr<Registration>, std::error_code> register_pool(boost::asio::io_context& io,
                                                                            BufferPool& pool);

}  // namespace histod::net
