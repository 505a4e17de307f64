// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/huffman.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>

namespace histod::compute::codec {
namespace {

constexpr std::size_t k_symbols_max = 288;
constexpr unsigned k_bits_max = 15;

/// Depths of the leaves in Huffman's tree over counts in rising order. Inner nodes come into being in rising order too,
/// so the two lightest nodes are always at the heads of two queues.
void leaf_depths(std::span<const std::uint32_t> counts, std::span<unsigned> depths) {
  const std::size_t leaves = counts.size();
  std::array<std::uint32_t, 2 * k_symbols_max> weight;
  std::array<std::uint16_t, 2 * k_symbols_max> parent;
  std::ranges::copy(counts, weight.begin());
  std::size_t leaf = 0, inner = leaves;
  for (std::size_t made = leaves; made < 2 * leaves - 1; ++made) {
    weight[made] = 0;
    for (int child = 0; child < 2; ++child) {
      const bool take_leaf = leaf < leaves && (inner >= made || weight[leaf] <= weight[inner]);
      const std::size_t lightest = take_leaf ? leaf++ : inner++;
      weight[made] += weight[lightest];
      parent[lightest] = static_cast<std::uint16_t>(made);
    }
  }
  std::array<std::uint16_t, 2 * k_symbols_max> depth;
  depth[2 * leaves - 2] = 0;
  for (std::size_t node = 2 * leaves - 2; node-- > 0;)
    depth[node] = static_cast<std::uint16_t>(depth[parent[node]] + 1);
  for (std::size_t i = 0; i < leaves; ++i) depths[i] = depth[i];
}

/// How many codes there are of each length: too long ones are cut, and for the room that this takes others grow by a
/// bit, the longest that still can first.
std::array<unsigned, k_bits_max + 1> limited(std::span<const unsigned> depths, unsigned limit) {
  std::array<unsigned, k_bits_max + 1> of_length{};
  for (const unsigned depth : depths) ++of_length[std::min(depth, limit)];
  std::uint32_t taken = 0;
  for (unsigned bits = 1; bits <= limit; ++bits) taken += of_length[bits] << (limit - bits);
  for (; taken > 1u << limit; --taken) {
    unsigned bits = limit - 1;
    while (of_length[bits] == 0) --bits;
    // One code of `bits` makes room for two below it: itself and one of those that are too many.
    --of_length[bits];
    of_length[bits + 1] += 2;
    --of_length[limit];
  }
  return of_length;
}

}  // namespace

void huffman_lengths(std::span<const std::uint32_t> counts, unsigned limit_bits, std::span<std::uint8_t> lengths) {
  assert(counts.size() <= k_symbols_max && lengths.size() == counts.size() && limit_bits <= k_bits_max);
  std::array<std::uint64_t, k_symbols_max> order;  // count and symbol
  std::size_t used = 0;
  for (std::size_t symbol = 0; symbol < counts.size(); ++symbol)
    if (counts[symbol] != 0) order[used++] = std::uint64_t{counts[symbol]} << 16 | symbol;
  for (std::size_t symbol = 0; used < 2; ++symbol)
    if (counts[symbol] == 0) order[used++] = symbol;
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(used));
  std::array<std::uint32_t, k_symbols_max> sorted;
  std::array<unsigned, k_symbols_max> depths;
  for (std::size_t i = 0; i < used; ++i) sorted[i] = static_cast<std::uint32_t>(order[i] >> 16);
  leaf_depths(std::span(sorted).first(used), depths);
  const auto of_length = limited(std::span(depths).first(used), limit_bits);
  std::ranges::fill(lengths, std::uint8_t{0});
  std::size_t rarest = 0;
  for (unsigned bits = limit_bits; bits > 0; --bits)
    for (unsigned i = 0; i < of_length[bits]; ++i) lengths[order[rarest++] & 0xffff] = static_cast<std::uint8_t>(bits);
}

void huffman_codes(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes) {
  std::array<unsigned, k_bits_max + 2> next{};
  for (const std::uint8_t bits : lengths) ++next[bits + 1u];
  next[1] = 0;  // symbols without a code take no room
  for (unsigned bits = 1; bits <= k_bits_max; ++bits) next[bits + 1] = (next[bits + 1] + next[bits]) << 1;
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    unsigned code = next[lengths[symbol]]++;
    unsigned reversed = 0;
    for (unsigned bit = 0; bit < lengths[symbol]; ++bit, code >>= 1) reversed = reversed << 1 | (code & 1);
    codes[symbol] = static_cast<std::uint16_t>(reversed);
  }
}

}  // namespace histod::compute::codec
