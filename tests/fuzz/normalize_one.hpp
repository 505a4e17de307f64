// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace histod::test {

/// The first byte picks a tool ('0' to '7'), the rest is its stream, and is redacted as a text besides. Ends the
/// process when an event is out of bounds, when the same bytes give other events, or when a planted secret comes out;
/// says whether anything was understood.
bool normalize_one(std::span<const std::byte> bytes);

}  // namespace histod::test
