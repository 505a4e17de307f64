// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/error.hpp"
#include "compute/rule.hpp"
#include "compute/tables.hpp"
#include "daemon/jobs/digest.hpp"

/// Tables as JSON; `tables` holds a list for each plane, with an entry for each bin:
///
///     {"histod_lut":1,"digest":"sha-256=HEX",
///      "kinds":[{"quantity":"channels","planes":3,"bins":256,"levels":200,"tables":[[0,1,...],[...],[...]]}]}
namespace histod::daemon {

/// "sha-256=<hex>" over the canonical bytes of tables, in the order in which they are added. Of entries only: tables of
/// another kind may have the same.
class LutDigest {
 public:
  void add(const compute::Lut& lut) { digest_.update(compute::canonical_bytes(lut)); }
  std::string finish() { return "sha-256=" + jobs::hex(digest_.finish()); }

 private:
  jobs::Sha256 digest_;
};

/// Of all tables of all kinds.
std::string lut_digest(std::span<const compute::KindTables> kinds);

inline constexpr std::size_t k_tables_json_bytes_max = 4u << 20;

/// Each of `kinds` must be such that check() takes it.
std::string tables_to_json(std::span<const compute::KindTables> kinds);

/// For text that anybody may have written. All members must be there but the digest, which must be right where it is;
/// no others may. The kinds come in their order, whatever the text's. Takes 16 MiB of memory at most.
/// Errc::bytes_over_limit, corrupt, unsupported_feature (another version).
compute::Result<std::vector<compute::KindTables>> tables_from_json(std::string_view text);

}  // namespace histod::daemon
