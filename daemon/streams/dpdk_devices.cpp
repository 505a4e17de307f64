// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/dpdk_devices.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace histod::daemon::streams {

namespace {

constexpr std::string_view k_by_place = "pci", k_behind_domain = ":xx:xx.f";
constexpr std::size_t k_domain_digits_min = 4, k_domain_digits_max = 8;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool is_pci_address(std::string_view text) {
  if (text.size() < k_domain_digits_min + k_behind_domain.size()) return false;
  const std::string_view domain = text.substr(0, text.size() - k_behind_domain.size());
  const auto fits = [](char form, char c) {
    return form == 'x' ? is_hex(c) : form == 'f' ? c >= '0' && c <= '7' : c == form;
  };
  return domain.size() <= k_domain_digits_max && std::ranges::all_of(domain, is_hex) &&
         std::ranges::equal(k_behind_domain, text.substr(domain.size()), fits);
}

}  // namespace

std::expected<std::vector<std::string>, std::string> read_pci_addresses(std::string_view list) {
  std::vector<std::string> out;
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view address = rest.substr(0, end);
    if (!address.empty() && !is_pci_address(address))
      return std::unexpected(fmt::format("names no PCI address such as 0000:3b:02.0 by \"{}\"", address));
    if (!address.empty()) out.emplace_back(address);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

std::expected<std::string, std::string> device_named(const std::string& dpdk_port,
                                                     const std::vector<std::string>& pci) {
  if (!dpdk_port.starts_with(k_by_place)) return dpdk_port;
  std::size_t index = pci.size();
  const char* const digits = dpdk_port.data() + k_by_place.size();
  const char* const behind = dpdk_port.data() + dpdk_port.size();
  const auto [end, error] = std::from_chars(digits, behind, index);
  if (error != std::errc{} || end != behind || index >= pci.size())
    return std::unexpected(
        fmt::format("dpdk_port {} is none of the {} devices that --dpdk-pci names", dpdk_port, pci.size()));
  return pci[index];
}

}  // namespace histod::daemon::streams
