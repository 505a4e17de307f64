// SPDX-License-Identifier: Apache-2.0
#include "net/registered.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/buffer_registration.hpp>
#include <boost/system/system_error.hpp>

#include "net/error.hpp"

namespace histod::net {

#if defined(BOOST_ASIO_HAS_IO_URING)

namespace {

namespace asio = boost::asio;

class RingRegistration final : public Registration {
 public:
  RingRegistration(asio::io_context& io, std::span<std::byte> resident)
      : registration_(io, asio::mutable_buffer(resident.data(), resident.size())), resident_(resident) {}

  std::size_t bytes() const override { return resident_.size(); }

  asio::mutable_registered_buffer front(std::span<std::byte> range) const override {
    if (range.data() < resident_.data() || range.data() >= resident_.data() + resident_.size()) return {};
    const auto offset = static_cast<std::size_t>(range.data() - resident_.data());
    return asio::buffer(*registration_.begin() + offset, range.size());
  }

 private:
  asio::buffer_registration<asio::mutable_buffer> registration_;
  std::span<std::byte> resident_;
};

}  // namespace

std::expected<std::unique_ptr<Registration>, std::error_code> register_pool(asio::io_context& io, BufferPool& pool) {
  if (pool.resident().empty()) return std::unexpected(make_error_code(std::errc::invalid_argument));
  try {
    return std::make_unique<RingRegistration>(io, pool.resident());
  } catch (const boost::system::system_error& error) {
    return std::unexpected(std::error_code(error.code()));
  }
}

#else

std::expected<std::unique_ptr<Registration>, std::error_code> register_pool(boost::asio::io_context&, BufferPool&) {
  return std::unexpected(make_error_code(Errc::no_registered_buffers));
}

#endif

}  // namespace histod::net
