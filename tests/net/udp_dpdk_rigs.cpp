// SPDX-License-Identifier: Apache-2.0
#include "tests/net/udp_dpdk_rigs.hpp"

#include <filesystem>
#include <optional>
#include <stdexcept>

#include <sched.h>
#include <unistd.h>

#include "tests/net/udp_sockets.hpp"

// The tests of all ports over three of DPDK's virtual devices.

namespace histod::test {

using net::udp::Address;
using net::udp::DpdkOptions;
using net::udp::DpdkPort;
using net::udp::PacketSource;
using net::udp::parse_address;
using net::udp::Target;

namespace {

constexpr std::size_t k_headers = 14 + 20 + 8;
constexpr std::uint16_t k_port = 5004;

unsigned this_cpu() {
  cpu_set_t allowed{};
  ::sched_getaffinity(0, sizeof(allowed), &allowed);
  unsigned cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) ++cpu;
  return cpu;
}

Address address_of(const Bytes& ip, std::uint16_t port) {
  const auto part = [&](std::size_t i) { return std::to_string(ip.at(i)); };
  return *parse_address(part(0) + "." + part(1) + "." + part(2) + "." + part(3), port);
}

/// What frames that a test makes itself say; what comes back must say the same with both ends changed.
struct Ways {
  Ends in;
  Ends out;
  Ways() {
    out.from_mac = {0, 0, 0, 0, 0, 0};  // of net_ring and of a capture file
    out.to_mac = in.from_mac;
    out.from_ip = in.to_ip;
    out.to_ip = {192, 0, 2, 9};
    out.from_port = in.to_port;
    out.to_port = 6000;
  }
  Address local() const { return address_of(in.to_ip, in.to_port); }
  Address source() const { return address_of(in.from_ip, in.from_port); }
  Target sink() const { return {.to = address_of(out.to_ip, out.to_port)}; }
};

std::vector<Bytes> frames_of(const Ways& ways, const std::vector<Bytes>& datagrams) {
  std::vector<Bytes> frames;
  for (const Bytes& bytes : datagrams) frames.push_back(frame_of(ways.in, bytes));
  return frames;
}

std::vector<Bytes> payloads_of(const Ways& ways, const std::vector<Bytes>& frames, bool any_mac) {
  std::vector<Bytes> payloads;
  for (const Bytes& frame : frames) {
    auto read = read_frame(frame);
    if (!read) throw std::runtime_error("what was sent is no UDP");
    if (any_mac) read->ends.from_mac = ways.out.from_mac;
    EXPECT_EQ(read->ends, ways.out);
    EXPECT_TRUE(read->ip_checksum_right && read->udp_checksum_right);
    payloads.push_back(read->payload);
  }
  return payloads;
}

DpdkOptions options_for(const std::string& device, const Address& local, const PortSize& size, std::size_t longest) {
  DpdkOptions options{.device = device, .local = local, .buffers = size.buffers};
  options.frame_bytes = longest + k_headers;
  return options;
}

class RingRig final : public Rig {
 public:
  PacketSource& open(const PortSize& size, const std::vector<Bytes>& datagrams) override {
    close();
    ring_ = std::make_unique<FrameRing>();
    room_ = longest(size.small);
    port_ = open_dpdk(options_for(ring_->device(), ways_.local(), size, longest(size.small)));
    EXPECT_EQ(port_->driver(), "net_ring");
    deliver(datagrams);
    return port_->queue(0);
  }
  bool deliver(const std::vector<Bytes>& datagrams) override {
    std::vector<Bytes> frames = frames_of(ways_, datagrams);
    for (Bytes& frame : frames) frame.resize(std::min(frame.size(), room_ + k_headers));  // as a device would
    ring_->put(frames);
    return true;
  }
  Address source() const override { return ways_.source(); }
  Target sink() const override { return ways_.sink(); }
  void close() override {
    port_.reset();
    ring_.reset();
  }
  std::vector<Bytes> collect(std::size_t) override { return payloads_of(ways_, ring_->take(), false); }
  bool sends_in_memory_of_its_own() const override { return true; }

 private:
  Ways ways_;
  std::size_t room_ = 0;
  std::unique_ptr<FrameRing> ring_;
  std::optional<DpdkPort> port_;
};

class PcapRig final : public Rig {
 public:
  PcapRig() {
    std::string pattern = (std::filesystem::temp_directory_path() / "histod_pcap_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    eal();
  }
  ~PcapRig() override {
    close();
    std::filesystem::remove_all(folder_);
  }
  PacketSource& open(const PortSize& size, const std::vector<Bytes>& datagrams) override {
    close();
    write_pcap(folder_ / "in.pcap", frames_of(ways_, datagrams));
    const std::string files =
        "rx_pcap=" + (folder_ / "in.pcap").string() + ",tx_pcap=" + (folder_ / "out.pcap").string();
    port_ = open_dpdk(options_for("net_pcap0," + files, ways_.local(), size, longest(size.small)));
    EXPECT_EQ(port_->driver(), "net_pcap");
    return port_->queue(0);
  }
  bool deliver(const std::vector<Bytes>&) override { return false; }
  Address source() const override { return ways_.source(); }
  Target sink() const override { return ways_.sink(); }
  void close() override { port_.reset(); }
  std::vector<Bytes> collect(std::size_t) override {
    close();
    return payloads_of(ways_, read_pcap(folder_ / "out.pcap"), true);
  }
  bool loses_when_starved() const override { return true; }

 private:
  Ways ways_;
  std::filesystem::path folder_;
  std::optional<DpdkPort> port_;
};

/// Both ends' kernels are real: the far one sends and receives by plain sockets, the near one answers ARP.
class VethRig final : public Rig {
 public:
  VethRig(std::unique_ptr<Cable> cable, bool v6) : v6_(v6), cable_(std::move(cable)) {
    eal();
    cable_->go_far();
    sender_ = std::make_unique<PlainSocket>(Cable::far_ip(v6));
    sink_ = std::make_unique<PlainSocket>(Cable::far_ip(v6));
    cable_->go_near();
  }
  PacketSource& open(const PortSize& size, const std::vector<Bytes>& datagrams) override {
    close();
    // The driver takes whole frames of 1 or 2 KiB less its own header of 66 bytes.
    const std::string device = std::string("net_af_packet0,iface=") + Cable::k_near_device +
                               (size.small ? ",framesz=1024,blocksz=4096" : ",framesz=2048,blocksz=4096");
    local_ = *parse_address(Cable::near_ip(v6_), k_port);
    port_ = open_dpdk(options_for(device, local_, size, 2048));
    EXPECT_EQ(port_->driver(), "net_af_packet");
    deliver(datagrams);
    return port_->queue(0);
  }
  bool deliver(const std::vector<Bytes>& datagrams) override {
    for (const Bytes& bytes : datagrams) EXPECT_TRUE(sender_->send(local_, bytes));
    return true;
  }
  Address source() const override { return sender_->address(); }
  Target sink() const override { return {.to = sink_->address()}; }
  std::size_t longest(bool small) const override { return Rig::longest(small) - (v6_ ? 20 : 0); }
  void close() override { port_.reset(); }
  std::vector<Bytes> collect(std::size_t count) override { return sink_->receive(count); }

 private:
  const bool v6_;
  Address local_;
  std::unique_ptr<Cable> cable_;
  std::unique_ptr<PlainSocket> sender_, sink_;
  std::optional<DpdkPort> port_;
};

}  // namespace

const net::udp::DpdkEal& eal() {
  static const auto started = net::udp::DpdkEal::start({.cpu = this_cpu(), .huge_pages = false, .memory_mib = 128});
  if (!started) throw std::runtime_error(started.error().what);
  return *started;
}

DpdkPort open_dpdk(const DpdkOptions& options) {
  auto port = DpdkPort::open(eal(), options);
  if (!port) throw std::runtime_error(port.error().what + ": " + port.error().code.message());
  return std::move(*port);
}

Surroundings over_net_ring() {
  return {"net_ring", [](std::string&) { return std::make_unique<RingRig>(); }};
}

Surroundings over_net_pcap() {
  return {"net_pcap", [](std::string&) { return std::make_unique<PcapRig>(); }};
}

Surroundings over_net_af_packet(bool v6) {
  return {v6 ? "net_af_packet_ipv6" : "net_af_packet", [v6](std::string& why) -> std::unique_ptr<Rig> {
            auto cable = Cable::lay(why);
            return cable ? std::make_unique<VethRig>(std::move(cable), v6) : nullptr;
          }};
}

}  // namespace histod::test
