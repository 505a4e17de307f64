// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace histod::test {

/// Bytes as a tally, or as the text of tables, with a small limit of memory. Ends the process when what was read breaks
/// a promise, or is not written again as it was; says whether it could be read.
bool read_tally(std::span<const std::byte> bytes);
bool read_table_text(std::span<const std::byte> bytes);

}  // namespace histod::test
