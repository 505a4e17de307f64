// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace histod::daemon::streams {

/// PCI addresses that are separated by commas, each in the kernel's long form (0000:3b:02.0), by which DPDK names its
/// ports; or a clause about the one that is none.
std::expected<std::vector<std::string>, std::string> read_pci_addresses(std::string_view list);

/// What `dpdk_port` names: "pci0" is the first of the devices that DPDK may drive, since where Kubernetes assigns them
/// nobody knows their addresses beforehand; anything else is a device's own name. Or a sentence.
std::expected<std::string, std::string> device_named(const std::string& dpdk_port, const std::vector<std::string>& pci);

}  // namespace histod::daemon::streams
