// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace histod::daemon::jobs {

/// What one node has of a dataset.
struct Share {
  std::vector<std::byte> tally;               ///< compute::Tally::to_bytes() of its counted images
  std::string tally_sha256;                   ///< hexadecimal
  std::vector<std::string> images;            ///< ids of those, in order
  std::uint64_t waiting = 0;                  ///< images that are not counted yet
  std::uint64_t unmade = 0;                   ///< counted, not made yet by the tables that are applied there
  std::uint64_t applied_revision = 0;         ///< as that node knows it
  std::int64_t active_ms = 0;                 ///< since 1970: its last change there, or its latest image
  std::map<std::string, std::uint64_t> held;  ///< copies of images that other nodes have, by the owner's identity
  std::uint64_t total = 0, failed = 0;        ///< of all images there
  bool operator==(const Share&) const = default;
};

}  // namespace histod::daemon::jobs
