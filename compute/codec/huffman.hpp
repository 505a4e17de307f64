// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace histod::compute::codec {

/// Lengths in bits of a prefix code for symbols that occur `counts` times; 0 for those that do not occur. At least two
/// symbols get a code, so that every code is complete. counts.size() <= 288, 2^limit >= counts.size().
void huffman_lengths(std::span<const std::uint32_t> counts, unsigned limit_bits, std::span<std::uint8_t> lengths);

/// Deflate's canonical codes of such lengths, the first bit lowest.
void huffman_codes(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes);

}  // namespace histod::compute::codec
