// SPDX-License-Identifier: Apache-2.0
#include "compute/reduce.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <mutex>

namespace histod::compute {
namespace {

/// Planes counted in one pass over the pixels: more tables than these would not stay in the cache.
constexpr std::size_t k_planes_a_pass = 4;

/// Adding up 65 536 entries, of 16-bit samples or of pairs, costs as much as counting some 60 000 pixels.
constexpr std::size_t k_task_pixels_large = 1024 * 1024;
constexpr std::size_t k_task_pixels_small = 64 * 1024;
constexpr std::size_t k_large_tasks_a_thread = 4;

std::size_t large_task_pixels(const ImageView& view, const Arena& arena) {
  return std::max<std::size_t>(k_task_pixels_large, view.pixels() / (k_large_tasks_a_thread * arena.threads()));
}

/// Rows that are looked at to choose between tables.
constexpr std::uint32_t k_sampled_rows = 16;

Counting best_for(const ImageView& view, const Plane& plane, std::uint32_t levels) {
  PlaneReader<std::uint8_t> reader(view, plane, levels);
  const std::uint32_t n = std::min(view.width, k_segment_pixels);
  Neighbours neighbours;
  for (std::uint32_t row = 0; row < k_sampled_rows; ++row) {
    const auto y = static_cast<std::uint32_t>(std::uint64_t{view.height} * row / k_sampled_rows);
    neighbours.look_at({reader.read(y, (view.width - n) / 2, n), n});
  }
  return neighbours.best();
}

/// The table of pairs is for images that keep all threads busy with large tasks, and for one plane: more of these
/// tables would not stay in the cache.
template <class T>
Counting way_to_count(const ImageView& view, std::span<const Plane> planes, std::uint32_t levels, const Arena& arena) {
  if (sizeof(T) != 1 || planes.size() != 1 || planes[0].kind == PlaneKind::lab) return Counting::singly;
  if (view.pixels() < k_task_pixels_large * arena.threads()) return Counting::singly;
  return best_for(view, planes[0], levels);
}

/// Whether all pixels of 8-bit RGB count, each channel by itself: they need not be taken apart for it.
template <class T>
bool counts_rgb(const ImageView& view, std::span<const Plane> planes, const Selection& selection) {
  const bool channels = std::ranges::all_of(planes, [](const Plane& p) { return p.kind == PlaneKind::channel; });
  return sizeof(T) == 1 && channels && planes.size() == 3 && view.format.channels() == 3 && selection.everything();
}

template <class T>
void count_pass(const EqualizePage& page, std::span<const Plane> planes, std::uint32_t levels, Arena& arena,
                std::span<PlaneCount> result) {
  const ImageView& view = page.image;
  const Selection selection = selection_of(page);
  const Counting way = way_to_count<T>(view, planes, levels, arena);
  const bool rgb = counts_rgb<T>(view, planes, selection);
  std::mutex mutex;
  const auto body = [&](std::size_t begin, std::size_t end) {
    std::vector<PlaneReader<T>> readers;
    std::vector<SampleCounter<T>> counters;
    for (const Plane& plane : planes) {
      readers.emplace_back(view, plane, levels);
      counters.emplace_back(way != Counting::singly).count_by(way);
    }
    std::array<std::uint8_t, k_segment_pixels> keep;
    std::uint64_t masked = 0;
    for (auto y = static_cast<std::uint32_t>(begin); y < end; ++y) {
      if (rgb) {
        SampleCounter<T>::add_rgb(counters, pixel_at<T>(view, y, 0), view.width);
        continue;
      }
      for_segments(view.width, k_segment_pixels, [&](std::uint32_t x, std::uint32_t n) {
        const bool all = selection.everything() || fill_keep<T>(view, selection, y, x, n, keep.data());
        if (!all) masked += static_cast<std::uint64_t>(std::count(keep.begin(), keep.begin() + n, 0));
        for (std::size_t p = 0; p < planes.size(); ++p) {
          counters[p].add(readers[p].read(y, x, n), all ? nullptr : keep.data(), n);
        }
      });
    }
    const std::lock_guard lock(mutex);
    for (std::size_t p = 0; p < planes.size(); ++p) {
      counters[p].fold_into(result[p].histogram);
      result[p].masked += masked;
    }
  };
  const bool large_tables = sizeof(T) == 2 || way != Counting::singly;
  arena.parallel_for(view.height, grain_rows(view, large_tables ? large_task_pixels(view, arena) : k_task_pixels_small),
                     body);
}

template <class T>
std::uint32_t largest(const EqualizePage& page, Arena& arena) {
  const ImageView& view = page.image;
  const Selection selection = selection_of(page);
  std::mutex mutex;
  std::uint32_t result = 0;
  const auto body = [&](std::size_t begin, std::size_t end) {
    std::array<std::uint8_t, k_segment_pixels> keep;
    std::uint32_t found = 0;
    for (auto y = static_cast<std::uint32_t>(begin); y < end; ++y) {
      for_segments(view.width, k_segment_pixels, [&](std::uint32_t x, std::uint32_t n) {
        fill_keep<T>(view, selection, y, x, n, keep.data());
        const T* pixels = pixel_at<T>(view, y, x);
        for (std::uint32_t i = 0; i < n; ++i, pixels += view.format.channels()) {
          if (keep[i] != 0)
            found = std::max<std::uint32_t>(found, *std::max_element(pixels, pixels + view.format.colors));
        }
      });
    }
    const std::lock_guard lock(mutex);
    result = std::max(result, found);
  };
  arena.parallel_for(view.height, grain_rows(view, k_task_pixels_small), body);
  return result;
}

}  // namespace

std::vector<PlaneCount> count_planes(const EqualizePage& page, std::span<const Plane> planes, std::uint32_t levels,
                                     Arena& arena) {
  std::vector<PlaneCount> result(planes.size(), PlaneCount{Histogram(page.image.format.bins()), 0});
  for (std::size_t at = 0; at < planes.size(); at += k_planes_a_pass) {
    const std::size_t some = std::min(k_planes_a_pass, planes.size() - at);
    const auto pass = page.image.format.depth_bits == 8 ? count_pass<std::uint8_t> : count_pass<std::uint16_t>;
    pass(page, planes.subspan(at, some), levels, arena, std::span(result).subspan(at, some));
  }
  return result;
}

std::uint32_t largest_sample(const EqualizePage& page, Arena& arena) {
  return page.image.format.depth_bits == 8 ? largest<std::uint8_t>(page, arena) : largest<std::uint16_t>(page, arena);
}

Histogram moved_by(const Lut& lut, const Histogram& before) {
  assert(lut.size() == before.bins());
  Histogram after(before.bins());
  for (std::uint32_t i = 0; i < before.bins(); ++i) after.counts()[lut[i]] += before[i];
  return after;
}

}  // namespace histod::compute
