// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/udp/uring_port.hpp"
#include "tests/net/udp_rig.hpp"
#include "tests/net/udp_sockets.hpp"

namespace histod::test {
namespace {

using net::udp::Packet;
using net::udp::parse_address;
using net::udp::UringOptions;
using net::udp::UringPort;

UringOptions options_on(const std::string& ip) {
  UringOptions options{.buffers = 256, .ring_depth = 8};
  options.socket.local = *parse_address(ip, 0);
  return options;
}

std::unique_ptr<UringPort> open(const UringOptions& options) {
  auto port = UringPort::open(options);
  if (!port) throw std::runtime_error(port.error().what + ": " + port.error().code.message());
  return std::move(*port);
}

std::vector<Bytes> cut(const Bytes& whole, std::size_t segment) {
  std::vector<Bytes> parts;
  for (std::size_t at = 0; at < whole.size(); at += segment) {
    const std::size_t end = std::min(at + segment, whole.size());
    parts.emplace_back(whole.begin() + static_cast<std::ptrdiff_t>(at),
                       whole.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return parts;
}

TEST(UringPort, SaysWhatIsAbsent) {
  const auto all = open(options_on("127.0.0.1"));
  EXPECT_TRUE(all->multishot());
  for (const std::string& absent : all->absent()) std::printf("absent: %s\n", absent.c_str());
  UringOptions less = options_on("127.0.0.1");
  less.multishot = less.socket.gro = less.socket.timestamps = false;
  const auto absent = open(less)->absent();
  const auto says = [&](const char* what) {
    return std::ranges::any_of(absent, [&](const std::string& line) { return line.starts_with(what); });
  };
  EXPECT_TRUE(says("multishot") && says("UDP_GRO") && says("arrival times"));
  EXPECT_EQ(absent.size(), all->absent().size() + 3);
}

TEST(UringPort, RefusesWithTheReason) {
  UringOptions options = options_on("127.0.0.1");
  for (const unsigned buffers : {0u, 32'769u}) {
    options.buffers = buffers;
    EXPECT_EQ(UringPort::open(options).error().code, std::errc::invalid_argument);
  }
  const auto first = open(options_on("127.0.0.1"));
  UringOptions same = options_on("127.0.0.1");
  same.socket.local = first->local();
  const auto second = UringPort::open(same);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, std::errc::address_in_use);
  EXPECT_NE(second.error().what.find(first->local().text()), std::string::npos) << second.error().what;
  UringOptions elsewhere = options_on("192.0.2.77");
  EXPECT_EQ(UringPort::open(elsewhere).error().code, std::errc::address_not_available);
  UringOptions group = options_on("127.0.0.1");
  group.socket.memberships = {{.group = *parse_address("192.0.2.1", 0)}};
  EXPECT_FALSE(UringPort::open(group)) << "no multicast address";
}

/// Datagrams that come in one piece are handed out one by one, and go on in one piece.
TEST(UringPort, CutsWhatTheKernelJoined) {
  const auto port = open(options_on("127.0.0.1"));
  if (!port->socket().gro() || !port->socket().gso()) GTEST_SKIP() << "skipped: no UDP_GRO here";
  const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
  const Bytes whole = random_datagrams({40 * 1400 + 33}, 1).front();
  for (const std::size_t burst : {1, 7, 64}) {
    ASSERT_TRUE(sender.send_segments(port->local(), whole, 1400));
    std::vector<Packet> got = receive(*port, 41, burst);
    ASSERT_EQ(got.size(), 41u);
    std::vector<Bytes> bytes;
    std::ranges::transform(got, std::back_inserter(bytes), copy_of);
    EXPECT_EQ(bytes, cut(whole, 1400));
    EXPECT_EQ(got[0].payload().data() + 1400, got[1].payload().data()) << "they lie where the kernel put them";
    EXPECT_EQ(got.front().arrival_ns(), got.back().arrival_ns());
    port->send(got, {.to = sink.address()});
    EXPECT_EQ(sink.receive(41), cut(whole, 1400));
  }
  EXPECT_EQ(port->stats().sent_packets.get(), 3u * 41);
  EXPECT_EQ(port->stats().sent_bytes.get(), 3 * whole.size());
  EXPECT_EQ(port->stats().leases.get(), 0u);
  EXPECT_TRUE(sink.nothing_there());
}

TEST(UringPort, PartsOfAJoinedBufferGoHomeInAnyOrder) {
  UringOptions options = options_on("127.0.0.1");
  options.buffers = 2;
  const auto port = open(options);
  if (!port->socket().gro()) GTEST_SKIP() << "skipped: no UDP_GRO here";
  const PlainSocket sender("127.0.0.1");
  for (std::uint64_t round = 0; round < 20; ++round) {
    const Bytes whole = random_datagrams({5 * 100}, round).front();
    ASSERT_TRUE(sender.send_segments(port->local(), whole, 100));
    std::vector<Packet> got = receive(*port, 5, 5);
    ASSERT_EQ(got.size(), 5u) << "a buffer did not come home, round " << round;
    for (const std::size_t i : {3, 0, 4, 1}) got[i].reset();
    EXPECT_EQ(copy_of(got[2]), cut(whole, 100)[2]);
  }
}

/// Whatever order they are in, whichever are missing, and wherever they lie.
TEST(UringPort, SendsInTheOrderThatItIsTold) {
  const auto port = open(options_on("127.0.0.1"));
  const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
  const net::udp::Target target{.to = sink.address()};
  const Bytes whole = random_datagrams({10 * 100}, 9).front();
  ASSERT_TRUE(sender.send_segments(port->local(), whole, 100));
  std::vector<Packet> got = receive(*port, 10);
  ASSERT_EQ(got.size(), 10u);
  const std::vector<std::size_t> order{0, 1, 5, 6, 4, 3, 2, 9, 7, 8};
  std::vector<Packet> shuffled;
  for (const std::size_t i : order) shuffled.push_back(std::move(got[i]));
  shuffled[3].reset();
  port->send(shuffled, target);
  std::vector<Bytes> expected;
  for (const std::size_t i : {0, 1, 5, 4, 3, 2, 9, 7, 8})
    expected.push_back(cut(whole, 100)[static_cast<std::size_t>(i)]);
  EXPECT_EQ(sink.receive(expected.size()), expected);
  EXPECT_EQ(port->stats().leases.get(), 0u);
}

/// Datagrams that came one by one go in one piece where their lengths allow it, and come as they were.
TEST(UringPort, SendsDatagramsOfAnyLengthsInOneGo) {
  const auto port = open(options_on("127.0.0.1"));
  const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
  std::vector<std::size_t> lengths(70, 900);
  for (const std::size_t at : {0, 13, 14, 40}) lengths[at] = 500;
  for (const std::size_t at : {20, 65}) lengths[at] = 1200;
  lengths[30] = 0;
  const std::vector<Bytes> datagrams = random_datagrams(lengths, 5);
  for (const Bytes& bytes : datagrams) ASSERT_TRUE(sender.send(port->local(), bytes));
  std::vector<Packet> got = receive(*port, datagrams.size());
  ASSERT_EQ(got.size(), datagrams.size());
  port->send(got, {.to = sink.address()});
  EXPECT_EQ(sink.receive(datagrams.size()), datagrams);
  EXPECT_EQ(port->stats().sent_packets.get(), datagrams.size());
  EXPECT_EQ(port->stats().leases.get(), 0u);
  for (const Bytes& bytes : datagrams) ASSERT_TRUE(sender.send(port->local(), bytes)) << "all buffers are home";
  EXPECT_EQ(receive_bytes(*port, datagrams.size()), datagrams);
}

/// A network of its own for the calling thread, in which loopback has this MTU. False: this machine does not allow it.
bool own_loopback(int mtu) {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const PlainSocket socket("0.0.0.0");
  ifreq request{};
  std::string("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_mtu = mtu;
  if (::ioctl(socket.fd(), SIOCSIFMTU, &request) != 0) return false;
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.fd(), SIOCSIFFLAGS, &request) == 0;
}

TEST(UringPort, WhatIsLongerThanTheWayOutTakesGoesInFragments) {
  bool allowed = false;
  std::thread([&] {
    allowed = own_loopback(1500);
    if (!allowed) return;
    const auto port = open(options_on("127.0.0.1"));
    const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
    const auto datagrams = random_datagrams(std::vector<std::size_t>(6, 4000), 9);
    for (const Bytes& datagram : datagrams) EXPECT_TRUE(sender.send(port->local(), datagram));
    std::vector<Packet> packets = receive(*port, datagrams.size());
    port->send(packets, {.to = sink.address()});
    const auto& stats = port->stats();
    while (stats.sent_packets.get() + stats.send_drops.get() < datagrams.size())
      port->wait(std::chrono::milliseconds(5));
    EXPECT_EQ(sink.receive(datagrams.size()), datagrams);
    EXPECT_EQ(stats.sent_packets.get(), datagrams.size());
    if (port->socket().gso()) {
      EXPECT_EQ(stats.uncut.get(), 1u);
    }
  }).join();
  if (!allowed) GTEST_SKIP() << "skipped: no network namespace of its own here";
}

TEST(UringPort, CountsWhatTheKernelDropped) {
  UringOptions options = options_on("127.0.0.1");
  options.socket.receive_bytes = 4096;
  options.buffers = 4;
  const auto port = open(options);
  const PlainSocket sender("127.0.0.1");
  constexpr std::size_t k_sent = 200;
  for (const Bytes& bytes : random_datagrams(std::vector<std::size_t>(k_sent, 1000), 2))
    sender.send(port->local(), bytes);
  port->refresh_stats();
  const std::size_t dropped = port->stats().dropped.get();
  EXPECT_GT(dropped, 100u);
  EXPECT_EQ(receive_bytes(*port, k_sent - dropped).size(), k_sent - dropped);
  Packet more;
  EXPECT_EQ(port->receive({&more, 1}), 0u) << "each is either here or counted";
  port->refresh_stats();
  EXPECT_EQ(port->stats().dropped.get(), dropped) << "counted once";
}

TEST(UringPort, WaitsForADatagramOrTheTime) {
  const auto port = open(options_on("127.0.0.1"));
  const PlainSocket sender("127.0.0.1");
  EXPECT_FALSE(port->wait(std::chrono::milliseconds(1)));
  pollfd readable{.fd = port->wait_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  sender.send(port->local(), {1, 2, 3});
  EXPECT_EQ(::poll(&readable, 1, 10'000), 1) << "an event loop may watch the ring";
  EXPECT_TRUE(port->wait(std::chrono::seconds(10)));
  EXPECT_TRUE(port->wait(std::chrono::seconds(10))) << "as long as it is not taken";
  EXPECT_EQ(receive_bytes(*port, 1), (std::vector<Bytes>{{1, 2, 3}}));
  EXPECT_FALSE(port->wait(std::chrono::milliseconds(1)));
}

TEST(UringPort, IsWokenFromItsSleep) {
  const auto port = open(options_on("127.0.0.1"));
  const PlainSocket sender("127.0.0.1");
  const net::udp::Address to = port->local();
  const std::jthread other([&] { sender.send(to, {7}); });
  EXPECT_TRUE(port->wait(std::chrono::seconds(10)));
}

TEST(UringPort, IsAMemberOfAGroup) {
  UringOptions options = options_on("239.1.2.3");
  const unsigned loopback = ::if_nametoindex("lo");
  options.socket.memberships = {{.group = options.socket.local, .interface_index = loopback}};
  options.socket.multicast_interface_index = loopback;
  const auto port = open(options);
  const PlainSocket sender("127.0.0.1");
  const in_addr interface{.s_addr = htonl(INADDR_LOOPBACK)};
  ASSERT_EQ(::setsockopt(sender.fd(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)), 0);
  ASSERT_TRUE(sender.send(port->local(), {1, 2}));
  EXPECT_EQ(receive_bytes(*port, 1), (std::vector<Bytes>{{1, 2}}));

  UringOptions only = options_on("239.1.2.4");
  only.socket.memberships = {
      {.group = only.socket.local, .source = parse_address("127.0.0.9", 0), .interface_index = loopback}};
  const auto specific = open(only);
  const PlainSocket allowed("127.0.0.9");
  ASSERT_EQ(::setsockopt(allowed.fd(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)), 0);
  ASSERT_TRUE(sender.send(specific->local(), {3}));
  ASSERT_TRUE(allowed.send(specific->local(), {4}));
  EXPECT_EQ(receive_bytes(*specific, 1), (std::vector<Bytes>{{4}})) << "of that source only";
}

/// One thread sends without pause, the port's thread receives, sends on and stops in the middle of it.
TEST(UringPort, StopsUnderFire) {
  for (const bool multishot : {true, false}) {
    UringOptions options = options_on("127.0.0.1");
    options.buffers = 32;
    options.multishot = multishot;
    auto port = open(options);
    const net::udp::Address to = port->local();
    const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
    std::atomic<bool> stop = false;
    const std::jthread fire([&] {
      const Bytes bytes(1200, 5);
      while (!stop) sender.send(to, bytes);
    });
    for (std::size_t passed = 0; passed < 5'000;) {
      std::vector<Packet> some = receive(*port, 1, 16);
      ASSERT_FALSE(some.empty());
      passed += some.size();
      port->send(some, {.to = sink.address()});
    }
    EXPECT_EQ(port->stats().leases.get(), 0u);
    port.reset();
    stop = true;
  }
}

/// Each thread has its own port; what they count can be read from anywhere.
TEST(UringPort, HasOneThreadEach) {
  constexpr std::size_t k_count = 3'000;
  std::vector<std::jthread> threads;
  std::atomic<std::size_t> received = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      const auto port = open(options_on("127.0.0.1"));
      const PlainSocket sender("127.0.0.1");
      for (std::size_t sent = 0; sent < k_count; sent += 50) {
        const std::vector<Bytes> some = random_datagrams(std::vector<std::size_t>(50, 200), sent + i);
        for (const Bytes& bytes : some) sender.send(port->local(), bytes);
        const auto got = receive_bytes(*port, 50);
        if (got == some) received += 50;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(received, 3 * k_count);
}

TEST(UringPort, TakesTheLongestDatagram) {
  const auto port = open(options_on("127.0.0.1"));
  const PlainSocket sender("127.0.0.1"), sink("127.0.0.1");
  const Bytes longest = random_datagrams({65'507}, 4).front();
  ASSERT_TRUE(sender.send(port->local(), longest));
  std::vector<Packet> got = receive(*port, 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].truncated(), false);
  EXPECT_EQ(copy_of(got[0]), longest);
  port->send(got, {.to = sink.address()});
  EXPECT_EQ(sink.receive(1), (std::vector<Bytes>{longest}));
}

}  // namespace
}  // namespace histod::test
