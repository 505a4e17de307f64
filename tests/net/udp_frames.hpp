// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Ethernet frames and pcap files, written and read naively, and without anything of net/udp.

namespace histod::test {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes left, const Bytes& right);

/// Where a datagram goes, in the words of the wire.
struct Ends {
  Bytes from_mac{2, 0, 0, 0, 0, 1}, to_mac{2, 0, 0, 0, 0, 2};
  Bytes from_ip{192, 0, 2, 1}, to_ip{192, 0, 2, 2};  ///< 4 or 16 bytes
  std::uint16_t from_port = 4000, to_port = 5004;

  bool operator==(const Ends&) const = default;
};

struct FrameExtras {
  std::vector<std::uint16_t> vlans{};  ///< the outermost first
  Bytes ip_options{};                  ///< of IPv4, a multiple of four
  std::uint16_t fragment = 0;          ///< IPv4's flags and offset
  std::uint8_t protocol = 17;
  std::uint8_t ttl = 3;
  std::size_t padding = 0;
};

Bytes frame_of(const Ends& ends, const Bytes& payload, const FrameExtras& extras = {});

struct ReadFrame {
  Ends ends;
  Bytes payload;
  std::vector<std::uint16_t> vlans;
  Bytes ip_options;
  unsigned ttl = 0;
  bool ip_checksum_right = true;
  bool udp_checksum_there = false;
  bool udp_checksum_right = true;  ///< or not there, over IPv4
  std::size_t behind = 0;          ///< bytes behind the datagram
};

/// Nothing when it is no whole UDP datagram.
std::optional<ReadFrame> read_frame(const Bytes& frame);

/// A capture file of Ethernet frames; `lengths` of which there is more on the wire than was captured, or empty.
void write_pcap(const std::filesystem::path& file, const std::vector<Bytes>& frames);
std::vector<Bytes> read_pcap(const std::filesystem::path& file);

/// Datagrams of these sizes with random bytes.
std::vector<Bytes> random_datagrams(const std::vector<std::size_t>& sizes, std::uint64_t seed);

}  // namespace histod::test
