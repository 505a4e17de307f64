// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/error.hpp"
#include "compute/tables.hpp"
#include "daemon/jobs/engine.hpp"
#include "daemon/jobs/share.hpp"

/// What nodes send each other. Each reader takes bytes that anybody may have written.
namespace histod::daemon {

/// The version of all of it, in each request and answer between nodes: "VERSION", or "VERSION; since=OLDEST" when a
/// release that knows no more than OLDEST understands it too. Members of JSON that a reader does not know are passed
/// over, so that a release works beside the next one.
inline constexpr std::string_view k_peer_version_field = "Histod-Peer-Version";
std::string peer_version();  ///< what this release writes
bool understands_peer(std::string_view version);

inline constexpr std::size_t k_ids_bytes_max = 4u << 20, k_peer_tables_bytes_max = 32u << 20;

/// {"ids":[...]}; only ULIDs.
std::string ids_text(const std::vector<std::string>& ids);
std::expected<std::vector<std::string>, std::string> parse_ids(std::span<const std::byte> bytes);

/// {"id":...,"owner":...}
std::string keyed_text(const jobs::Keyed& keyed);
std::expected<jobs::Keyed, std::string> parse_keyed(std::span<const std::byte> bytes);

/// A share but for its tally, as what the message begins with; the tally's bytes follow.
std::string share_head(const jobs::Share& share);
/// The tally must be the one whose digest is told.
std::expected<jobs::Share, std::string> parse_share(std::span<const std::byte> bytes);

/// The texts of all kinds one after the other, each behind its length.
std::string tables_message(std::span<const compute::KindTables> tables);
std::expected<std::vector<compute::KindTables>, std::string> parse_tables_message(std::span<const std::byte> bytes);

}  // namespace histod::daemon
