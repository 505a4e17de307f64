// SPDX-License-Identifier: Apache-2.0
#include "tests/net/udp_rig.hpp"

#include <chrono>
#include <ostream>

namespace histod::test {

using net::udp::Packet;
using net::udp::PacketSource;

namespace {

constexpr std::chrono::seconds k_patience(10);

}  // namespace

void PrintTo(const Surroundings& surroundings, std::ostream* out) { *out << surroundings.name; }

std::string surroundings_name(const testing::TestParamInfo<Surroundings>& info) { return info.param.name; }

void PacketPort::SetUp() {
  std::string why;
  rig_ = GetParam().make(why);
  if (!rig_) GTEST_SKIP() << "skipped: " << why;
}

void PacketPort::TearDown() { rig_.reset(); }

Bytes copy_of(const Packet& packet) {
  const auto* const at = reinterpret_cast<const std::uint8_t*>(packet.payload().data());
  return {at, at + packet.payload().size()};
}

std::vector<Packet> receive(PacketSource& port, std::size_t count, std::size_t burst) {
  std::vector<Packet> all;
  auto last = std::chrono::steady_clock::now();
  while (all.size() < count && std::chrono::steady_clock::now() - last < k_patience) {
    std::vector<Packet> some(burst);
    const std::size_t got = port.receive(some);
    for (std::size_t i = 0; i < got; ++i) all.push_back(std::move(some[i]));
    if (got > 0) last = std::chrono::steady_clock::now();
    if (got == 0) port.wait(std::chrono::milliseconds(100));
  }
  return all;
}

std::vector<Bytes> receive_bytes(PacketSource& port, std::size_t count, std::size_t burst) {
  std::vector<Bytes> all;
  while (all.size() < count) {
    const std::vector<Packet> some = receive(port, 1, std::min(burst, count - all.size()));
    if (some.empty()) break;
    for (const Packet& packet : some) all.push_back(copy_of(packet));
  }
  return all;
}

}  // namespace histod::test
