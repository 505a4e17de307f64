// SPDX-License-Identifier: Apache-2.0
#include "net/udp/dpdk_port.hpp"

#include <algorithm>
#include <cerrno>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "net/udp/dpdk_queue.hpp"

namespace histod::net::udp {

namespace {

struct FreePool {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, FreePool>;

/// DPDK's calls return the negative errno.
Failure failed(int result, const std::string& what) {
  return {{result < 0 ? -result : rte_errno, std::system_category()}, what + ": " + dpdk_log()};
}

/// A packet socket's ring has 512 frames unless one says otherwise, and a picture that its sender sends at once has
/// thousands.
std::string with_ring(const std::string& device) {
  const auto says = [&](std::string_view argument) { return device.find(argument) != std::string::npos; };
  if (!device.starts_with("net_af_packet") || says("blocksz=") || says("framesz=") || says("framecnt=")) return device;
  return device + ",blocksz=65536,framesz=2048,framecnt=8192";
}

std::string name_of(const std::string& device) { return device.substr(0, device.find(',')); }

}  // namespace

/// A device from its probing (a virtual one) to its removal. Declared in order of life: the packets' memory goes last.
class DpdkPort::Device {
 public:
  Device(const DpdkOptions& options, const DpdkEal& eal) : options_(options), eal_(eal) {}
  ~Device();
  std::optional<Failure> open();
  PacketSource& queue(unsigned index) { return *queues_[index]; }
  unsigned queues() const { return static_cast<unsigned>(queues_.size()); }
  std::string driver() const { return info_.driver_name; }
  std::vector<std::string> absent() const;

 private:
  std::optional<Failure> find();
  std::optional<Failure> configure();
  std::optional<Failure> set_up_queue(std::uint16_t index);
  std::optional<Failure> take_groups();

  const DpdkOptions options_;
  const DpdkEal& eal_;  ///< which has to live as long as any thread of DPDK's
  bool removes_ = false, configured_ = false, started_ = false;
  bool spreads_ = false;
  std::uint16_t port_ = 0;
  std::uint16_t descriptors_in_ = 0, descriptors_out_ = 0;
  rte_eth_dev_info info_{};
  std::vector<Pool> pools_;
  std::vector<std::unique_ptr<DpdkQueue>> queues_;
};

DpdkPort::Device::~Device() {
  queues_.clear();
  if (started_) rte_eth_dev_stop(port_);
  if (removes_) {
    rte_dev_remove(info_.device);  // a card that is only closed cannot be had again before the process ends
  } else if (configured_) {
    rte_eth_dev_close(port_);
  }
}

std::optional<Failure> DpdkPort::Device::open() {
  const bool sane = options_.queues >= 1 && options_.queues <= 256 && options_.buffers >= 1 &&
                    options_.frame_bytes >= 64 && options_.frame_bytes <= 16'384 && !options_.local.is_any();
  if (!sane) {
    return Failure{std::make_error_code(std::errc::invalid_argument),
                   "a DPDK port wants an address of its own, 1 to 256 queues, and frames of 64 to 16384 bytes"};
  }
  if (auto failure = find()) return failure;
  if (auto failure = configure()) return failure;
  Mac mac{};
  rte_ether_addr address{};
  if (rte_eth_macaddr_get(port_, &address) == 0) std::ranges::copy(address.addr_bytes, mac.begin());
  for (std::uint16_t i = 0; i < options_.queues; ++i) {
    if (auto failure = set_up_queue(i)) return failure;
    queues_.push_back(std::make_unique<DpdkQueue>(port_, i, options_, mac, pools_[i].get(), i == 0));
  }
  if (auto failure = take_groups()) return failure;
  if (const int result = rte_eth_dev_start(port_); result != 0)
    return failed(result, options_.device + " does not start");
  started_ = true;
  return std::nullopt;
}

std::optional<Failure> DpdkPort::Device::find() {
  const std::string name = name_of(options_.device);
  const bool is_virtual = name.starts_with("net_");
  const bool there = rte_eth_dev_get_port_by_name(name.c_str(), &port_) == 0;
  // EAL has probed the cards that it was started with; one that was closed here since then is probed anew.
  if (!there && (is_virtual || eal_.allows(name))) {
    if (const int result = rte_dev_probe(with_ring(options_.device).c_str()); result != 0) {
      return failed(result, "cannot have " + options_.device);
    }
  }
  if (const int result = rte_eth_dev_get_port_by_name(name.c_str(), &port_); result != 0) {
    return Failure{{-result, std::system_category()},
                   "no device " + name + " that DPDK has a driver for, could take, and was allowed to: " + eal_.said()};
  }
  if (const int result = rte_eth_dev_info_get(port_, &info_); result != 0) return failed(result, name);
  removes_ = !there || !is_virtual;
  return std::nullopt;
}

std::optional<Failure> DpdkPort::Device::configure() {
  const std::string name = name_of(options_.device);
  if (options_.queues > info_.max_rx_queues || options_.queues > info_.max_tx_queues) {
    return failed(-EINVAL,
                  name + " has only " + std::to_string(std::min(info_.max_rx_queues, info_.max_tx_queues)) + " queues");
  }
  rte_eth_conf wanted{};
  constexpr std::uint64_t k_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
  wanted.rxmode.offloads = info_.rx_offload_capa & k_checksums;
  constexpr std::uint64_t k_flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP;
  if (options_.queues > 1 && (info_.flow_type_rss_offloads & k_flows) != 0) {
    wanted.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    wanted.rx_adv_conf.rss_conf.rss_hf = info_.flow_type_rss_offloads & k_flows;
    spreads_ = true;
  }
  const auto queues = static_cast<std::uint16_t>(options_.queues);
  if (const int result = rte_eth_dev_configure(port_, queues, queues, &wanted); result != 0) {
    return failed(result, "cannot configure " + name);
  }
  configured_ = true;
  descriptors_in_ = descriptors_out_ = static_cast<std::uint16_t>(std::min(options_.descriptors, 32'768u));
  if (const int result = rte_eth_dev_adjust_nb_rx_tx_desc(port_, &descriptors_in_, &descriptors_out_); result != 0) {
    return failed(result, "descriptors of " + name);
  }
  return std::nullopt;
}

std::optional<Failure> DpdkPort::Device::set_up_queue(std::uint16_t index) {
  constexpr unsigned k_cache = 128;
  // A cache keeps buffers from others; few are not divided.
  const unsigned cache = options_.buffers >= 16 * k_cache ? k_cache : 0;
  const std::string name = "histod_" + std::to_string(port_) + "_" + std::to_string(index);
  const auto room = static_cast<std::uint16_t>(options_.frame_bytes + RTE_PKTMBUF_HEADROOM);
  const int socket = rte_eth_dev_socket_id(port_);
  Pool pool(
      rte_pktmbuf_pool_create(name.c_str(), options_.buffers, cache, 0, room, socket < 0 ? SOCKET_ID_ANY : socket));
  if (!pool) return failed(-rte_errno, "no memory for " + std::to_string(options_.buffers) + " frames");
  const auto node = static_cast<unsigned>(socket);
  int result = rte_eth_rx_queue_setup(port_, index, descriptors_in_, node, nullptr, pool.get());
  if (result == 0) result = rte_eth_tx_queue_setup(port_, index, descriptors_out_, node, nullptr);
  pools_.push_back(std::move(pool));
  if (result != 0) return failed(result, "queue " + std::to_string(index) + " of " + options_.device);
  return std::nullopt;
}

std::optional<Failure> DpdkPort::Device::take_groups() {
  if (options_.groups.empty()) return std::nullopt;
  std::vector<rte_ether_addr> macs;
  for (const Address& group : options_.groups) {
    const Mac mac = multicast_mac(group);
    std::ranges::copy(mac, macs.emplace_back().addr_bytes);
  }
  int result = rte_eth_dev_set_mc_addr_list(port_, macs.data(), static_cast<std::uint32_t>(macs.size()));
  if (result != 0) result = rte_eth_allmulticast_enable(port_);
  if (result != 0) result = rte_eth_promiscuous_enable(port_);
  if (result == 0) return std::nullopt;
  return failed(result, options_.device + " takes no multicast");
}

std::vector<std::string> DpdkPort::Device::absent() const {
  std::vector<std::string> absent;
  if (options_.queues > 1 && !spreads_) {
    absent.emplace_back("RSS: the driver spreads flows over queues in its own way, or not at all");
  }
  if (driver() == "net_af_packet") {
    absent.emplace_back(
        "a count of what the kernel dropped: the driver does not ask for it, so gaps in the streams have to tell");
  }
  return absent;
}

std::expected<DpdkPort, Failure> DpdkPort::open(const DpdkEal& eal, const DpdkOptions& options) {
  auto device = std::make_unique<Device>(options, eal);
  dpdk_log();  // of what was before
  if (auto failure = device->open()) return std::unexpected(std::move(*failure));
  return DpdkPort(std::move(device));
}

DpdkPort::DpdkPort(std::unique_ptr<Device> device) : device_(std::move(device)) {}
DpdkPort::DpdkPort(DpdkPort&&) noexcept = default;
DpdkPort& DpdkPort::operator=(DpdkPort&&) noexcept = default;
DpdkPort::~DpdkPort() = default;

PacketSource& DpdkPort::queue(unsigned index) { return device_->queue(index); }
unsigned DpdkPort::queues() const { return device_->queues(); }
std::string DpdkPort::driver() const { return device_->driver(); }
std::vector<std::string> DpdkPort::absent() const { return device_->absent(); }

}  // namespace histod::net::udp
