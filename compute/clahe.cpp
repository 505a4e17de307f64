// SPDX-License-Identifier: Apache-2.0
#include "compute/clahe.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
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

/// Where a coordinate beyond the end lies when the image is reflected without its edge being repeated.
std::uint32_t reflect_101(std::uint64_t at, std::uint32_t size) {
  if (at < size) return static_cast<std::uint32_t>(at);
  if (size == 1) return 0;
  const std::uint64_t period = 2 * (std::uint64_t{size} - 1);
  const std::uint64_t rest = at % period;
  return static_cast<std::uint32_t>(rest < size ? rest : period - rest);
}

/// Cuts what is above the limit and gives it back to all bins: equal shares, then the remainder one by one.
void clip_and_spread(std::span<std::uint64_t> counts, std::uint64_t limit, bool evenly) {
  std::uint64_t clipped = 0;
  for (std::uint64_t& count : counts) {
    clipped += count > limit ? count - limit : 0;
    count = std::min(count, limit);
  }
  const std::uint64_t bins = counts.size();
  const std::uint64_t rest = clipped % bins;
  for (std::uint64_t& count : counts) count += clipped / bins;
  if (evenly) {
    for (std::uint64_t i = 0; i < bins; ++i) counts[i] += (i + 1) * rest / bins - i * rest / bins;
  } else if (rest != 0) {
    // OpenCV's stride is rounded down, so with a large remainder it never comes to the upper bins.
    const std::uint64_t stride = bins / rest;
    for (std::uint64_t i = 0; i < rest; ++i) ++counts[i * stride];
  }
}

void table_of(std::span<std::uint64_t> counts, double clip, bool exact, std::span<std::uint16_t> table) {
  const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (total == 0) return;
  if (clip > 0) {
    const double limit = clip * static_cast<double>(total) / static_cast<double>(counts.size());
    clip_and_spread(counts, std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::min(limit, 1e18))), exact);
  }
  const std::uint64_t top = counts.size() - 1;
  const float scale = static_cast<float>(top) / static_cast<float>(total);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sum += counts[i];
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
                 std::uint32_t levels, Arena& arena, Lut& tables) {
  const ImageView& view = pages.front()->image;
  const ClaheGrid grid = clahe_grid(view.width, view.height, options.tiles_x, options.tiles_y);
  const bool exact = sizeof(T) == 2 && options.rule == Rule::exact;
  const auto run = [&](std::uint32_t tile_row, std::uint32_t first, std::uint32_t n) {
    std::vector<SampleCounter<T>> counters(n);
    for (const EqualizePage* page : pages)
      TileRunCounter<T>(*page, plane, levels, grid).count(tile_row, first, counters);
    for (std::uint32_t t = 0; t < n; ++t) {
      Histogram counts(k_bins<T>);
      counters[t].fold_into(counts);
      const std::size_t entry = (std::size_t{tile_row} * grid.tiles_x + first + t) * k_bins<T>;
      table_of(counts.counts().first(levels), options.clip, exact, std::span(tables).subspan(entry, levels));
    }
  };
  // A tile alone is enough of a task, but the conversion to Lab is paid by the row.
  const std::size_t grain = plane.kind == PlaneKind::lab ? grid.tiles_x : 1;
  arena.parallel_for(grid.tiles(), grain, [&](std::size_t begin, std::size_t end) {
    while (begin < end) {
      const auto first = static_cast<std::uint32_t>(begin % grid.tiles_x);
      const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(grid.tiles_x - first, end - begin));
      run(static_cast<std::uint32_t>(begin / grid.tiles_x), first, n);
      begin += n;
    }
  });
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

Lut clahe_tables(std::span<const EqualizePage* const> pages, const Plane& plane, const EqualizeOptions& options,
                 std::uint32_t levels, Arena& arena) {
  assert(!pages.empty());
  const PixelFormat& format = pages.front()->image.format;
  Lut tables(std::size_t{options.tiles_x} * options.tiles_y * format.bins());
  for (std::size_t i = 0; i < tables.size(); ++i) tables[i] = static_cast<std::uint16_t>(i % format.bins());
  if (pages.front()->image.pixels() == 0) return tables;
  const auto make = format.depth_bits == 8 ? make_tables<std::uint8_t> : make_tables<std::uint16_t>;
  make(pages, plane, options, levels, arena, tables);
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
void ClaheMap<T>::map(const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n) const {
  const float position = static_cast<float>(y) * (1.0f / static_cast<float>(grid_.tile_height)) - 0.5f;
  const float above = std::floor(position);
  const float weight_below = position - above;
  const auto row = static_cast<std::uint32_t>(above + 1);
  for (std::uint32_t done = 0; done < n;) {
    const std::uint32_t column = columns_[x + done];
    const std::uint32_t count = std::min(n - done, ends_[column] - (x + done));
    const float* const weights = weights_.data() + x + done;
    if constexpr (sizeof(T) == 1) {
      if (!packed_.empty()) {
        const std::size_t at = std::size_t{row} * (grid_.tiles_x + 1) + column;
        kernels_.blend_u8(in + done, out + done, count, packed_.data() + at * k_bins<T>, weights, weight_below);
        done += count;
        continue;
      }
    }
    blend(cell(column, row), in + done, out + done, count, weights, weight_below);
    done += count;
  }
}

template class ClaheMap<std::uint8_t>;
template class ClaheMap<std::uint16_t>;

}  // namespace histod::compute
