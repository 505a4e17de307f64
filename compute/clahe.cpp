// SPDX-License-Identifier: Apache-2.0
#include "compute/clahe.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include <emmintrin.h>

namespace histod::compute {
namespace {

__extension__ using Wide = unsigned __int128;

/// Rounds half to even, as the default mode of the CPU does.
inline int round_even(float value) { return _mm_cvtss_si32(_mm_set_ss(value)); }

template <class T>
constexpr std::uint32_t k_bins = sizeof(T) == 1 ? 256 : 65536;

/// More tiles than these are blended from where their tables lie: each has few pixels, which do not pay for packing.
constexpr std::uint32_t k_packed_tiles_max = 1024;

/// A task's counters and scratch are paid once.
constexpr std::size_t k_tasks_a_thread = 8;

/// Packing the 65 536 entries of a cell costs as much as blending some 16 000 samples from where the tables lie saves.
constexpr std::uint64_t k_packed_cell_pixels_min = 16 * 1024;
/// Pixels of a block: so many that starting a task costs nothing beside them.
constexpr std::uint32_t k_block_pixels = 256 * 1024;

/// Where a coordinate beyond the end lies when the image is reflected without its edge being repeated.
std::uint32_t reflect_101(std::uint64_t at, std::uint32_t size) {
  if (at < size) return static_cast<std::uint32_t>(at);
  if (size == 1) return 0;
  const std::uint64_t period = 2 * (std::uint64_t{size} - 1);
  const std::uint64_t rest = at % period;
  return static_cast<std::uint32_t>(rest < size ? rest : period - rest);
}

/// Counts below 2^31, four at a time: SSE2 knows signed numbers only.
using Narrow = std::span<std::uint32_t>;
using WideCounts = std::span<std::uint64_t>;

inline __m128i four_at(const std::uint32_t* counts) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(counts));
}

/// Without the zeros at its ends, but for a few: a tile has seldom all the levels of 16 bits.
Narrow occupied(Narrow counts) {
  const auto empty = [](const std::uint32_t* four) {
    return _mm_movemask_epi8(_mm_cmpeq_epi32(four_at(four), _mm_setzero_si128())) == 0xffff;
  };
  std::size_t begin = 0, end = counts.size();
  while (begin + 4 <= end && empty(counts.data() + begin)) begin += 4;
  while (begin + 4 <= end && empty(counts.data() + end - 4)) end -= 4;
  return counts.subspan(begin, end - begin);
}

void add(std::span<const std::uint32_t> counts, WideCounts sums) {
  const __m128i zero = _mm_setzero_si128();
  std::size_t i = 0;
  for (; i + 4 <= counts.size(); i += 4) {
    const __m128i four = four_at(counts.data() + i);
    auto* const to = reinterpret_cast<__m128i*>(sums.data() + i);
    _mm_storeu_si128(to, _mm_add_epi64(_mm_loadu_si128(to), _mm_unpacklo_epi32(four, zero)));
    _mm_storeu_si128(to + 1, _mm_add_epi64(_mm_loadu_si128(to + 1), _mm_unpackhi_epi32(four, zero)));
  }
  for (; i < counts.size(); ++i) sums[i] += counts[i];
}

/// Cuts what is above the limit off; returns how much that is.
std::uint64_t clip(WideCounts counts, std::uint64_t limit) {
  std::uint64_t clipped = 0;
  for (std::uint64_t& count : counts) {
    clipped += std::max(count, limit) - limit;
    count = std::min(count, limit);
  }
  return clipped;
}

std::uint64_t clip(Narrow counts, std::uint64_t limit) {
  const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit, std::numeric_limits<int>::max()));
  const __m128i limits = _mm_set1_epi32(static_cast<int>(most));
  __m128i sums = _mm_setzero_si128();
  std::size_t i = 0;
  for (; i + 4 <= counts.size(); i += 4) {
    auto* const at = reinterpret_cast<__m128i*>(counts.data() + i);
    const __m128i four = four_at(counts.data() + i);
    const __m128i over = _mm_and_si128(_mm_sub_epi32(four, limits), _mm_cmpgt_epi32(four, limits));
    _mm_storeu_si128(at, _mm_sub_epi32(four, over));
    sums = _mm_add_epi32(sums, over);
  }
  std::array<std::uint32_t, 4> lanes;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes.data()), sums);
  std::uint64_t clipped = std::accumulate(lanes.begin(), lanes.end(), std::uint64_t{0});
  for (; i < counts.size(); ++i) {
    clipped += std::max(counts[i], most) - most;
    counts[i] = std::min(counts[i], most);
  }
  return clipped;
}

/// Gives what was clipped off back to all bins: the remainder one by one, and the share of each is returned.
template <class Count>
std::uint64_t spread(std::span<Count> counts, std::uint64_t clipped, bool evenly) {
  const std::uint64_t bins = counts.size();
  const std::uint64_t rest = clipped % bins;
  if (evenly) {
    for (std::uint64_t i = 1; i <= rest; ++i) ++counts[(i * bins + rest - 1) / rest - 1];
  } else if (rest != 0) {
    // OpenCV's stride is rounded down, so with a large remainder it never comes to the upper bins.
    const std::uint64_t stride = bins / rest;
    for (std::uint64_t i = 0; i < rest; ++i) ++counts[i * stride];
  }
  return clipped / bins;
}

/// What table_of() makes of counts whose sum is below 2^31. Returns the entries done, a multiple of eight, and adds to
/// `sum` what they summed up.
std::size_t fill_by_eights(Narrow counts, std::uint64_t share, float scale, float top, std::span<std::uint16_t> table,
                           std::uint64_t& sum) {
  const __m128i shares = _mm_set1_epi32(static_cast<int>(share));
  const __m128 scales = _mm_set1_ps(scale), tops = _mm_set1_ps(top);
  __m128i carry = _mm_setzero_si128();
  const auto four = [&](const std::uint32_t* from) {
    __m128i sums = _mm_add_epi32(four_at(from), shares);
    sums = _mm_add_epi32(sums, _mm_slli_si128(sums, 4));
    sums = _mm_add_epi32(sums, _mm_slli_si128(sums, 8));
    sums = _mm_add_epi32(sums, carry);
    carry = _mm_shuffle_epi32(sums, 0xff);
    const __m128i values = _mm_cvtps_epi32(_mm_min_ps(_mm_mul_ps(_mm_cvtepi32_ps(sums), scales), tops));
    return _mm_sub_epi32(values, _mm_set1_epi32(32768));
  };
  std::size_t i = 0;
  for (; i + 8 <= counts.size(); i += 8) {
    const __m128i low = four(counts.data() + i), high = four(counts.data() + i + 4);
    const __m128i packed = _mm_xor_si128(_mm_packs_epi32(low, high), _mm_set1_epi16(-32768));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(table.data() + i), packed);
  }
  sum += static_cast<std::uint32_t>(_mm_cvtsi128_si32(carry));
  return i;
}

/// `total` is the sum of the counts; where it is 2^31 or more they have 64 bits.
template <class Count>
void table_of(std::span<Count> counts, std::uint64_t total, double limit_factor, bool exact,
              std::span<std::uint16_t> table) {
  if (total == 0) return std::iota(table.begin(), table.end(), std::uint16_t{0});
  std::uint64_t share = 0;
  if (limit_factor > 0) {
    const double limit = limit_factor * static_cast<double>(total) / static_cast<double>(counts.size());
    const auto most = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::min(limit, 1e18)));
    std::uint64_t clipped = 0;
    if constexpr (sizeof(Count) == 4) {
      clipped = clip(occupied(counts), most);
    } else {
      clipped = clip(counts, most);
    }
    share = spread(counts, clipped, exact);
  }
  const std::uint64_t top = counts.size() - 1;
  const float scale = static_cast<float>(top) / static_cast<float>(total);
  std::uint64_t sum = 0;
  std::size_t i = 0;
  if constexpr (sizeof(Count) == 4) {
    if (!exact) i = fill_by_eights(counts, share, scale, static_cast<float>(top), table, sum);
  }
  for (; i < counts.size(); ++i) {
    sum += counts[i] + share;
    if (exact) {
      table[i] = static_cast<std::uint16_t>((Wide{sum} * top + total / 2) / total);
    } else {
      const float value = std::min(static_cast<float>(sum) * scale, static_cast<float>(top));
      table[i] = static_cast<std::uint16_t>(round_even(value));
    }
  }
}

/// Counts tiles that lie side by side, row by row of the image, so that a row is read (and converted) once.
template <class T>
class TileRunCounter {
 public:
  TileRunCounter(const EqualizePage& page, const Plane& plane, std::uint32_t levels, const ClaheGrid& grid)
      : view_(page.image), selection_(selection_of(page)), grid_(grid), reader_(page.image, plane, levels) {}

  void count(std::uint32_t tile_row, std::uint32_t first, std::span<SampleCounter<T>> tiles) {
    const std::uint64_t top = std::uint64_t{tile_row} * grid_.tile_height;
    for (std::uint64_t row = top; row < top + grid_.tile_height; ++row) {
      const std::uint32_t y = reflect_101(row, view_.height);
      for (std::size_t t = 0; t < tiles.size(); ++t) count_row(y, (first + t) * grid_.tile_width, tiles[t]);
    }
  }

 private:
  void count_row(std::uint32_t y, std::uint64_t left, SampleCounter<T>& counter) {
    const std::uint64_t right = left + grid_.tile_width;
    std::uint64_t x = left;
    while (x < std::min<std::uint64_t>(right, view_.width)) {
      const std::uint64_t n = std::min<std::uint64_t>({right - x, view_.width - x, k_segment_pixels});
      add(y, static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(n), counter);
      x += n;
    }
    for (; x < right; ++x) add(y, reflect_101(x, view_.width), 1, counter);
  }

  void add(std::uint32_t y, std::uint32_t x, std::uint32_t n, SampleCounter<T>& counter) {
    const bool all = selection_.everything() || fill_keep<T>(view_, selection_, y, x, n, keep_.data());
    counter.add(reader_.read(y, x, n), all ? nullptr : keep_.data(), n);
  }

  const ImageView view_;
  const Selection selection_;
  const ClaheGrid grid_;
  PlaneReader<T> reader_;
  std::array<std::uint8_t, k_segment_pixels> keep_;
};

template <class T>
void make_tables(std::span<const EqualizePage* const> pages, const Plane& plane, const EqualizeOptions& options,
                 std::uint32_t levels, Arena& arena, Lut& tables, Histogram* all) {
  const ImageView& view = pages.front()->image;
  const ClaheGrid grid = clahe_grid(view.width, view.height, options.tiles_x, options.tiles_y);
  const bool exact = sizeof(T) == 2 && options.rule == Rule::exact;
  // A tile alone is enough of a task, and its counts stay in the cache; but the conversion to Lab is paid by the row.
  const std::uint32_t together = plane.kind == PlaneKind::lab ? grid.tiles_x : 1;
  const std::uint32_t steps = grid.tiles() / together;
  const std::size_t grain = std::max<std::size_t>(1, steps / (k_tasks_a_thread * arena.threads()));
  std::mutex mutex;
  arena.parallel_for(steps, grain, [&](std::size_t begin, std::size_t end) {
    std::vector<SampleCounter<T>> counters(together);
    Histogram sum(all != nullptr ? k_bins<T> : 0);
    for (std::size_t tile = begin * together; tile < end * together; tile += together) {
      const auto tile_row = static_cast<std::uint32_t>(tile / grid.tiles_x);
      const auto first = static_cast<std::uint32_t>(tile % grid.tiles_x);
      for (const EqualizePage* page : pages)
        TileRunCounter<T>(*page, plane, levels, grid).count(tile_row, first, counters);
      for (std::uint32_t t = 0; t < together; ++t) {
        const std::span table = std::span(tables).subspan((tile + t) * k_bins<T>, k_bins<T>);
        const std::span used = table.first(levels);
        std::iota(table.begin() + levels, table.end(), static_cast<std::uint16_t>(levels));
        if (const Narrow narrow = counters[t].narrow_counts(); !narrow.empty()) {
          if (all != nullptr) {
            const Narrow some = occupied(narrow);
            add(some, sum.counts().subspan(static_cast<std::size_t>(some.data() - narrow.data()), some.size()));
          }
          table_of(narrow.first(levels), counters[t].pending(), options.clip, exact, used);
          counters[t].clear();
        } else {
          Histogram counts(k_bins<T>);
          counters[t].fold_into(counts);
          if (all != nullptr) sum.merge(counts);
          table_of(counts.counts().first(levels), counts.total(), options.clip, exact, used);
        }
      }
    }
    const std::lock_guard lock(mutex);
    if (all != nullptr) all->merge(sum);
  });
}

/// Four tables side by side, as Kernels::blend_u16 takes them.
template <class Cell>
void pack(const Cell& cell, std::span<std::uint64_t> entries) {
  const auto eight = [](const std::uint16_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  for (std::size_t i = 0; i < entries.size(); i += 8) {
    const __m128i upper_left = eight(cell.upper_left + i), upper_right = eight(cell.upper_right + i);
    const __m128i lower_left = eight(cell.lower_left + i), lower_right = eight(cell.lower_right + i);
    const __m128i upper[] = {_mm_unpacklo_epi16(upper_left, upper_right), _mm_unpackhi_epi16(upper_left, upper_right)};
    const __m128i lower[] = {_mm_unpacklo_epi16(lower_left, lower_right), _mm_unpackhi_epi16(lower_left, lower_right)};
    auto* const to = reinterpret_cast<__m128i*>(entries.data() + i);
    _mm_storeu_si128(to, _mm_unpacklo_epi32(upper[0], lower[0]));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi32(upper[0], lower[0]));
    _mm_storeu_si128(to + 2, _mm_unpacklo_epi32(upper[1], lower[1]));
    _mm_storeu_si128(to + 3, _mm_unpackhi_epi32(upper[1], lower[1]));
  }
}

/// What Kernels::blend_u8 does, from four tables that lie apart.
template <class T, class Cell>
void blend(const Cell& cell, const T* in, T* out, std::uint32_t n, const float* weights_right, float weight_below) {
  const float weight_above = 1.0f - weight_below;
  for (std::uint32_t i = 0; i < n; ++i) {
    const T v = in[i];
    const float right = weights_right[i], left = 1.0f - right;
    const float over = static_cast<float>(cell.upper_left[v]) * left + static_cast<float>(cell.upper_right[v]) * right;
    const float under = static_cast<float>(cell.lower_left[v]) * left + static_cast<float>(cell.lower_right[v]) * right;
    out[i] = static_cast<T>(std::min<int>(round_even(over * weight_above + under * weight_below), k_bins<T> - 1));
  }
}

}  // namespace

ClaheGrid clahe_grid(std::uint32_t width, std::uint32_t height, std::uint32_t tiles_x, std::uint32_t tiles_y) {
  ClaheGrid grid{tiles_x, tiles_y, width / tiles_x, height / tiles_y};
  // When either side needs to be extended OpenCV extends both, a side that already fits by a whole row of pixels a
  // tile.
  if (width % tiles_x != 0 || height % tiles_y != 0) {
    ++grid.tile_width;
    ++grid.tile_height;
  }
  return grid;
}

bool clahe_counts_all(const EqualizePage& page, const EqualizeOptions& options) {
  const ImageView& view = page.image;
  return view.width % options.tiles_x == 0 && view.height % options.tiles_y == 0 && selection_of(page).everything();
}

Lut clahe_tables(std::span<const EqualizePage* const> pages, const Plane& plane, const EqualizeOptions& options,
                 std::uint32_t levels, Arena& arena, Histogram* all) {
  assert(!pages.empty());
  const PixelFormat& format = pages.front()->image.format;
  Lut tables(std::size_t{options.tiles_x} * options.tiles_y * format.bins());
  if (pages.front()->image.pixels() == 0) {
    for (std::size_t i = 0; i < tables.size(); ++i) tables[i] = static_cast<std::uint16_t>(i % format.bins());
    return tables;
  }
  const auto make = format.depth_bits == 8 ? make_tables<std::uint8_t> : make_tables<std::uint16_t>;
  make(pages, plane, options, levels, arena, tables, all);
  return tables;
}

template <class T>
ClaheMap<T>::ClaheMap(const Lut& tables, const ClaheGrid& grid, std::uint32_t width)
    : tables_(tables),
      grid_(grid),
      kernels_(kernels()),
      columns_(width),
      ends_(std::size_t{grid.tiles_x} + 1, width),
      weights_(width) {
  const float inverse = 1.0f / static_cast<float>(grid.tile_width);
  for (std::uint32_t x = 0; x < width; ++x) {
    const float position = static_cast<float>(x) * inverse - 0.5f;
    const float left = std::floor(position);
    weights_[x] = position - left;
    columns_[x] = static_cast<std::uint32_t>(left + 1);
    if (x > 0 && columns_[x] != columns_[x - 1]) ends_[columns_[x - 1]] = x;
  }
  if (sizeof(T) == 1 && grid.tiles() <= k_packed_tiles_max) pack_cells();
}

template <class T>
ClaheMap<T>::Cell ClaheMap<T>::cell(std::uint32_t column, std::uint32_t row) const {
  const std::size_t left = std::max(column, 1u) - 1, right = std::min(column, grid_.tiles_x - 1);
  const std::size_t pitch = std::size_t{grid_.tiles_x} * k_bins<T>;
  const std::uint16_t* const upper = tables_.data() + (std::max(row, 1u) - 1) * pitch;
  const std::uint16_t* const lower = tables_.data() + std::min(row, grid_.tiles_y - 1) * pitch;
  return {upper + left * k_bins<T>, upper + right * k_bins<T>, lower + left * k_bins<T>, lower + right * k_bins<T>};
}

template <class T>
void ClaheMap<T>::pack_cells() {
  packed_.reserve((std::size_t{grid_.tiles_x} + 1) * (grid_.tiles_y + 1) * k_bins<T>);
  for (std::uint32_t row = 0; row <= grid_.tiles_y; ++row) {
    for (std::uint32_t column = 0; column <= grid_.tiles_x; ++column) {
      const Cell c = cell(column, row);
      for (std::uint32_t v = 0; v < k_bins<T>; ++v) {
        packed_.push_back(c.upper_left[v] | std::uint32_t{c.upper_right[v]} << 8 |
                          std::uint32_t{c.lower_left[v]} << 16 | std::uint32_t{c.lower_right[v]} << 24);
      }
    }
  }
}

template <class T>
bool ClaheMap<T>::goes_by_blocks() const {
  return sizeof(T) == 2 && std::uint64_t{grid_.tile_width} * grid_.tile_height >= k_packed_cell_pixels_min;
}

template <class T>
ClaheMap<T>::Row ClaheMap<T>::row_of(std::uint32_t y) const {
  const float position = static_cast<float>(y) * (1.0f / static_cast<float>(grid_.tile_height)) - 0.5f;
  const float above = std::floor(position);
  return {static_cast<std::uint32_t>(above + 1), position - above};
}

template <class T>
std::vector<ClaheBlock> ClaheMap<T>::blocks(std::uint32_t height) const {
  std::vector<ClaheBlock> result;
  const auto width = static_cast<std::uint32_t>(columns_.size());
  for (std::uint32_t top = 0, bottom = 0; top < height; top = bottom) {
    while (bottom < height && row_of(bottom).cell == row_of(top).cell) ++bottom;
    for (std::uint32_t left = 0; left < width; left = ends_[columns_[left]]) {
      const std::uint32_t across = ends_[columns_[left]] - left;
      const std::uint32_t rows = std::max(1u, k_block_pixels / across);
      for (std::uint32_t y = top; y < bottom; y += std::min(rows, bottom - y))
        result.push_back({left, y, across, std::min(rows, bottom - y)});
    }
  }
  return result;
}

template <class T>
void ClaheMap<T>::map(const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n) const {
  const Row row = row_of(y);
  for (std::uint32_t done = 0; done < n;) {
    const std::uint32_t column = columns_[x + done];
    const std::uint32_t count = std::min(n - done, ends_[column] - (x + done));
    const float* const weights = weights_.data() + x + done;
    if constexpr (sizeof(T) == 1) {
      if (!packed_.empty()) {
        const std::size_t at = std::size_t{row.cell} * (grid_.tiles_x + 1) + column;
        kernels_.blend_u8(in + done, out + done, count, packed_.data() + at * k_bins<T>, weights, row.weight_below);
        done += count;
        continue;
      }
    }
    blend(cell(column, row.cell), in + done, out + done, count, weights, row.weight_below);
    done += count;
  }
}

template <class T>
void ClaheMap<T>::map_in_block(const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n,
                               PackedCell& packed) const {
  if constexpr (sizeof(T) == 2) {
    const Row row = row_of(y);
    if (packed.entries.empty() || packed.column != columns_[x] || packed.row != row.cell) {
      packed.entries.resize(k_bins<T>);
      packed.column = columns_[x];
      packed.row = row.cell;
      pack(cell(packed.column, packed.row), packed.entries);
    }
    kernels_.blend_u16(in, out, n, packed.entries.data(), weights_.data() + x, row.weight_below);
  }
}

template class ClaheMap<std::uint8_t>;
template class ClaheMap<std::uint16_t>;

}  // namespace histod::compute
