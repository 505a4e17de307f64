// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "tests/net/udp_dpdk_rigs.hpp"
#include "tests/net/udp_sockets.hpp"

namespace histod::test {
namespace {

using net::udp::DpdkEal;
using net::udp::DpdkOptions;
using net::udp::DpdkPort;
using net::udp::Packet;
using net::udp::PacketSource;
using net::udp::parse_address;

INSTANTIATE_TEST_SUITE_P(Dpdk, PacketPort,
                         testing::Values(over_net_ring(), over_net_pcap(), over_net_af_packet(false),
                                         over_net_af_packet(true)),
                         surroundings_name);

DpdkOptions options_on(const std::string& device) {
  return {.device = device, .local = *parse_address("192.0.2.2", 5004), .buffers = 256};
}

Ends ends_to(Bytes ip, std::uint16_t port) {
  Ends ends;
  ends.to_ip = std::move(ip);
  ends.to_port = port;
  return ends;
}

std::string refusal(const DpdkOptions& options) {
  const auto port = DpdkPort::open(eal(), options);
  return port ? "" : port.error().what + ": " + port.error().code.message();
}

TEST(DpdkRing, EalStartsOnce) {
  EXPECT_TRUE(net::udp::dpdk_version().starts_with("DPDK ")) << net::udp::dpdk_version();
  eal();
  const auto again = DpdkEal::start({});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, std::errc::connection_already_in_progress);
}

TEST(DpdkRing, RefusesWithTheReason) {
  EXPECT_NE(refusal(options_on("net_nothing0")).find("net_nothing0"), std::string::npos);
  EXPECT_NE(refusal(options_on("0000:03:00.0")).find("0000:03:00.0"), std::string::npos);
  EXPECT_NE(refusal(options_on("net_af_packet7,iface=nosuch")), "");
  FrameRing ring;
  DpdkOptions two = options_on(ring.device());
  two.queues = 2;
  EXPECT_NE(refusal(two).find("has only 1 queues"), std::string::npos) << refusal(two);
  DpdkOptions any = options_on(ring.device());
  any.local = *parse_address("0.0.0.0", 5004);
  EXPECT_NE(refusal(any).find("an address of its own"), std::string::npos);
  DpdkOptions huge = options_on(ring.device());
  huge.buffers = 1'000'000;
  EXPECT_NE(refusal(huge).find("no memory for 1000000 frames"), std::string::npos) << refusal(huge);
}

TEST(DpdkRing, OneDeviceHasOnePort) {
  FrameRing ring;
  const DpdkPort port = open_dpdk(options_on(ring.device()));
  EXPECT_NE(refusal(options_on(ring.device())), "");
}

TEST(DpdkRing, CountsWhatIsNotForIt) {
  FrameRing ring;
  DpdkPort port = open_dpdk(options_on(ring.device()));
  PacketSource& queue = port.queue(0);
  const Bytes payload{1, 2, 3};
  Bytes arp = frame_of({}, payload);
  arp[13] = 6;
  Bytes broken = frame_of({}, payload);
  broken[24] ^= 1;
  ring.put({arp, frame_of(ends_to({192, 0, 2, 2}, 5005), payload), frame_of(ends_to({192, 0, 2, 3}, 5004), payload),
            frame_of({}, payload, {.fragment = 0x2000}), broken, Bytes(10, 0), frame_of({}, payload)});
  EXPECT_EQ(receive_bytes(queue, 1), std::vector<Bytes>{payload});
  EXPECT_EQ(queue.stats().foreign.get(), 3u);
  EXPECT_EQ(queue.stats().fragments.get(), 1u);
  EXPECT_EQ(queue.stats().malformed.get(), 2u);
  EXPECT_EQ(queue.stats().received_packets.get(), 1u);
  EXPECT_TRUE(ring.all_home());
  EXPECT_TRUE(queue.wait(std::chrono::hours(1))) << "it is polled, and never sleeps";
  EXPECT_EQ(queue.wait_fd(), -1);
  EXPECT_FALSE(queue.kernel_time());
}

TEST(DpdkRing, AddressesWhatItSends) {
  FrameRing ring;
  DpdkPort port = open_dpdk(options_on(ring.device()));
  PacketSource& queue = port.queue(0);
  const Bytes payload = random_datagrams({100}, 1).front();
  const auto sent_to = [&](const net::udp::Target& target) {
    ring.put({frame_of({}, payload, {.vlans = {77}, .padding = 9})});
    std::vector<Packet> got = receive(queue, 1);
    EXPECT_EQ(got.size(), 1u);
    queue.send(got, target);
    const std::vector<Bytes> out = ring.take();
    EXPECT_EQ(out.size(), 1u);
    const auto read = read_frame(out.at(0));
    EXPECT_TRUE(read && read->ip_checksum_right && read->payload == payload && read->behind == 0);
    EXPECT_EQ(read->vlans, std::vector<std::uint16_t>{77});
    EXPECT_EQ(read->ttl, target.to.is_multicast() ? 16u : 64u);
    EXPECT_FALSE(read->udp_checksum_there);
    EXPECT_EQ(read->ends.from_ip, Bytes({192, 0, 2, 2}));
    EXPECT_EQ(read->ends.from_port, 5004);
    return read->ends;
  };
  const Ends back = sent_to({.to = *parse_address("198.51.100.1", 7000)});
  EXPECT_EQ(back.to_mac, Ends{}.from_mac) << "to who sent it";
  EXPECT_EQ(back.to_ip, Bytes({198, 51, 100, 1}));
  EXPECT_EQ(back.to_port, 7000);
  const net::udp::Mac hop{2, 8, 8, 8, 8, 8};
  EXPECT_EQ(sent_to({.to = *parse_address("198.51.100.1", 7000), .next_hop = hop}).to_mac,
            Bytes(hop.begin(), hop.end()));
  EXPECT_EQ(sent_to({.to = *parse_address("239.1.2.3", 7000), .next_hop = hop}).to_mac, Bytes({1, 0, 0x5e, 1, 2, 3}))
      << "a group's is its own";
}

TEST(DpdkRing, DropsWhatTheDeviceDoesNotTake) {
  FrameRing ring(8);  // which has room for seven
  DpdkPort port = open_dpdk(options_on(ring.device()));
  PacketSource& queue = port.queue(0);
  const std::vector<Bytes> payloads = random_datagrams(std::vector<std::size_t>(100, 50), 2);
  std::vector<Bytes> frames;
  for (const Bytes& payload : payloads) frames.push_back(frame_of({}, payload));
  ring.put(frames);
  std::vector<Packet> got = receive(queue, 100, 100);
  queue.send(got, {.to = *parse_address("192.0.2.9", 1)});
  EXPECT_EQ(queue.stats().sent_packets.get(), 7u);
  EXPECT_EQ(queue.stats().sent_bytes.get(), 7u * 50);
  EXPECT_EQ(queue.stats().send_drops.get(), 93u);
  EXPECT_EQ(queue.stats().leases.get(), 0u);
  EXPECT_EQ(ring.take().size(), 7u);
  EXPECT_TRUE(ring.all_home());
}

TEST(DpdkRing, TakesGroups) {
  FrameRing ring;
  DpdkOptions options = options_on(ring.device());
  options.groups = {*parse_address("239.1.2.3", 0)};
  DpdkPort port = open_dpdk(options);
  EXPECT_TRUE(port.absent().empty());
  ring.put({frame_of(ends_to({239, 1, 2, 3}, 5004), {1}), frame_of(ends_to({239, 1, 2, 4}, 5004), {2}),
            frame_of({}, {3}), frame_of(ends_to({239, 1, 2, 3}, 5005), {4})});
  EXPECT_EQ(receive_bytes(port.queue(0), 2), (std::vector<Bytes>{{1}, {3}}));
  Packet more;
  EXPECT_EQ(port.queue(0).receive({&more, 1}), 0u);
  EXPECT_EQ(port.queue(0).stats().foreign.get(), 2u);
}

TEST(DpdkRing, WorksOnAnotherThread) {
  FrameRing ring;
  DpdkPort port = open_dpdk(options_on(ring.device()));
  const net::udp::DpdkThread here(eal());
  EXPECT_FALSE(here.registered()) << "this thread is EAL's own";
  ring.put({frame_of({}, {1}), frame_of({}, {2})});
  std::thread([&] {
    const net::udp::DpdkThread there(eal());
    EXPECT_TRUE(there.registered());
    EXPECT_EQ(receive_bytes(port.queue(0), 2), (std::vector<Bytes>{{1}, {2}}));
  }).join();
}

/// Datagrams of many flows over two queues: each comes to one of them, and those of one flow to the same, in order.
TEST(DpdkAfPacket, SpreadsFlowsOverQueues) {
  std::string why;
  const auto cable = Cable::lay(why);
  if (!cable) GTEST_SKIP() << "skipped: " << why;
  DpdkOptions options = options_on(std::string("net_af_packet0,qpairs=2,iface=") + Cable::k_near_device);
  options.local = *parse_address(Cable::near_ip(false), 5004);
  options.queues = 2;
  DpdkPort port = open_dpdk(options);
  EXPECT_EQ(port.queues(), 2u);
  EXPECT_EQ(port.absent().size(), 2u) << "the kernel spreads them, not RSS; and its drops are not known";
  constexpr std::uint8_t k_flows = 32, k_datagrams = 8;
  cable->go_far();
  std::vector<std::unique_ptr<PlainSocket>> senders;
  for (unsigned flow = 0; flow < k_flows; ++flow)
    senders.push_back(std::make_unique<PlainSocket>(Cable::far_ip(false)));
  cable->go_near();
  for (std::uint8_t i = 0; i < k_datagrams; ++i) {
    for (std::uint8_t flow = 0; flow < k_flows; ++flow) ASSERT_TRUE(senders[flow]->send(options.local, {flow, i}));
  }
  std::vector<int> queue_of(k_flows, -1);
  std::vector<std::uint8_t> next(k_flows, 0);
  std::size_t count = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (count < k_flows * k_datagrams && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 2; ++i) {
      std::vector<Packet> some(16);
      const std::size_t got = port.queue(static_cast<unsigned>(i)).receive(some);
      for (std::size_t k = 0; k < got; ++k) {
        const Bytes bytes = copy_of(some[k]);
        if (queue_of.at(bytes.at(0)) < 0) queue_of[bytes[0]] = i;
        EXPECT_EQ(queue_of[bytes[0]], i);
        EXPECT_EQ(bytes.at(1), next[bytes[0]]++);
        ++count;
      }
    }
  }
  EXPECT_EQ(count, std::size_t{k_flows} * k_datagrams);
  EXPECT_TRUE(std::ranges::count(queue_of, 0) > 0 && std::ranges::count(queue_of, 1) > 0);
}

}  // namespace
}  // namespace histod::test
