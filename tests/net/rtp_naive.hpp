// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "net/rtp/format.hpp"
#include "net/rtp/payload.hpp"

// RFC 3550 and RFC 4175 read a bit at a time from the RFCs' figures, with none of the code under test: the oracle.

namespace histod::test {

using Octets = std::vector<std::byte>;

inline Octets octets(const std::vector<int>& values) {
  Octets out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

/// std::mt19937 with results of 32 bits, so that arithmetic with them stays in unsigned.
struct Random {
  using result_type = std::uint32_t;
  explicit Random(unsigned seed) : engine(seed) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xffffffff; }
  result_type operator()() { return static_cast<result_type>(engine()); }
  std::mt19937 engine;
};

/// Component ("Y", "CB", ..., of the pixel), row of the frame, pixel: value.
using NaiveFrame = std::map<std::tuple<std::string, unsigned, unsigned>, unsigned>;

struct NaiveLine {
  unsigned length = 0, field = 0, line = 0, offset = 0;
};

struct NaivePacket {
  unsigned marker = 0, payload_type = 0, sequence_number = 0, padding = 0;
  std::uint32_t timestamp = 0, ssrc = 0;
  std::vector<std::uint32_t> csrc;
  std::optional<unsigned> extension_profile;
  Octets extension;
  Octets payload;
  // Of RFC 4175, when read by naive_video():
  unsigned extended = 0;
  std::vector<NaiveLine> lines;
  NaiveFrame samples;
};

std::uint64_t bits_at(std::span<const std::byte> octets, std::size_t first_bit, unsigned bits);
void put_bits(std::span<std::byte> octets, std::size_t first_bit, unsigned bits, std::uint64_t value);

/// None for what is no RTP packet.
std::optional<NaivePacket> naive_rtp(std::span<const std::byte> datagram);
/// None for what is no packet of this video; see payload.hpp for what is asked of one.
std::optional<NaivePacket> naive_video(std::span<const std::byte> datagram, const net::rtp::VideoFormat& format);

/// RFC 4175, 4.3, its tables and figures: octets, pixels along a line, lines, and the samples ("Y01": row 0, pixel 1).
struct NaivePgroup {
  std::string sampling;
  unsigned depth, octets, width, height;
  std::string samples;
};
const std::vector<NaivePgroup>& naive_pgroups();
const NaivePgroup& naive_pgroup(const net::rtp::VideoFormat& format);

/// All samples of a frame, of seeded noise.
NaiveFrame naive_noise(const net::rtp::VideoFormat& format, Random& random);

/// The samples of one packet, by what the code under test says of where they lie.
NaiveFrame samples_of_payload(std::span<const std::byte> datagram, const net::rtp::Payload& payload,
                              const net::rtp::VideoFormat& format);
/// The other way: puts a frame's samples where a segment is to lie.
void put_segment(std::span<std::byte> packet, const net::rtp::Segment& segment, const net::rtp::VideoFormat& format,
                 const NaiveFrame& frame);

net::rtp::Raster raster_of(const net::rtp::VideoFormat& format);

}  // namespace histod::test
