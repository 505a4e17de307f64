// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <gtest/gtest.h>

#include "net/rtp/packet.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::Fault;
using net::rtp::Header;
using net::rtp::parse_packet;

Octets words(const std::vector<std::uint32_t>& values) {
  Octets out(values.size() * 4);
  for (std::size_t i = 0; i < values.size(); ++i) put_bits(out, i * 32, 32, values[i]);
  return out;
}

/// What the code under test and the oracle read of one datagram must be the same.
void expect_as_naive(const Octets& datagram) {
  const auto naive = naive_rtp(datagram);
  const auto packet = parse_packet(datagram);
  ASSERT_EQ(packet.has_value(), naive.has_value());
  if (!packet) return;
  EXPECT_EQ(packet->header, (Header{.marker = naive->marker == 1,
                                    .payload_type = static_cast<std::uint8_t>(naive->payload_type),
                                    .sequence_number = static_cast<std::uint16_t>(naive->sequence_number),
                                    .timestamp = naive->timestamp,
                                    .ssrc = naive->ssrc}));
  EXPECT_EQ(Octets(packet->csrc.begin(), packet->csrc.end()), words(naive->csrc));
  ASSERT_EQ(packet->extension.has_value(), naive->extension_profile.has_value());
  if (packet->extension) {
    EXPECT_EQ(packet->extension->profile, *naive->extension_profile);
    EXPECT_EQ(Octets(packet->extension->data.begin(), packet->extension->data.end()), naive->extension);
  }
  const auto payload = std::span(datagram).subspan(packet->payload_begin, packet->payload_octets);
  EXPECT_EQ(Octets(payload.begin(), payload.end()), naive->payload);
  EXPECT_EQ(packet->padding_octets, naive->padding);
}

TEST(RtpPacket, ReadsTheFieldsOfTheFigure) {
  // V=2, no padding, no extension, no CSRC; M, PT 96; 0x1234; 0x89abcdef; 0xfedcba98; two octets of payload.
  const Octets datagram = octets({0x80, 0xe0, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 7, 8});
  const auto packet = parse_packet(datagram);
  ASSERT_TRUE(packet.has_value());
  EXPECT_EQ(
      packet->header,
      (Header{
          .marker = true, .payload_type = 96, .sequence_number = 0x1234, .timestamp = 0x89abcdef, .ssrc = 0xfedcba98}));
  EXPECT_EQ(packet->payload_begin, 12u);
  EXPECT_EQ(packet->payload_octets, 2u);
}

TEST(RtpPacket, NamesWhatIsWrong) {
  const Octets good = octets({0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3});
  const auto fault = [](Octets datagram) { return parse_packet(datagram).error(); };
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(fault(Octets(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))), Fault::header_truncated);
  }
  for (const int version : {0, 1, 3}) {
    Octets other = good;
    put_bits(other, 0, 2, static_cast<unsigned>(version));
    EXPECT_EQ(fault(other), Fault::version_unknown);
  }
  Octets sources = good;
  put_bits(sources, 4, 4, 2);
  sources.resize(12 + 7);
  EXPECT_EQ(fault(sources), Fault::csrc_truncated);
  Octets extended = good;
  put_bits(extended, 3, 1, 1);
  extended.resize(12 + 3);
  EXPECT_EQ(fault(extended), Fault::extension_truncated);
  extended.resize(12 + 4 + 7);
  put_bits(extended, 12 * 8 + 16, 16, 2);
  EXPECT_EQ(fault(extended), Fault::extension_truncated);
  Octets padded = good;
  put_bits(padded, 2, 1, 1);
  put_bits(padded, 11 * 8, 8, 1);  // the last octet is the SSRC's: there is no padding behind the header
  EXPECT_EQ(fault(padded), Fault::padding_invalid);
  for (const auto& [count, good_count] : {std::pair(0, false), std::pair(3, true), std::pair(4, false)}) {
    Octets tail = padded;
    tail.resize(12 + 3);
    tail.back() = static_cast<std::byte>(count);
    EXPECT_EQ(parse_packet(tail).has_value(), good_count) << count;
  }
}

TEST(RtpPacket, ReadsNoiseAsTheOracleDoes) {
  Random random(1);
  int good = 0;
  for (int turn = 0; turn < 4000; ++turn) {
    // Of exactly this size, so that a sanitizer sees what is read beyond.
    Octets datagram(random() % 120);
    for (std::byte& octet : datagram) octet = static_cast<std::byte>(random());
    if (datagram.size() > 2 && turn % 8 != 0) put_bits(datagram, 0, 2, 2);
    if (datagram.size() > 2 && turn % 2 == 0) put_bits(datagram, 4, 4, random() % 4);
    if (turn % 3 == 0 && datagram.size() > 40)
      put_bits(datagram, (12 + (bits_at(datagram, 4, 4) % 4) * 4 + 2) * 8, 16, random() % 8);
    if (!datagram.empty() && turn % 3 != 1) datagram.back() = static_cast<std::byte>(random() % 24);
    expect_as_naive(datagram);
    good += naive_rtp(datagram).has_value() ? 1 : 0;
  }
  EXPECT_GT(good, 1000) << "else little was compared";
}

TEST(RtpPacket, WritesWhatTheOracleReads) {
  Random random(2);
  for (int turn = 0; turn < 500; ++turn) {
    const Header header{.marker = random() % 2 == 0,
                        .payload_type = static_cast<std::uint8_t>(random() % 128),
                        .sequence_number = static_cast<std::uint16_t>(random()),
                        .timestamp = random(),
                        .ssrc = random()};
    std::vector<std::uint32_t> sources(random() % (net::rtp::k_csrc_max + 1));
    for (auto& source : sources) source = random();
    Octets data(random() % 5 * 4, std::byte{0x5a});
    const net::rtp::Extension extension{static_cast<std::uint16_t>(random()), data};
    const std::size_t padding = turn % 2 == 0 ? 0 : 1 + random() % 255;
    const net::rtp::HeaderOptions options{
        .csrc = sources, .extension = random() % 2 == 0 ? &extension : nullptr, .padding = padding != 0};
    Octets datagram(net::rtp::header_octets(options) + 3 + padding, std::byte{0x77});
    ASSERT_EQ(net::rtp::write_header(datagram, header, options), net::rtp::header_octets(options));
    if (padding != 0) net::rtp::write_padding(std::span(datagram).last(padding));
    const auto naive = naive_rtp(datagram);
    ASSERT_TRUE(naive.has_value());
    EXPECT_EQ(naive->csrc, sources);
    EXPECT_EQ(naive->extension_profile.has_value(), options.extension != nullptr);
    if (options.extension != nullptr) {
      EXPECT_EQ(naive->extension, data);
    }
    EXPECT_EQ(naive->padding, padding);
    EXPECT_EQ(naive->payload, Octets(3, std::byte{0x77}));
    EXPECT_EQ(naive->sequence_number, header.sequence_number);
    expect_as_naive(datagram);
  }
}

TEST(RtpPacket, EveryFaultHasANameOfItsOwn) {
  std::map<std::string_view, int> names;
  for (std::size_t i = 0; i < net::rtp::k_faults; ++i) ++names[net::rtp::name_of(static_cast<Fault>(i))];
  EXPECT_EQ(names.size(), net::rtp::k_faults);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(net::rtp::name_of(Fault::line_not_of_field), "line_not_of_field");
  EXPECT_EQ(net::rtp::name_of(Fault::segments_out_of_order), "segments_out_of_order");
}

}  // namespace
}  // namespace histod::test
