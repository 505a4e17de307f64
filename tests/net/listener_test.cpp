// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/error.hpp"
#include "net/http/server.hpp"
#include "net/registered.hpp"
#include "net/uring_probe.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

using net::http::Listener;

void close_fd(int fd) { ::close(fd); }

TEST(Listener, RefusesWhatIsNoAddress) {
  boost::asio::io_context io;
  for (const char* const address : {"", "localhost", "1.2.3", "1.2.3.4:80", "::g"}) {
    const auto listener = Listener::open(io, address, 0, close_fd);
    ASSERT_FALSE(listener) << address;
    EXPECT_EQ(listener.error(), net::Errc::bad_address) << address;
    EXPECT_EQ(listener.error().message(), "not a numeric IPv4 or IPv6 address");
  }
}

TEST(Listener, SaysWhyItCannotListen) {
  boost::asio::io_context io;
  const auto first = Listener::open(io, "127.0.0.1", 0, close_fd);
  ASSERT_TRUE(first);
  const auto taken = Listener::open(io, "127.0.0.1", (*first)->port(), close_fd);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error(), std::errc::address_in_use);
  const auto foreign = Listener::open(io, "192.0.2.1", 0, close_fd);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error(), std::errc::address_not_available);
}

TEST(Listener, TakesOverAListeningSocket) {
  TestServer server;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto refused = Listener::adopt(server.io(), fd, close_fd);
  ASSERT_FALSE(refused) << "it does not listen yet";
  EXPECT_EQ(refused.error(), net::Errc::not_listening);
  ASSERT_EQ(::listen(fd, 16), 0);
  std::unique_ptr<Listener> listener;
  server.on_loop([&] {
    auto adopted = Listener::adopt(server.io(), fd, [&](int accepted) { server.server().adopt(accepted, nullptr); });
    ASSERT_TRUE(adopted);
    listener = std::move(*adopted);
  });
  ASSERT_NE(listener, nullptr);
  EXPECT_EQ(http_exchange(listener->port(), get("/hello"))->body, "hello");
  server.on_loop([&] { listener.reset(); });
}

TEST(Listener, StopsAccepting) {
  TestServer server;
  const auto port = server.port();
  EXPECT_EQ(http_exchange(port, get("/hello"))->status, 200u);
  server.on_loop([&] { server.listener().stop(); });
  EXPECT_EQ(HttpClient(port).fd(), -1);
}

TEST(Listener, PausesWhenDescriptorsRunOut) {
  TestServer server;
  HttpClient waiting(server.port());
  ASSERT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 1; }));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // The next client's own descriptor exists before the limit drops to what is in use.
  const int next = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::vector<int> filler;
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(next) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int fd = ::dup(next); fd >= 0; fd = ::dup(next)) filler.push_back(fd);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(next, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(server.eventually([&] { return server.listener().accept_pauses() > 0; }));
  for (const int fd : filler) ::close(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(server.eventually([&] { return server.stats().connections_open.get() == 2; })) << "it goes on by itself";
  ::close(next);
}

TEST(Uring, TheProbeAgreesWithTheBackend) {
  const std::error_code error = net::probe_io_uring(1);
  if (std::string_view(net::http::io_backend()) == "io_uring") {
    EXPECT_FALSE(error) << "every other test of this binary used a ring: " << error.message();
  } else {
    EXPECT_TRUE(!error || error.category() == std::system_category());
  }
}

TEST(Uring, RegistersThePoolOrSaysWhyNot) {
  boost::asio::io_context io;
  net::BufferPool pool({.budget_bytes = 8 << 20, .resident_bytes = 2 << 20, .numa_node = -1, .try_huge_pages = false});
  const auto registration = net::register_pool(io, pool);
  if (std::string_view(net::http::io_backend()) == "epoll") {
    ASSERT_FALSE(registration);
    EXPECT_EQ(registration.error(), net::Errc::no_registered_buffers);
    return;
  }
  if (registration) {
    EXPECT_EQ((*registration)->bytes(), 2u << 20);
    return;
  }
  EXPECT_EQ(registration.error(), std::errc::not_enough_memory) << registration.error().message();
}

TEST(Errors, HaveTexts) {
  EXPECT_STREQ(net::error_category().name(), "histod.net");
  EXPECT_EQ(make_error_code(net::Errc::not_listening).message(), "not a listening TCP socket");
  EXPECT_EQ(std::error_code(99, net::error_category()).message(), "unknown error 99");
}

}  // namespace
}  // namespace histod::test
