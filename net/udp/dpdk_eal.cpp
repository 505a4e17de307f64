// SPDX-License-Identifier: Apache-2.0
#include "net/udp/dpdk_eal.hpp"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

namespace histod::net::udp {

namespace {

/// Instead of stderr and syslog: libraries do not log.
struct LastLines {
  static constexpr std::size_t k_bytes_max = 4096;
  std::mutex mutex;
  std::string text;

  void add(std::string_view more) {
    const std::scoped_lock lock(mutex);
    text.append(more);
    if (text.size() > k_bytes_max) text.erase(0, text.size() - k_bytes_max);
  }
};

LastLines& last_lines() {
  static LastLines lines;  // as long as the process, for EAL's threads log until its end
  return lines;
}

ssize_t write_lines(void*, const char* text, std::size_t bytes) {
  last_lines().add({text, bytes});
  return static_cast<ssize_t>(bytes);
}

std::error_code catch_log() {
  std::FILE* const stream = ::fopencookie(nullptr, "w", {nullptr, write_lines, nullptr, nullptr});
  if (stream == nullptr) return {errno, std::system_category()};
  std::setvbuf(stream, nullptr, _IOLBF, 0);
  rte_openlog_stream(stream);  // which has it from now on
  return {};
}

std::vector<std::string> arguments_of(const EalOptions& options) {
  std::vector<std::string> arguments{"histod",
                                     "--lcores=0@" + std::to_string(options.cpu),
                                     "-m",
                                     std::to_string(options.memory_mib),
                                     "--no-telemetry",
                                     "--log-level=warning"};
  if (!options.huge_pages) arguments.insert(arguments.end(), {"--no-huge", "--iova-mode=va"});
  if (!options.file_prefix.empty()) {
    arguments.push_back("--file-prefix=" + options.file_prefix);
  } else {
    arguments.emplace_back(options.huge_pages ? "--in-memory" : "--no-shconf");
  }
  if (options.pci.empty()) arguments.emplace_back("--no-pci");
  for (const std::string& address : options.pci) arguments.insert(arguments.end(), {"-a", address});
  return arguments;
}

}  // namespace

std::string dpdk_version() { return rte_version(); }

std::string dpdk_log() {
  const std::scoped_lock lock(last_lines().mutex);
  return std::exchange(last_lines().text, {});
}

std::expected<DpdkEal, Failure> DpdkEal::start(const EalOptions& options) {
  static std::atomic<bool> started = false;
  if (started.exchange(true)) {
    return std::unexpected(
        Failure{std::make_error_code(std::errc::connection_already_in_progress), "EAL starts once in a process"});
  }
  if (const auto error = catch_log()) return std::unexpected(Failure{error, "no log for EAL"});
  static std::vector<std::string> arguments;  // EAL keeps pointers into them
  arguments = arguments_of(options);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(pointers.size()), pointers.data()) < 0) {
    return std::unexpected(Failure{{rte_errno, std::system_category()}, "EAL does not start: " + dpdk_log()});
  }
  DpdkEal eal;
  eal.said_ = dpdk_log();
  eal.pci_ = options.pci;
  return eal;
}

DpdkEal::~DpdkEal() {
  if (alive_) rte_eal_cleanup();
}

DpdkThread::DpdkThread(const DpdkEal&) : registered_(rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0) {}

DpdkThread::~DpdkThread() {
  if (registered_) rte_thread_unregister();
}

}  // namespace histod::net::udp
