// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/membership.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/jobs/record.hpp"

namespace histod::daemon {

class Worker;
struct Services;

/// Of jobs at other nodes; written by all workers.
struct CopyStats {
  std::atomic<std::uint64_t> kept{0};        ///< by their holder's word
  std::atomic<std::uint64_t> failed{0};      ///< requests, not jobs: the next node is asked
  std::atomic<std::uint64_t> refused{0};     ///< jobs that were not accepted, because nobody took a copy
  std::atomic<std::uint64_t> unreleased{0};  ///< requests to drop one that were not answered: sweeping does it later
  std::atomic<std::uint64_t> keys_elsewhere{0};  ///< requests that were another node's, by their Idempotency-Key
  std::atomic<std::uint64_t> keys_unsure{0};     ///< that a silent node may have known: accepted
  std::atomic<std::uint64_t> bytes{0};           ///< of images and masks, of those that are kept
  std::atomic<std::uint64_t> ns{0};              ///< from the beginning of each to its last holder's word
};

/// Those who may keep copies of this node's jobs: the members behind it in the ring of names.
std::vector<control::Member> holders(const FleetSnapshot& fleet);

/// The record of a copy as a header field, and back. The error says what is wrong with the field.
std::string copy_field(const jobs::JobRecord& record);
std::expected<jobs::JobRecord, std::string> parse_copy_field(std::string_view field);

inline constexpr std::string_view k_copy_field = "Histod-Record";

struct CopiesSent {
  std::size_t wanted = 0, kept = 0, asked = 0;
  bool enough() const { return kept >= wanted; }
};

/// Sends an own job to as many holders as `wanted` says, one after the other until that many keep it, and tells the
/// engine of each. On the worker's thread; `bytes` are the image and the mask behind it, and stay until `done` is
/// called, which happens from the event loop.
void send_copies(Services& services, Worker& worker, const jobs::JobRecord& record, std::span<const std::byte> bytes,
                 std::size_t wanted, std::move_only_function<void(CopiesSent)> done);

}  // namespace histod::daemon
