// SPDX-License-Identifier: Apache-2.0
#include "tests/net/udp_frames.hpp"

#include <fstream>
#include <iterator>
#include <random>

namespace histod::test {

namespace {

Bytes big16(unsigned value) { return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)}; }
Bytes little32(unsigned value) {
  Bytes bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  return bytes;
}
unsigned word(const Bytes& bytes, std::size_t at) { return bytes.at(at) * 256u + bytes.at(at + 1); }
Bytes cut(const Bytes& bytes, std::size_t at, std::size_t count) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + count)};
}

/// Ones' complement addition, word by word, as RFC 1071 describes it.
unsigned ones_sum(Bytes bytes) {
  if (bytes.size() % 2 == 1) bytes.push_back(0);
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += word(bytes, i);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

unsigned pseudo_sum(const Bytes& from, const Bytes& to, const Bytes& datagram, unsigned protocol) {
  return ones_sum(from + to + big16(0) + big16(protocol) + big16(static_cast<unsigned>(datagram.size())) + datagram);
}

Bytes ip_header(const Ends& ends, std::size_t datagram_bytes, const FrameExtras& extras) {
  const auto bytes = static_cast<unsigned>(datagram_bytes);
  if (ends.from_ip.size() == 16) {
    return Bytes{0x60, 0, 0, 0} + big16(bytes) + Bytes{extras.protocol, extras.ttl} + ends.from_ip + ends.to_ip;
  }
  const auto header_bytes = static_cast<unsigned>(20 + extras.ip_options.size());
  Bytes header = Bytes{static_cast<std::uint8_t>(0x40 + header_bytes / 4), 0} + big16(header_bytes + bytes) +
                 big16(0x1234) + big16(extras.fragment) + Bytes{extras.ttl, extras.protocol, 0, 0} + ends.from_ip +
                 ends.to_ip + extras.ip_options;
  const Bytes checksum = big16(0xffff - ones_sum(header));
  header[10] = checksum[0];
  header[11] = checksum[1];
  return header;
}

}  // namespace

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes frame_of(const Ends& ends, const Bytes& payload, const FrameExtras& extras) {
  Bytes frame = ends.to_mac + ends.from_mac;
  for (const std::uint16_t vlan : extras.vlans) frame = frame + big16(0x8100) + big16(vlan);
  frame = frame + big16(ends.from_ip.size() == 16 ? 0x86dd : 0x0800);
  Bytes datagram = big16(ends.from_port) + big16(ends.to_port) + big16(static_cast<unsigned>(payload.size() + 8)) +
                   big16(0) + payload;
  const unsigned sum = 0xffff - pseudo_sum(ends.from_ip, ends.to_ip, datagram, 17);
  const Bytes checksum = big16(sum == 0 ? 0xffff : sum);
  datagram[6] = checksum[0];
  datagram[7] = checksum[1];
  return frame + ip_header(ends, datagram.size(), extras) + datagram + Bytes(extras.padding, 0xee);
}

std::optional<ReadFrame> read_frame(const Bytes& frame) try {
  ReadFrame read;
  read.ends.to_mac = cut(frame, 0, 6);
  read.ends.from_mac = cut(frame, 6, 6);
  std::size_t at = 12;
  for (; word(frame, at) == 0x8100; at += 4) read.vlans.push_back(static_cast<std::uint16_t>(word(frame, at + 2)));
  const bool v6 = word(frame, at) == 0x86dd;
  if (!v6 && word(frame, at) != 0x0800) return std::nullopt;
  const std::size_t ip = at + 2;
  const std::size_t header_bytes = v6 ? 40 : (frame.at(ip) & 15u) * 4;
  const std::size_t datagram_bytes = v6 ? word(frame, ip + 4) : word(frame, ip + 2) - header_bytes;
  if (frame.at(ip + (v6 ? 6 : 9)) != 17) return std::nullopt;
  read.ttl = frame.at(ip + (v6 ? 7 : 8));
  const std::size_t address_bytes = v6 ? 16 : 4;
  const std::size_t addresses = ip + (v6 ? 8 : 12);
  read.ends.from_ip = cut(frame, addresses, address_bytes);
  read.ends.to_ip = cut(frame, addresses + address_bytes, address_bytes);
  if (!v6) {
    read.ip_options = cut(frame, ip + 20, header_bytes - 20);
    read.ip_checksum_right = ones_sum(cut(frame, ip, header_bytes)) == 0xffff;
  }
  if (frame.size() < ip + header_bytes + datagram_bytes) return std::nullopt;
  const Bytes datagram = cut(frame, ip + header_bytes, datagram_bytes);
  if (word(datagram, 4) != datagram_bytes) return std::nullopt;
  read.ends.from_port = static_cast<std::uint16_t>(word(datagram, 0));
  read.ends.to_port = static_cast<std::uint16_t>(word(datagram, 2));
  read.udp_checksum_there = word(datagram, 6) != 0;
  const bool right = pseudo_sum(read.ends.from_ip, read.ends.to_ip, datagram, 17) == 0xffff;
  read.udp_checksum_right = read.udp_checksum_there ? right : !v6;
  read.payload = cut(datagram, 8, datagram_bytes - 8);
  read.behind = frame.size() - ip - header_bytes - datagram_bytes;
  return read;
} catch (const std::out_of_range&) {
  return std::nullopt;
}

void write_pcap(const std::filesystem::path& file, const std::vector<Bytes>& frames) {
  Bytes all = little32(0xa1b2c3d4) + Bytes{2, 0, 4, 0} + little32(0) + little32(0) + little32(65535) + little32(1);
  for (const Bytes& frame : frames) {
    const auto bytes = static_cast<unsigned>(frame.size());
    all = all + little32(0) + little32(0) + little32(bytes) + little32(bytes) + frame;
  }
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(all.data()), static_cast<std::streamsize>(all.size()));
}

std::vector<Bytes> read_pcap(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const Bytes all{std::istreambuf_iterator<char>(in), {}};
  std::vector<Bytes> frames;
  for (std::size_t at = 24; at + 16 <= all.size();) {
    const std::size_t bytes = all.at(at + 8) + 256u * all.at(at + 9);
    frames.push_back(cut(all, at + 16, bytes));
    at += 16 + bytes;
  }
  return frames;
}

std::vector<Bytes> random_datagrams(const std::vector<std::size_t>& sizes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Bytes> datagrams;
  for (const std::size_t size : sizes) {
    Bytes& bytes = datagrams.emplace_back(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  }
  return datagrams;
}

}  // namespace histod::test
