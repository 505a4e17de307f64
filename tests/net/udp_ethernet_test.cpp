// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "net/udp/address.hpp"
#include "net/udp/ethernet.hpp"
#include "tests/net/udp_frames.hpp"

namespace histod::test {
namespace {

using net::udp::Address;
using net::udp::FrameRefusal;
using net::udp::Hop;
using net::udp::parse_address;
using net::udp::parse_udp_frame;
using net::udp::readdress;

std::span<const std::byte> view(const Bytes& bytes) { return std::as_bytes(std::span(bytes)); }
std::span<std::byte> writable(Bytes& bytes) { return std::as_writable_bytes(std::span(bytes)); }

Ends ends_v6() {
  Ends ends;
  ends.from_ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  ends.to_ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
  return ends;
}

Bytes ip_of(const Address& address) { return {address.ip.begin(), address.ip.begin() + (address.v6 ? 16 : 4)}; }

Bytes payload_of(const Bytes& frame, const net::udp::FrameLayout& layout) {
  const auto at = frame.begin() + static_cast<std::ptrdiff_t>(layout.payload);
  return {at, at + static_cast<std::ptrdiff_t>(layout.payload_bytes)};
}

TEST(UdpAddress, IsReadAndWritten) {
  const Address v4 = parse_address("192.0.2.1", 5004).value();
  EXPECT_EQ(v4.text(), "192.0.2.1:5004");
  EXPECT_FALSE(v4.v6 || v4.is_any() || v4.is_multicast());
  const Address v6 = parse_address("2001:db8::1", 80).value();
  EXPECT_EQ(v6.text(), "[2001:db8::1]:80");
  EXPECT_TRUE(parse_address("0.0.0.0", 1)->is_any() && parse_address("::", 1)->is_any());
  EXPECT_TRUE(parse_address("224.0.0.1", 1)->is_multicast() && parse_address("239.255.255.255", 1)->is_multicast());
  EXPECT_FALSE(parse_address("223.255.255.255", 1)->is_multicast() || parse_address("240.0.0.1", 1)->is_multicast());
  EXPECT_TRUE(parse_address("ff02::1", 1)->is_multicast());
  for (const char* const wrong : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", " 1.2.3.4", "[::1]", "::1%lo"}) {
    EXPECT_FALSE(parse_address(wrong, 1)) << wrong;
  }
}

TEST(UdpAddress, GoesThroughSocketAddresses) {
  for (const char* const ip : {"192.0.2.1", "2001:db8::1", "fe80::1"}) {
    Address address = parse_address(ip, 65535).value();
    if (address.v6) address.scope = 7;
    sockaddr_storage raw{};
    const socklen_t bytes = net::udp::to_sockaddr(address, raw);
    EXPECT_EQ(net::udp::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), bytes), address);
    EXPECT_FALSE(net::udp::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), bytes - 1)) << "cut";
  }
  sockaddr_storage raw{};
  raw.ss_family = AF_UNIX;
  EXPECT_FALSE(net::udp::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), sizeof(raw)));
}

/// Captured from Linux: "histod" from 127.0.0.1:40000 to 127.0.0.1:5004 over loopback, its UDP checksum not filled in.
TEST(Ethernet, AddressesAreReadAndWritten) {
  using net::udp::parse_mac;
  const net::udp::Mac mac{2, 0, 0x0a, 0xbc, 0xDE, 0xff};
  EXPECT_EQ(parse_mac("02:00:0a:bc:DE:ff"), mac);
  EXPECT_EQ(net::udp::text_of(mac), "02:00:0a:bc:de:ff");
  for (const auto* text : {"", "02:00:0a:bc:de", "02:00:0a:bc:de:f", "02:00:0a:bc:de:ff:", "02-00-0a-bc-de-ff",
                           "02:00:0a:bc:de:0g", "+2:00:0a:bc:de:ff", "0x:00:0a:bc:de:ff", "2:00:00:0a:bc:de:f"})
    EXPECT_FALSE(parse_mac(text)) << text;
}

TEST(Ethernet, ReadsAFrameOfTheKernel) {
  const Bytes frame = Bytes(12, 0) + Bytes{0x08, 0x00, 0x45, 0x00, 0x00, 0x22, 0x7e, 0xd6, 0x40, 0x00, 0x40, 0x11,
                                           0xbd, 0xf2, 0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x01, 0x9c, 0x40,
                                           0x13, 0x8c, 0x00, 0x0e, 0xfe, 0x21, 'h',  'i',  's',  't',  'o',  'd'};
  const auto parsed = parse_udp_frame(view(frame));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->source.text(), "127.0.0.1:40000");
  EXPECT_EQ(parsed->destination.text(), "127.0.0.1:5004");
  EXPECT_EQ(payload_of(frame, parsed->layout), (Bytes{'h', 'i', 's', 't', 'o', 'd'}));
  EXPECT_FALSE(parsed->truncated);
}

TEST(Ethernet, ReadsTagsOptionsPaddingAndBothVersions) {
  const Bytes payload = random_datagrams({33}, 1).front();
  for (const bool v6 : {false, true}) {
    for (const std::size_t tags : {0, 1, 2}) {
      for (const std::size_t options : {0, 4, 40}) {
        for (const std::size_t padding : {0, 1, 18}) {
          if (v6 && options > 0) continue;
          const Ends ends = v6 ? ends_v6() : Ends{};
          const FrameExtras extras{
              .vlans = std::vector<std::uint16_t>(tags, 7), .ip_options = Bytes(options, 1), .padding = padding};
          const Bytes frame = frame_of(ends, payload, extras);
          const auto parsed = parse_udp_frame(view(frame));
          ASSERT_TRUE(parsed) << tags << ' ' << options << ' ' << padding << ' ' << v6;
          EXPECT_EQ(ip_of(parsed->source), ends.from_ip);
          EXPECT_EQ(ip_of(parsed->destination), ends.to_ip);
          EXPECT_EQ(parsed->source.port, ends.from_port);
          EXPECT_EQ(parsed->destination.port, ends.to_port);
          EXPECT_EQ(payload_of(frame, parsed->layout), payload);
          EXPECT_FALSE(parsed->truncated);
          EXPECT_EQ(parsed->layout.v6, v6);
        }
      }
    }
  }
}

TEST(Ethernet, EveryCutIsRefusedOrToldTruncated) {
  const Bytes payload = random_datagrams({64}, 2).front();
  for (const bool v6 : {false, true}) {
    const Bytes whole = frame_of(v6 ? ends_v6() : Ends{}, payload, {.vlans = {5}});
    const std::size_t headers = whole.size() - payload.size();
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto parsed = parse_udp_frame(view(frame));
      if (size < headers) {
        ASSERT_FALSE(parsed) << size;
        EXPECT_EQ(parsed.error(), FrameRefusal::malformed) << size;
      } else {
        ASSERT_TRUE(parsed) << size;
        EXPECT_TRUE(parsed->truncated);
        EXPECT_EQ(parsed->layout.payload_bytes, size - headers);
      }
    }
  }
}

struct Wrong {
  const char* what;
  FrameRefusal refusal;
  Bytes frame;
};

Bytes changed(Bytes frame, std::size_t at, std::uint8_t value) {
  frame.at(at) = value;
  return frame;
}

/// Byte 14 is the first of IP, 34 (54 with version 6) the first of UDP. IPv4's checksum is made right again.
Bytes changed_ip(const Bytes& frame, std::size_t at, std::uint8_t value) {
  Bytes other = changed(frame, at, value);
  other[24] = other[25] = 0;
  const std::size_t header_bytes = std::min<std::size_t>((other[14] & 15u) * 4, other.size() - 14);
  unsigned sum = 0;
  for (std::size_t i = 0; i < header_bytes; i += 2) sum += other[14 + i] * 256u + other[15 + i];
  while (sum > 0xffff) sum = sum % 65536 + sum / 65536;
  other[24] = static_cast<std::uint8_t>((0xffff - sum) >> 8);
  other[25] = static_cast<std::uint8_t>(0xffff - sum);
  return other;
}

TEST(Ethernet, SaysWhatIsWrong) {
  const Bytes payload(40, 9);
  const Bytes v4 = frame_of({}, payload);
  const Bytes v6 = frame_of(ends_v6(), payload);
  const Wrong cases[] = {
      {"ARP", FrameRefusal::foreign, changed(v4, 13, 0x06)},
      {"three tags", FrameRefusal::foreign, frame_of({}, payload, {.vlans = {1, 2, 3}})},
      {"TCP", FrameRefusal::foreign, frame_of({}, payload, {.protocol = 6})},
      {"TCP over IPv6", FrameRefusal::foreign, frame_of(ends_v6(), payload, {.protocol = 6})},
      {"hop-by-hop options", FrameRefusal::foreign, frame_of(ends_v6(), payload, {.protocol = 0})},
      {"first fragment", FrameRefusal::fragment, frame_of({}, payload, {.fragment = 0x2000})},
      {"last fragment", FrameRefusal::fragment, frame_of({}, payload, {.fragment = 0x0010})},
      {"fragment over IPv6", FrameRefusal::fragment, frame_of(ends_v6(), payload, {.protocol = 44})},
      {"version 5", FrameRefusal::malformed, changed_ip(v4, 14, 0x55)},
      {"version 4 in IPv6", FrameRefusal::malformed, changed(v6, 14, 0x40)},
      {"a header of 16 bytes", FrameRefusal::malformed, changed_ip(v4, 14, 0x44)},
      {"header checksum", FrameRefusal::malformed, changed(v4, 22, 99)},
      {"total length less than the header", FrameRefusal::malformed, changed_ip(changed(v4, 16, 0), 17, 19)},
      {"total length without UDP", FrameRefusal::malformed, changed_ip(changed(v4, 16, 0), 17, 27)},
      {"UDP of 7 bytes", FrameRefusal::malformed, changed(v4, 39, 7)},
      {"UDP longer than IP", FrameRefusal::malformed, changed(v4, 39, 49)},
      {"UDP over IPv6 longer than IP", FrameRefusal::malformed, changed(v6, 59, 49)},
      {"IPv6 without payload", FrameRefusal::malformed, changed(v6, 19, 0)},
  };
  for (const Wrong& wrong : cases) {
    const auto parsed = parse_udp_frame(view(wrong.frame));
    ASSERT_FALSE(parsed) << wrong.what;
    EXPECT_EQ(parsed.error(), wrong.refusal) << wrong.what;
  }
  EXPECT_TRUE(parse_udp_frame(view(frame_of({}, payload, {.fragment = 0x4000})))) << "don't fragment";
  EXPECT_TRUE(parse_udp_frame(view(changed(v4, 39, 47)))) << "UDP shorter than IP is allowed";
  EXPECT_TRUE(parse_udp_frame(view(changed(v4, 40, 77)))) << "UDP's checksum is the device's business";
}

Address address_of(const Bytes& ip, std::uint16_t port) {
  Address address{.v6 = ip.size() == 16, .port = port};
  std::ranges::copy(ip, address.ip.begin());
  return address;
}

TEST(Ethernet, AddressesAnew) {
  const Hop macs{.from_mac = {2, 9, 9, 9, 9, 1}, .to_mac = {2, 9, 9, 9, 9, 2}, .from = {}, .to = {}, .ttl = 33};
  for (const bool v6 : {false, true}) {
    for (const std::size_t bytes : {0, 1, 2, 35, 1400}) {
      const Ends before = v6 ? ends_v6() : Ends{};
      const FrameExtras extras{.vlans = {11}, .ip_options = Bytes(v6 ? 0 : 8, 1), .padding = 3};
      Bytes frame = frame_of(before, Bytes(bytes, 1), extras);
      const auto parsed = parse_udp_frame(view(frame));
      ASSERT_TRUE(parsed);
      const Bytes changed = random_datagrams({bytes}, bytes).front();
      std::ranges::copy(changed, frame.begin() + static_cast<std::ptrdiff_t>(parsed->layout.payload));
      Ends after = before;
      after.from_mac.assign(macs.from_mac.begin(), macs.from_mac.end());
      after.to_mac.assign(macs.to_mac.begin(), macs.to_mac.end());
      after.from_ip.back() = 77;
      after.to_ip.back() = 88;
      after.from_port = 1;
      after.to_port = 65535;
      Hop hop = macs;
      hop.from = address_of(after.from_ip, after.from_port);
      hop.to = address_of(after.to_ip, after.to_port);
      frame.resize(readdress(writable(frame), parsed->layout, hop));
      const auto read = read_frame(frame);
      ASSERT_TRUE(read) << bytes;
      EXPECT_EQ(read->ends, after);
      EXPECT_EQ(read->payload, changed);
      EXPECT_EQ(read->vlans, extras.vlans);
      EXPECT_EQ(read->ip_options, extras.ip_options);
      EXPECT_EQ(read->ttl, 33u);
      EXPECT_EQ(read->behind, 0u) << "the padding is gone";
      EXPECT_TRUE(read->ip_checksum_right && read->udp_checksum_right);
      EXPECT_EQ(read->udp_checksum_there, v6);
    }
  }
}

TEST(Ethernet, AChecksumOfZeroIsSentAsOnes) {
  const Ends ends = ends_v6();
  const net::udp::Hop hop{.from = address_of(ends.from_ip, ends.from_port), .to = address_of(ends.to_ip, ends.to_port)};
  Bytes payload(2, 0);
  for (const bool complement : {false, true}) {
    Bytes frame = frame_of(ends, payload);
    const auto parsed = parse_udp_frame(view(frame));
    ASSERT_TRUE(parsed);
    readdress(writable(frame), parsed->layout, hop);
    const Bytes checksum(frame.begin() + 60, frame.begin() + 62);
    EXPECT_EQ(checksum == Bytes({0xff, 0xff}), complement);
    payload = checksum;  // which, added, makes the sum all ones
  }
}

TEST(Ethernet, ATruncatedFrameIsSentAsAShorterOne) {
  for (const bool v6 : {false, true}) {
    const Bytes payload = random_datagrams({100}, 3).front();
    const Ends ends = v6 ? ends_v6() : Ends{};
    Bytes frame = frame_of(ends, payload);
    frame.resize(frame.size() - 60);
    const auto parsed = parse_udp_frame(view(frame));
    ASSERT_TRUE(parsed && parsed->truncated);
    const Hop hop{.from = address_of(ends.from_ip, 1), .to = address_of(ends.to_ip, 2)};
    EXPECT_EQ(readdress(writable(frame), parsed->layout, hop), frame.size());
    const auto read = read_frame(frame);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->payload, Bytes(payload.begin(), payload.begin() + 40));
    EXPECT_TRUE(read->ip_checksum_right && read->udp_checksum_right);
  }
}

TEST(Ethernet, MulticastHasAddressesOfItsOwn) {
  using net::udp::Mac;
  EXPECT_EQ(net::udp::multicast_mac(*parse_address("239.129.2.3", 1)), (Mac{0x01, 0x00, 0x5e, 0x01, 2, 3}));
  EXPECT_EQ(net::udp::multicast_mac(*parse_address("ff02::1:ff00:1234", 1)), (Mac{0x33, 0x33, 0xff, 0, 0x12, 0x34}));
}

/// Random frames and random damage: whatever is accepted lies within the frame, and can be addressed anew.
TEST(Ethernet, DamagedFramesStayWithinTheirBytes) {
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  unsigned accepted = 0;
  for (int round = 0; round < 5'000; ++round) {
    const bool v6 = random() % 2 == 0;
    const FrameExtras extras{.vlans = std::vector<std::uint16_t>(random() % 3, 1), .padding = random() % 5};
    Bytes frame = frame_of(v6 ? ends_v6() : Ends{}, Bytes(random() % 50, 1), extras);
    for (std::uint64_t i = random() % 4; i > 0; --i)
      frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
    frame.resize(frame.size() - random() % std::min<std::size_t>(frame.size(), 20));
    const auto parsed = parse_udp_frame(view(frame));
    if (!parsed) continue;
    ++accepted;
    const auto& layout = parsed->layout;
    ASSERT_TRUE(layout.ip < layout.udp && layout.udp + 8 == layout.payload);
    ASSERT_LE(layout.payload + layout.payload_bytes, frame.size());
    frame.resize(readdress(writable(frame), layout, {.from = parsed->destination, .to = parsed->source}));
    const auto again = parse_udp_frame(view(frame));
    ASSERT_TRUE(again && !again->truncated);
    ASSERT_TRUE(again->source == parsed->destination && again->destination == parsed->source);
  }
  EXPECT_GT(accepted, 300u);
}

}  // namespace
}  // namespace histod::test
