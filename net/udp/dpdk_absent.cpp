// SPDX-License-Identifier: Apache-2.0
#include "net/udp/dpdk_eal.hpp"
#include "net/udp/dpdk_port.hpp"

// In place of DPDK where it was not found when histod was built.

namespace histod::net::udp {

namespace {

Failure not_built() {
  return {std::make_error_code(std::errc::function_not_supported),
          "this build has no DPDK: install libdpdk-dev and build again"};
}

}  // namespace

class DpdkPort::Device {};

std::string dpdk_version() { return {}; }
std::string dpdk_log() { return {}; }

std::expected<DpdkEal, Failure> DpdkEal::start(const EalOptions&) { return std::unexpected(not_built()); }
DpdkEal::~DpdkEal() = default;

DpdkThread::DpdkThread(const DpdkEal&) {}
DpdkThread::~DpdkThread() = default;

std::expected<DpdkPort, Failure> DpdkPort::open(const DpdkEal&, const DpdkOptions&) {
  return std::unexpected(not_built());
}
DpdkPort::DpdkPort(DpdkPort&&) noexcept = default;
DpdkPort& DpdkPort::operator=(DpdkPort&&) noexcept = default;
DpdkPort::~DpdkPort() = default;
DpdkPort::DpdkPort(std::unique_ptr<Device> device) : device_(std::move(device)) {}
PacketSource& DpdkPort::queue(unsigned) { std::unreachable(); }
unsigned DpdkPort::queues() const { return 0; }
std::string DpdkPort::driver() const { return {}; }
std::vector<std::string> DpdkPort::absent() const { return {}; }

}  // namespace histod::net::udp
