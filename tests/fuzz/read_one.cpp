// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/read_one.hpp"

#include <algorithm>
#include <cassert>
#include <string>

#include "compute/table_text.hpp"
#include "compute/tally.hpp"

namespace histod::test {

bool read_tally(std::span<const std::byte> bytes) {
  constexpr std::uint64_t k_memory_bytes_max = 4u << 20;
  auto tally = compute::Tally::from_bytes(bytes, k_memory_bytes_max);
  if (!tally) return false;
  assert(std::ranges::equal(tally->to_bytes(), bytes));
  std::uint64_t memory = 0;
  for (const compute::TallyEntry& entry : tally->entries()) {
    memory += entry.memory_bytes();
    assert(entry.images > 0 && check(entry.kind) && tally->find(entry.kind) == &entry);
    for (const compute::Histogram& plane : entry.planes) assert(plane.total() == entry.counted);
  }
  assert(memory <= k_memory_bytes_max);
  // What came from a peer is merged, made tables of, and taken away again.
  compute::Tally sum = *tally;
  if (sum.merge(*tally)) {
    const auto taken = sum.subtract(*tally);
    assert(taken.has_value());
  }
  assert(sum == *tally);
  const auto tables = compute::make_tables(compute::Rule::exact, *tally);
  assert(tables.has_value() && std::ranges::all_of(*tables, [](const auto& some) { return check(some).has_value(); }));
  const auto matched = compute::match_tables(*tally, *tally);
  assert(matched.has_value());
  return true;
}

bool read_table_text(std::span<const std::byte> bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto tables = compute::tables_from_text(text);
  if (!tables) {
    assert(tables.error().detail.starts_with("line "));
    return false;
  }
  assert(check(*tables));
  std::string plain = text;
  std::erase(plain, '\r');
  if (!plain.ends_with('\n')) plain += '\n';
  const std::string again = compute::to_text(*tables);
  assert(again == plain);
  return true;
}

}  // namespace histod::test
