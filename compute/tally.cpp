// SPDX-License-Identifier: Apache-2.0
#include "compute/tally.hpp"

#include <algorithm>
#include <utility>

namespace histod::compute {
namespace {

bool sum_overflows(std::uint64_t a, std::uint64_t b) { return a + b < a; }

Result<void> check_part(const TallyEntry& whole, const TallyEntry& part) {
  const bool more = part.images > whole.images || part.counted > whole.counted || part.masked > whole.masked;
  if (more) return fail(Errc::corrupt, "more is taken from a tally than it holds, images", part.images, whole.images);
  for (std::size_t p = 0; p < whole.planes.size(); ++p) {
    for (std::uint32_t i = 0; i < whole.kind.bins; ++i) {
      if (part.planes[p][i] > whole.planes[p][i]) {
        return fail(Errc::corrupt, "more is taken from a tally than it holds, in bin", i);
      }
    }
  }
  const bool empty = part.images == whole.images;
  if (empty && (part.counted != whole.counted || part.masked != whole.masked)) {
    return fail(Errc::corrupt, "pixels of no image would be left in a tally", whole.counted - part.counted);
  }
  return {};
}

}  // namespace

const TallyEntry* Tally::find(const TableKind& kind) const {
  const auto found = std::ranges::lower_bound(entries_, kind, {}, &TallyEntry::kind);
  return found != entries_.end() && found->kind == kind ? &*found : nullptr;
}

TallyEntry& Tally::at(const TableKind& kind) {
  const auto found = std::ranges::lower_bound(entries_, kind, {}, &TallyEntry::kind);
  if (found != entries_.end() && found->kind == kind) return *found;
  return *entries_.insert(found, TallyEntry{.kind = kind, .planes = std::vector(kind.planes, Histogram(kind.bins))});
}

std::uint64_t Tally::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const TallyEntry& entry : entries_) bytes += entry.memory_bytes();
  return bytes;
}

Result<void> Tally::check_memory(std::uint64_t bytes, std::uint64_t bytes_max) {
  if (bytes <= bytes_max) return {};
  return fail(Errc::bytes_over_limit, "too many kinds of images in one tally, in bytes of their histograms", bytes,
              bytes_max);
}

Result<void> Tally::check_merge(const Tally& other, std::uint64_t memory_bytes_max) const {
  std::uint64_t bytes = memory_bytes();
  for (const TallyEntry& theirs : other.entries_) {
    const TallyEntry* mine = find(theirs.kind);
    if (mine == nullptr) {
      bytes += theirs.memory_bytes();
    } else if (sum_overflows(mine->images, theirs.images) || sum_overflows(mine->counted, theirs.counted) ||
               sum_overflows(mine->masked, theirs.masked)) {
      return fail(Errc::pixels_over_limit, "the pixels of a tally are more than 64 bits can count", theirs.counted);
    }
  }
  return check_memory(bytes, memory_bytes_max);
}

Result<void> Tally::merge(const Tally& other, std::uint64_t memory_bytes_max) {
  if (auto checked = check_merge(other, memory_bytes_max); !checked) return checked;
  for (const TallyEntry& theirs : other.entries_) {
    TallyEntry& mine = at(theirs.kind);
    mine.images += theirs.images;
    mine.counted += theirs.counted;
    mine.masked += theirs.masked;
    for (std::size_t p = 0; p < mine.planes.size(); ++p) mine.planes[p].merge(theirs.planes[p]);
  }
  return {};
}

Result<void> Tally::check_subtract(const Tally& other) const {
  for (const TallyEntry& theirs : other.entries_) {
    const TallyEntry* mine = find(theirs.kind);
    if (mine == nullptr) {
      return fail(Errc::corrupt, "a tally holds nothing of what is taken from it (" + describe(theirs.kind) + ")");
    }
    if (auto checked = check_part(*mine, theirs); !checked) return checked;
  }
  return {};
}

Result<void> Tally::subtract(const Tally& other) {
  if (auto checked = check_subtract(other); !checked) return checked;
  for (const TallyEntry& theirs : other.entries_) {
    TallyEntry& mine = at(theirs.kind);
    mine.images -= theirs.images;
    mine.counted -= theirs.counted;
    mine.masked -= theirs.masked;
    for (std::size_t p = 0; p < mine.planes.size(); ++p) mine.planes[p].subtract(theirs.planes[p]);
  }
  std::erase_if(entries_, [](const TallyEntry& entry) { return entry.images == 0; });
  return {};
}

Result<Tally> tally_of(std::span<const EqualizePage> pages, const EqualizeOptions& options, Arena& arena) {
  if (options.range == RangeMode::automatic) {
    return fail(Errc::bad_option, "range=auto would change with every image of a set: say full, or a number of levels");
  }
  Tally tally;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (!pages[i].counted) continue;
    auto report = analyze(pages.subspan(i, 1), options, arena);
    if (!report) return std::unexpected(std::move(report.error()));
    const std::vector<PlaneReport>& planes = report->planes;
    Tally page;
    TallyEntry& entry = page.at(table_kind(pages[i].image.format, options.color, planes.front().levels));
    entry.images = 1;
    entry.counted = planes.front().counted;
    entry.masked = planes.front().masked;
    for (std::size_t p = 0; p < planes.size(); ++p) entry.planes[p].merge(planes[p].before);
    if (auto merged = tally.merge(page); !merged) return std::unexpected(std::move(merged.error()));
  }
  for (TallyEntry& entry : tally.entries_) entry.images = 1;
  return tally;
}

Result<std::vector<KindTables>> make_tables(Rule rule, const Tally& tally) {
  std::vector<KindTables> all;
  for (const TallyEntry& entry : tally.entries()) {
    KindTables& made = all.emplace_back(KindTables{.kind = entry.kind, .tables = {}});
    for (const Histogram& plane : entry.planes) {
      auto lut = make_lut(rule, plane, entry.kind.levels);
      if (!lut) return std::unexpected(std::move(lut.error()));
      made.tables.push_back(std::move(*lut));
    }
  }
  return all;
}

Result<std::vector<KindTables>> match_tables(const Tally& source, const Tally& reference) {
  std::vector<KindTables> all;
  for (const TallyEntry& entry : source.entries()) {
    const TallyEntry* wanted = reference.find(entry.kind);
    if (wanted == nullptr) {
      return fail(Errc::bad_option, "the reference has no image to match with (" + describe(entry.kind) + ")");
    }
    KindTables& made = all.emplace_back(KindTables{.kind = entry.kind, .tables = {}});
    for (std::size_t p = 0; p < entry.planes.size(); ++p) {
      auto lut = match_lut(entry.planes[p], wanted->planes[p], entry.kind.levels);
      if (!lut) return std::unexpected(std::move(lut.error()));
      made.tables.push_back(std::move(*lut));
    }
  }
  return all;
}

}  // namespace histod::compute
