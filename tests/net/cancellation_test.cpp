// SPDX-License-Identifier: Apache-2.0
// What is cancelled must leave everything else alone, also when the ring has gone round.
#include <array>
#include <cstdint>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace histod::net {
namespace {

namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;

TEST(Cancellation, TouchesNothingElseHoweverOldTheRing) {
  constexpr int k_entries = 16'384, k_cancelled = 2'000;
  asio::io_context io{1};
  asio::posix::stream_descriptor event(io, ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Socket a(io), b(io);
  asio::local::connect_pair(a, b);

  int woken = 0;
  boost::system::error_code woken_with;
  const auto wait = [&] {
    event.async_wait(asio::posix::stream_descriptor::wait_read, [&](boost::system::error_code error) {
      ++woken;
      woken_with = error;
    });
  };
  // Each entry of the ring has been that of the wait, or of a write, before the cancellations use it.
  const std::uint64_t one = 1;
  std::uint64_t count = 0;
  std::array<char, 1> byte{};
  for (int i = 0; i < k_entries; ++i) {
    wait();
    ASSERT_EQ(::write(event.native_handle(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    io.restart();
    io.run();
    ASSERT_EQ(::read(event.native_handle(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
  }
  ASSERT_EQ(woken, k_entries);

  wait();
  int aborted = 0;
  for (int i = 0; i < k_cancelled; ++i) {
    a.async_read_some(asio::buffer(byte), [&](boost::system::error_code error, std::size_t) {
      aborted += error == asio::error::operation_aborted ? 1 : 0;
    });
    io.restart();
    io.poll();
    a.cancel();
    while (aborted == i) {
      io.restart();
      ASSERT_GT(io.run_one(), 0u);
    }
    ASSERT_EQ(woken, k_entries) << "nobody has woken it, after " << i << " cancellations";
  }
  ASSERT_EQ(::write(event.native_handle(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  io.restart();
  io.run();
  EXPECT_EQ(woken, k_entries + 1);
  EXPECT_FALSE(woken_with);
}

}  // namespace
}  // namespace histod::net
