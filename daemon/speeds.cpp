// SPDX-License-Identifier: Apache-2.0
#include "daemon/speeds.hpp"

#include <algorithm>

namespace histod::daemon {

namespace {

/// The latest measurement counts for an eighth.
double averaged(double old, double latest) { return old == 0 ? latest : old + (latest - old) / 8; }

}  // namespace

std::size_t Speeds::kind_of(const compute::PixelFormat& format, compute::Color color) {
  const std::size_t by_color = format.colors == 3 ? 1 + static_cast<std::size_t>(color) : 0;
  return 2 * by_color + (format.depth_bits == 16 ? 1 : 0);
}

void Speeds::worked(const compute::PixelFormat& format, compute::Color color, std::uint64_t bytes, std::uint64_t ns) {
  if (bytes < k_own_bytes_min || ns == 0) return;
  auto& average = own_ns_per_byte_[kind_of(format, color)];
  average = averaged(average, static_cast<double>(ns) / static_cast<double>(bytes));
}

std::optional<double> Speeds::own_ns_per_byte(const compute::PixelFormat& format, compute::Color color) const {
  const double average = own_ns_per_byte_[kind_of(format, color)];
  return average == 0 ? std::nullopt : std::optional(average);
}

void Speeds::carried(const std::string& node, std::uint64_t bytes, std::uint64_t ns) {
  if (ns == 0) return;
  const std::lock_guard lock(mutex_);
  if (links_.size() == k_links_max && !links_.contains(node)) links_.erase(links_.begin());
  Link& link = links_[node];
  const auto took = static_cast<double>(ns);
  if (bytes < k_link_bytes_min) {
    link.round_trip_ns = averaged(link.round_trip_ns, took);
    return;
  }
  // At most half of it was waiting: else what is measured on a quick link would be nothing, or less.
  const double moving = std::max(took - link.round_trip_ns, took / 2);
  link.ns_per_byte = averaged(link.ns_per_byte, moving / static_cast<double>(bytes));
}

std::optional<Speeds::Link> Speeds::link(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = links_.find(node);
  if (found == links_.end() || found->second.ns_per_byte == 0) return std::nullopt;
  return found->second;
}

}  // namespace histod::daemon
