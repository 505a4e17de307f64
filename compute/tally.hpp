// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/arena.hpp"
#include "compute/equalize.hpp"
#include "compute/error.hpp"
#include "compute/histogram.hpp"
#include "compute/rule.hpp"
#include "compute/tables.hpp"

namespace histod::compute {

/// Histograms that a tally may hold, in bytes of memory: room for any single kind, but not for one of each L.
inline constexpr std::uint64_t k_tally_bytes_max = 256ull << 20;

/// What images of one kind contribute. Planes have the same total, for a pixel is counted in all of them or in none.
struct TallyEntry {
  TableKind kind;
  std::uint64_t images = 0;  ///< images with a page of this kind
  std::uint64_t counted = 0;
  std::uint64_t masked = 0;         ///< pixels left out: mask, nodata, alpha 0
  std::vector<Histogram> planes{};  ///< one for each table

  std::uint64_t memory_bytes() const { return std::uint64_t{kind.planes} * kind.bins * 8; }
  friend bool operator==(const TallyEntry&, const TallyEntry&) = default;
};

/// What an image, or a set of images, was counted to be: the histograms of each kind of table. Images may be added in
/// any order, on any node, and be taken away again; the counts are those of the images that are there, and of nothing
/// else. Tallies that belong together were counted with the same options.
class Tally {
 public:
  /// In the order of kinds; no entry without images.
  std::span<const TallyEntry> entries() const { return entries_; }
  const TallyEntry* find(const TableKind& kind) const;

  /// Errc::pixels_over_limit: sums above 64 bits. Errc::bytes_over_limit: more kinds than the memory has room for.
  /// This is unchanged after an error.
  Result<void> merge(const Tally& other, std::uint64_t memory_bytes_max = k_tally_bytes_max);
  /// Errc::corrupt: not all of `other` had been merged in. This is unchanged then.
  Result<void> subtract(const Tally& other);

  /// Canonical form: equal tallies have equal bytes. Magic "HTLY", then numbers in LEB128 (seven bits a byte, the
  /// lowest first, in as few bytes as can be): version = 1; entries; of each, by kind: quantity, planes, bins, levels,
  /// images, masked; of each plane: its filled bins; of each of them: how many empty ones lie before it, since the last
  /// filled one, and its count.
  std::vector<std::byte> to_bytes() const;
  /// For bytes that anybody may have written: whatever to_bytes() would not write is an error (Errc::truncated,
  /// corrupt, unsupported_feature), and so are histograms beyond `memory_bytes_max` (Errc::bytes_over_limit), before
  /// any memory is taken for them.
  static Result<Tally> from_bytes(std::span<const std::byte> bytes, std::uint64_t memory_bytes_max = k_tally_bytes_max);

  friend bool operator==(const Tally&, const Tally&) = default;

 private:
  friend Result<Tally> tally_of(std::span<const EqualizePage>, const EqualizeOptions&, Arena&);
  static Result<void> check_memory(std::uint64_t bytes, std::uint64_t bytes_max);
  std::uint64_t memory_bytes() const;
  Result<void> check_merge(const Tally& other, std::uint64_t memory_bytes_max) const;
  Result<void> check_subtract(const Tally& other) const;
  TallyEntry& at(const TableKind& kind);

  std::vector<TallyEntry> entries_;
};

/// What the counted pages of one image contribute, as analyze() counts them; PagesMode and Method play no part. The L
/// of RangeMode::automatic would depend on all images at once, so it is Errc::bad_option; the others are those of
/// analyze().
Result<Tally> tally_of(std::span<const EqualizePage> pages, const EqualizeOptions& options, Arena& arena);

/// The tables that `rule` makes of each kind, as equalize() would of all those pixels in one image.
Result<std::vector<KindTables>> make_tables(Rule rule, const Tally& tally);

/// The tables that give each kind in `source` the distribution that it has in `reference`: match_lut().
/// Errc::bad_option: the reference has nothing of a kind.
Result<std::vector<KindTables>> match_tables(const Tally& source, const Tally& reference);

}  // namespace histod::compute
