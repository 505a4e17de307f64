// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <random>

#include "tests/net/udp_rig.hpp"

// What every port promises, whatever is behind it.

namespace histod::test {
namespace {

using net::udp::Packet;
using net::udp::PacketSource;

std::vector<Bytes> datagrams_of(std::size_t count, std::size_t longest, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> sizes{1, 2, longest, longest - 1, 0, 18};
  while (sizes.size() < count) sizes.push_back(random() % (longest + 1));
  sizes.resize(count);
  return random_datagrams(sizes, seed + 1);
}

std::int64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::uint64_t sum_of_sizes(const std::vector<Bytes>& datagrams) {
  std::uint64_t sum = 0;
  for (const Bytes& bytes : datagrams) sum += bytes.size();
  return sum;
}

void invert(const Packet& packet) {
  for (std::byte& byte : packet.payload()) byte = ~byte;
}

std::vector<Bytes> inverted(std::vector<Bytes> datagrams) {
  for (Bytes& bytes : datagrams) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(~byte);
  }
  return datagrams;
}

TEST_P(PacketPort, GivesEachDatagramOnceAndInOrder) {
  const std::vector<Bytes> sent = datagrams_of(150, rig_->longest(false), 1);
  const std::int64_t before_ns = now_ns();
  PacketSource& port = rig_->open({}, sent);
  std::vector<Bytes> got;
  std::int64_t last_ns = before_ns;
  while (got.size() < sent.size()) {
    const std::vector<Packet> some = receive(port, 1, 7);
    ASSERT_FALSE(some.empty()) << "after " << got.size();
    for (const Packet& packet : some) {
      got.push_back(copy_of(packet));
      EXPECT_EQ(packet.source(), rig_->source());
      EXPECT_FALSE(packet.truncated());
      EXPECT_GE(packet.arrival_ns(), last_ns);
      last_ns = packet.arrival_ns();
    }
  }
  EXPECT_LE(last_ns, now_ns());
  EXPECT_EQ(got, sent);
  Packet more;
  EXPECT_EQ(port.receive({&more, 1}), 0u);
  EXPECT_EQ(port.stats().received_packets.get(), sent.size());
  EXPECT_EQ(port.stats().received_bytes.get(), sum_of_sizes(sent));
  EXPECT_EQ(port.stats().leases.get(), 0u);
  EXPECT_EQ(port.stats().truncated.get() + port.stats().starved.get() + port.stats().errors.get(), 0u);
  EXPECT_EQ(port.stats().malformed.get() + port.stats().fragments.get(), 0u);
}

TEST_P(PacketPort, LeavesWhatIsOutAlone) {
  const std::vector<Bytes> first = datagrams_of(50, 1000, 3);
  const std::vector<Bytes> then = datagrams_of(50, 1000, 4);
  PacketSource& port = rig_->open({}, first);
  const std::vector<Packet> held = receive(port, first.size());
  ASSERT_EQ(held.size(), first.size());
  EXPECT_EQ(port.stats().leases.get(), first.size());
  if (rig_->deliver(then)) {
    EXPECT_EQ(receive_bytes(port, then.size()), then);
  }
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(copy_of(held[i]), first[i]);
}

TEST_P(PacketPort, TellsWhatIsTruncated) {
  const std::size_t room = rig_->longest(true);
  const std::vector<std::size_t> sizes{10, room, room + 1, 1400, room - 1, 20};
  const std::vector<Bytes> sent = random_datagrams(sizes, 5);
  PacketSource& port = rig_->open({.small = true}, sent);
  const std::vector<Packet> got = receive(port, sent.size());
  ASSERT_EQ(got.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const bool truncated = sizes[i] > room;
    EXPECT_EQ(got[i].truncated(), truncated) << sizes[i];
    const std::size_t there = truncated ? room : sizes[i];
    EXPECT_EQ(copy_of(got[i]), Bytes(sent[i].begin(), sent[i].begin() + static_cast<std::ptrdiff_t>(there)));
  }
  EXPECT_EQ(port.stats().truncated.get(), 2u);
}

TEST_P(PacketPort, SaysWhenBuffersRunOutAndGoesOn) {
  if (rig_->sends_in_memory_of_its_own()) GTEST_SKIP() << "skipped: frames come in buffers of who sends them";
  constexpr unsigned k_buffers = 16;
  const std::vector<Bytes> sent = datagrams_of(64, 500, 6);
  PacketSource& port = rig_->open({.buffers = k_buffers}, sent);
  std::vector<Packet> held = receive(port, k_buffers);
  EXPECT_EQ(held.size(), k_buffers);
  std::vector<Packet> none(4);
  EXPECT_EQ(port.receive(none), 0u);
  EXPECT_EQ(port.receive(none), 0u);
  port.refresh_stats();
  EXPECT_GE(port.stats().starved.get(), 1u);
  std::vector<Bytes> got;
  for (const Packet& packet : held) got.push_back(copy_of(packet));
  held.clear();
  if (!rig_->loses_when_starved()) {
    for (Bytes& bytes : receive_bytes(port, sent.size() - k_buffers, 5)) got.push_back(std::move(bytes));
    EXPECT_EQ(got, sent);
    EXPECT_EQ(port.stats().dropped.get(), 0u);
    return;
  }
  const std::size_t lost = port.stats().starved.get() - 1;
  for (Bytes& bytes : receive_bytes(port, sent.size() - k_buffers - lost, 5)) got.push_back(std::move(bytes));
  std::size_t at = 0;
  for (const Bytes& bytes : sent) at += at < got.size() && got[at] == bytes ? 1 : 0;
  EXPECT_EQ(at, got.size()) << "in order, nothing twice";
  EXPECT_EQ(got.size() + lost, sent.size()) << "each loss is counted";
}

TEST_P(PacketPort, SendsOnInPlace) {
  const std::vector<Bytes> sent = datagrams_of(120, 1400, 7);
  PacketSource& port = rig_->open({}, sent);
  std::size_t count = 0;
  while (count < sent.size()) {
    std::vector<Packet> some = receive(port, 1, 13);
    ASSERT_FALSE(some.empty());
    for (const Packet& packet : some) invert(packet);
    count += some.size();
    if (count < 60 || count == sent.size()) {
      port.send(some, rig_->sink());
    } else {
      for (Packet& packet : some) port.send({&packet, 1}, rig_->sink());
    }
    for (const Packet& packet : some) EXPECT_FALSE(packet);
  }
  EXPECT_EQ(port.stats().leases.get(), 0u);
  EXPECT_EQ(port.stats().send_drops.get(), 0u);
  EXPECT_EQ(port.stats().sent_packets.get(), sent.size());
  EXPECT_EQ(port.stats().sent_bytes.get(), sum_of_sizes(sent));
  EXPECT_EQ(rig_->collect(sent.size()), inverted(sent));
}

TEST_P(PacketPort, SendsATruncatedPacketAsItIs) {
  const std::vector<Bytes> sent = random_datagrams({1400, 5}, 8);
  PacketSource& port = rig_->open({.small = true}, sent);
  std::vector<Packet> got = receive(port, 2);
  ASSERT_EQ(got.size(), 2u);
  port.send(got, rig_->sink());
  const Bytes cut(sent[0].begin(), sent[0].begin() + static_cast<std::ptrdiff_t>(rig_->longest(true)));
  EXPECT_EQ(rig_->collect(2), (std::vector<Bytes>{cut, sent[1]}));
}

TEST_P(PacketPort, DropsWhatCannotBeSentThere) {
  PacketSource& port = rig_->open({}, random_datagrams({5, 5}, 9));
  std::vector<Packet> got = receive(port, 2);
  ASSERT_EQ(got.size(), 2u);
  net::udp::Target other = rig_->sink();
  other.to = *net::udp::parse_address(other.to.v6 ? "192.0.2.9" : "2001:db8::9", 9);
  port.send(got, other);
  EXPECT_EQ(port.stats().send_drops.get(), 2u);
  EXPECT_EQ(port.stats().sent_packets.get(), 0u);
  EXPECT_EQ(port.stats().leases.get(), 0u);
}

TEST_P(PacketPort, StopsWhileItIsBusy) {
  for (int round = 0; round < 3; ++round) {
    PacketSource& port = rig_->open({.buffers = 64}, datagrams_of(100, 1400, 10));
    std::vector<Packet> some = receive(port, 10, 10);
    port.send(some, rig_->sink());
    rig_->deliver(datagrams_of(50, 100, 11));
    rig_->close();
  }
}

TEST_P(PacketPort, OpensAgain) {
  for (std::uint64_t round = 0; round < 3; ++round) {
    const std::vector<Bytes> sent = datagrams_of(20, 100, 12 + round);
    EXPECT_EQ(receive_bytes(rig_->open({}, sent), sent.size()), sent);
    rig_->close();
  }
}

TEST_P(PacketPort, KeepsOrderWhateverIsHeldSentAndGivenBack) {
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const std::vector<Bytes> sent = datagrams_of(250, 300, seed);
  PacketSource& port = rig_->open({.buffers = 500}, sent);
  std::vector<Bytes> got, passed;
  std::vector<Packet> held;
  while (got.size() < sent.size()) {
    std::vector<Packet> some = receive(port, 1, 1 + random() % 40);
    ASSERT_FALSE(some.empty()) << got.size();
    for (Packet& packet : some) {
      got.push_back(copy_of(packet));
      switch (random() % 4) {
        case 0:
          passed.push_back(copy_of(packet));
          port.send({&packet, 1}, rig_->sink());
          break;
        case 1:
          held.push_back(std::move(packet));
          break;
        default:
          packet.reset();
      }
    }
    if (held.size() > 20) held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(random() % held.size()));
  }
  EXPECT_EQ(port.stats().leases.get(), held.size());
  held.clear();
  EXPECT_EQ(got, sent);
  EXPECT_EQ(rig_->collect(passed.size()), passed);
}

}  // namespace
}  // namespace histod::test
