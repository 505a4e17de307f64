// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "compute/equalize.hpp"
#include "compute/pixels.hpp"

namespace histod::daemon {

/// How fast this node has lately counted and mapped pixels, and how fast bytes went to the other nodes and back: moving
/// averages over its own work. Any thread.
class Speeds {
 public:
  /// Less says more of the fixed costs than of the speed.
  static constexpr std::uint64_t k_own_bytes_min = 1u << 20, k_link_bytes_min = 64u << 10;
  /// Nodes that are remembered at one time; whoever comes after them makes room for itself.
  static constexpr std::size_t k_links_max = 1'000;

  struct Link {
    double ns_per_byte = 0;
    double round_trip_ns = 0;
  };

  /// Pixels of that format were counted and mapped. Fewer than k_own_bytes_min are passed over.
  void worked(const compute::PixelFormat& format, compute::Color color, std::uint64_t bytes, std::uint64_t ns);
  /// Time for a byte; nothing: not measured yet.
  std::optional<double> own_ns_per_byte(const compute::PixelFormat& format, compute::Color color) const;

  /// A request to that node and its answer, of so many bytes together, took so long beside the work that was asked
  /// for. Few bytes measure the round trip, many the speed.
  void carried(const std::string& node, std::uint64_t bytes, std::uint64_t ns);
  std::optional<Link> link(const std::string& node) const;

 private:
  static std::size_t kind_of(const compute::PixelFormat& format, compute::Color color);

  /// By color (gray or bands first) and depth; 0: not measured. Two that measure at once: one of them counts.
  std::array<std::atomic<double>, 12> own_ns_per_byte_ = {};
  mutable std::mutex mutex_;
  std::map<std::string, Link> links_;
};

/// Of images whose rows several nodes have, and of the parts of others' images; written by all workers.
struct SpreadStats {
  /// Why a part was done again.
  enum class Redone : std::uint8_t {
    silent,   ///< no answer, or none in time
    refused,  ///< the node said no
    wrong,    ///< a wrong length, a wrong digest, or counts that cannot be
    memory,   ///< no memory here to send it from
  };
  static constexpr std::array<const char*, 4> k_redone_names{"silent", "refused", "wrong", "memory"};

  std::atomic<std::uint64_t> images{0};
  std::atomic<std::uint64_t> under_way{0};
  std::atomic<std::uint64_t> sent{0}, sent_bytes{0};          ///< parts, by the other node's word; rows there and back
  std::array<std::atomic<std::uint64_t>, 4> redone = {};      ///< by Redone
  std::atomic<std::uint64_t> received{0}, received_bytes{0};  ///< parts of other nodes' images that were done here
};

}  // namespace histod::daemon
