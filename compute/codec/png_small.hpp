// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

/// Memory that deflate_small() asks for.
std::size_t small_workspace_bytes(std::size_t raw_bytes);

/// As deflate_rows(), by zlib with long searches: for drawings and pages, where much repeats, a tenth smaller, but
/// slower by far. What comes of it lies in `workspace`; nothing when it is longer than `raw`.
Bytes deflate_small(Bytes raw, bool last, std::span<std::byte> workspace);

}  // namespace histod::compute::codec::png
