// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/streams/config.hpp"
#include "net/udp/dpdk_eal.hpp"
#include "net/udp/packet_source.hpp"

namespace histod::daemon {
struct Options;
}

namespace histod::daemon::streams {

/// What DPDK is started with, once, by the first stream that asks for it.
struct DpdkConfig {
  bool enabled = false;
  std::vector<std::string> pci;
  bool huge_pages = true;
  unsigned memory_mib = 256;
};
DpdkConfig dpdk_config(const Options& options);

/// DPDK's environment and the thread that it belongs to, for as long as this lives.
class DpdkHome {
 public:
  explicit DpdkHome(DpdkConfig config) : config_(std::move(config)) {}
  ~DpdkHome();
  DpdkHome(const DpdkHome&) = delete;
  DpdkHome& operator=(const DpdkHome&) = delete;
  const DpdkConfig& config() const { return config_; }

  /// Starts it when that was not done yet; one thread at a time. What failed once fails again: it cannot be started
  /// twice.
  std::expected<const net::udp::DpdkEal*, net::udp::Failure> eal();

 private:
  void main();

  const DpdkConfig config_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<net::udp::DpdkEal> eal_;
  std::optional<net::udp::Failure> failure_;
  bool stopping_ = false;
  std::thread thread_;
};

/// An opened port with all that it needs; for the thread that opened it.
struct Port {
  std::shared_ptr<net::udp::PacketSource> source;
  std::vector<std::string> absent;  ///< what it cannot, each with what that costs
};

/// By the stream's own thread. What fails is a sentence for people.
std::expected<Port, net::udp::Failure> open_port(const StreamConfig& config, DpdkHome& dpdk);

}  // namespace histod::daemon::streams
