// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/port.hpp"

#include <algorithm>
#include <utility>

#include <pthread.h>
#include <sched.h>

#include "daemon/options.hpp"
#include "daemon/streams/dpdk_devices.hpp"
#include "net/udp/dpdk_port.hpp"
#include "net/udp/uring_port.hpp"

namespace histod::daemon::streams {

namespace udp = net::udp;

namespace {

constexpr unsigned k_dpdk_buffers = 8192;
constexpr std::size_t k_datagram_bytes = 9216;  ///< jumbo frames, where datagrams do not come joined

udp::Failure failure(std::errc code, std::string what) { return {std::make_error_code(code), std::move(what)}; }

std::expected<Port, udp::Failure> open_uring(const StreamConfig& config) {
  udp::UringOptions options;
  options.socket.local = config.listen;
  options.datagram_bytes = k_datagram_bytes;
  if (!config.interface.empty()) {
    const unsigned index = udp::interface_index(*udp::parse_address(config.interface, 0));
    if (index == 0)
      return std::unexpected(failure(std::errc::no_such_device, "no interface has the address " + config.interface));
    options.socket.multicast_interface_index = index;
  }
  if (config.listen.is_multicast())
    options.socket.memberships.push_back(
        {.group = config.listen, .source = {}, .interface_index = options.socket.multicast_interface_index});
  auto opened = udp::UringPort::open(options);
  if (!opened) return std::unexpected(std::move(opened.error()));
  auto absent = (*opened)->absent();
  return Port{std::move(*opened), std::move(absent)};
}

/// A device, and that the port's thread is known to DPDK.
struct DpdkSource {
  explicit DpdkSource(const udp::DpdkEal& eal) : thread(eal) {}
  udp::DpdkThread thread;
  std::optional<udp::DpdkPort> port;
};

std::expected<Port, udp::Failure> open_dpdk(const StreamConfig& config, DpdkHome& dpdk) {
  const auto eal = dpdk.eal();
  if (!eal) return std::unexpected(eal.error());
  auto device = device_named(config.dpdk_port, dpdk.config().pci);
  if (!device) return std::unexpected(failure(std::errc::no_such_device, std::move(device.error())));
  udp::DpdkOptions options;
  options.device = std::move(*device);
  options.local = config.listen;
  options.buffers = k_dpdk_buffers;
  if (config.listen.is_multicast()) {
    options.local = *udp::parse_address(config.interface, config.listen.port);
    options.groups.push_back(config.listen);
  }
  auto source = std::make_shared<DpdkSource>(**eal);
  auto opened = udp::DpdkPort::open(**eal, options);
  if (!opened) return std::unexpected(std::move(opened.error()));
  auto absent = opened->absent();
  udp::PacketSource& queue = source->port.emplace(std::move(*opened)).queue(0);
  return Port{std::shared_ptr<udp::PacketSource>(std::move(source), &queue), std::move(absent)};
}

}  // namespace

DpdkConfig dpdk_config(const Options& options) {
  DpdkConfig out;
  out.enabled = options.dpdk;
  out.huge_pages = options.dpdk_huge_pages;
  out.memory_mib = static_cast<unsigned>(options.dpdk_memory_bytes >> 20);
  out.pci = read_pci_addresses(options.dpdk_pci)
                .value_or(std::vector<std::string>{});  // what is wrong was refused with the options
  return out;
}

DpdkHome::~DpdkHome() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DpdkHome::main() {
  ::pthread_setname_np(::pthread_self(), "histod-eal");
  // EAL pins this thread, which has nothing to do but to end it; wherever it may be is good.
  auto started = udp::DpdkEal::start({.cpu = static_cast<unsigned>(std::max(0, ::sched_getcpu())),
                                      .pci = config_.pci,
                                      .huge_pages = config_.huge_pages,
                                      .memory_mib = config_.memory_mib,
                                      .file_prefix = {}});
  std::unique_lock lock(mutex_);
  if (started)
    eal_.emplace(std::move(*started));
  else
    failure_ = std::move(started.error());
  changed_.notify_all();
  changed_.wait(lock, [this] { return stopping_; });
  eal_.reset();
}

std::expected<const udp::DpdkEal*, udp::Failure> DpdkHome::eal() {
  if (!config_.enabled)
    return std::unexpected(failure(std::errc::operation_not_supported, "DPDK is not configured: start with --dpdk"));
  std::unique_lock lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { main(); });
  changed_.wait(lock, [this] { return eal_ || failure_; });
  if (failure_) return std::unexpected(*failure_);
  return &*eal_;
}

std::expected<Port, udp::Failure> open_port(const StreamConfig& config, DpdkHome& dpdk) {
  return config.backend == Backend::dpdk ? open_dpdk(config, dpdk) : open_uring(config);
}

}  // namespace histod::daemon::streams
