// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "net/udp/packet_source.hpp"

namespace histod::net::udp {

/// Which DPDK is built in, "DPDK 22.11.11" say; empty: none, and DpdkEal::start() says so.
std::string dpdk_version();

struct EalOptions {
  unsigned cpu = 0;                ///< where the caller of start() is pinned, with the threads that EAL starts
  std::vector<std::string> pci{};  ///< addresses (0000:03:00.0) of devices that a driver for user space holds; virtual
                                   ///< devices need no mention here
  bool huge_pages = true;          ///< false: --no-huge, for virtual devices and a few real ones
  unsigned memory_mib = 256;       ///< for all packets of the process; with huge pages so much must be free on them
  std::string file_prefix{};       ///< empty: the process shares nothing and leaves no files (--in-memory)
};

/// DPDK's environment (EAL): once per process, for as long as this lives; it cannot be started again.
class DpdkEal {
 public:
  /// To be called by a thread of its own, which EAL pins to its CPU and takes for its first worker, and which also
  /// destroys this. A second start fails (EALREADY). What fails says what EAL logged last.
  static std::expected<DpdkEal, Failure> start(const EalOptions& options);
  DpdkEal(DpdkEal&& other) noexcept
      : alive_(std::exchange(other.alive_, false)), said_(std::move(other.said_)), pci_(std::move(other.pci_)) {}
  DpdkEal& operator=(DpdkEal&&) = delete;
  ~DpdkEal();
  /// What was logged at the start, which goes on without devices that it cannot take: why it could not is here.
  const std::string& said() const { return said_; }
  /// Whether this PCI address is among EalOptions::pci.
  bool allows(std::string_view pci) const { return std::ranges::find(pci_, pci) != pci_.end(); }

 private:
  DpdkEal() = default;
  bool alive_ = true;
  std::string said_;
  std::vector<std::string> pci_;
};

/// Makes another thread known to EAL while this lives, for caches of buffers of its own. Without, it is only slower.
class DpdkThread {
 public:
  explicit DpdkThread(const DpdkEal& eal);
  ~DpdkThread();
  DpdkThread(const DpdkThread&) = delete;
  DpdkThread& operator=(const DpdkThread&) = delete;
  bool registered() const { return registered_; }

 private:
  bool registered_ = false;
};

/// What EAL and drivers logged since this was last asked, at most the last 4 KiB; for messages about what failed.
std::string dpdk_log();

}  // namespace histod::net::udp
