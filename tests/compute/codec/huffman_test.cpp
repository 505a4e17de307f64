// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/huffman.hpp"

#include <cmath>
#include <functional>
#include <numeric>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace histod::test {
namespace {

using compute::codec::huffman_codes;
using compute::codec::huffman_lengths;

std::vector<std::uint8_t> lengths_of(const std::vector<std::uint32_t>& counts, unsigned limit) {
  std::vector<std::uint8_t> lengths(counts.size());
  huffman_lengths(counts, limit, lengths);
  return lengths;
}

std::uint64_t cost(const std::vector<std::uint32_t>& counts, const std::vector<std::uint8_t>& lengths) {
  return std::inner_product(counts.begin(), counts.end(), lengths.begin(), std::uint64_t{0});
}

/// Bits of the best prefix code: each time the two lightest are joined, all that is below them gets a bit longer.
std::uint64_t least_cost(const std::vector<std::uint32_t>& counts) {
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> weights;
  for (const std::uint32_t count : counts)
    if (count > 0) weights.push(count);
  std::uint64_t bits = 0;
  while (weights.size() > 1) {
    const std::uint64_t first = weights.top();
    weights.pop();
    const std::uint64_t joined = first + weights.top();
    weights.pop();
    bits += joined;
    weights.push(joined);
  }
  return bits;
}

double kraft(const std::vector<std::uint8_t>& lengths) {
  double sum = 0;
  for (const std::uint8_t bits : lengths) sum += bits == 0 ? 0 : std::ldexp(1, -bits);
  return sum;
}

std::vector<std::uint32_t> random_counts(std::mt19937& random, std::size_t symbols, unsigned skew) {
  std::vector<std::uint32_t> counts(symbols);
  for (auto& count : counts) count = random() % 4 == 0 ? 0 : static_cast<std::uint32_t>(random() >> (random() % skew));
  for (auto& count : counts) count %= 40'000;
  return counts;
}

TEST(Huffman, is_as_short_as_can_be_where_no_limit_binds) {
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    auto counts = random_counts(random, 2 + random() % 285, 4);
    for (auto& count : counts) count = count == 0 ? 0 : 50 + count % 500;  // no tree of these is deeper than 15
    counts[0] = counts[1] = 50;
    EXPECT_EQ(cost(counts, lengths_of(counts, 15)), least_cost(counts));
  }
}

TEST(Huffman, a_limit_is_kept_and_the_code_is_complete) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    const std::size_t symbols = 2 + random() % 285;
    const auto counts = random_counts(random, symbols, 32);
    const auto limit = static_cast<unsigned>(symbols <= 19 ? 5 + random() % 11 : 9 + random() % 7);
    const auto lengths = lengths_of(counts, limit);
    for (std::size_t symbol = 0; symbol < symbols; ++symbol) {
      EXPECT_LE(lengths[symbol], limit);
      if (counts[symbol] > 0) {
        EXPECT_GT(lengths[symbol], 0);
      }
    }
    EXPECT_EQ(kraft(lengths), 1.0);
    EXPECT_GE(cost(counts, lengths), least_cost(counts));
  }
}

TEST(Huffman, fibonacci_counts_make_the_deepest_tree_and_are_cut) {
  std::vector<std::uint32_t> counts{1, 1};
  while (counts.size() < 28) counts.push_back(counts[counts.size() - 1] + counts[counts.size() - 2]);
  for (const unsigned limit : {5u, 7u, 12u, 15u}) {
    const auto lengths = lengths_of(counts, limit);
    EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), limit);
    EXPECT_EQ(kraft(lengths), 1.0);
    EXPECT_TRUE(std::is_sorted(lengths.rbegin(), lengths.rend())) << "what occurs more often is never longer";
  }
}

TEST(Huffman, one_symbol_or_none_still_makes_two_codes) {
  for (std::vector<std::uint32_t> counts : {std::vector<std::uint32_t>{0, 0, 0}, {0, 0, 9}, {9, 0, 0}}) {
    const auto lengths = lengths_of(counts, 7);
    EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), 0), 2);
    EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), 1);
  }
}

TEST(Huffman, codes_are_canonical_and_none_begins_another) {
  std::mt19937 random(3);
  const auto counts = random_counts(random, 286, 32);
  const auto lengths = lengths_of(counts, 12);
  std::vector<std::uint16_t> codes(lengths.size());
  huffman_codes(lengths, codes);
  std::vector<std::string> written;
  std::vector<std::pair<std::uint8_t, std::string>> in_order;
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    if (lengths[symbol] == 0) continue;
    std::string bits;
    for (unsigned bit = 0; bit < lengths[symbol]; ++bit) bits += (codes[symbol] >> bit & 1) != 0 ? '1' : '0';
    written.push_back(bits);
    in_order.emplace_back(lengths[symbol], bits);
  }
  for (const auto& one : written)
    for (const auto& other : written)
      EXPECT_TRUE(&one == &other || !other.starts_with(one)) << one << " begins " << other;
  std::stable_sort(in_order.begin(), in_order.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  EXPECT_TRUE(std::is_sorted(in_order.begin(), in_order.end())) << "of equal lengths the smaller symbol comes first";
}

}  // namespace
}  // namespace histod::test
