// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "compute/color_row.hpp"
#include "compute/equalize.hpp"
#include "compute/histogram.hpp"
#include "compute/kernels.hpp"
#include "compute/pixels.hpp"

/// Inside compute/: a page seen as planes of samples, a segment of a row at a time. T is the sample: u8 or u16.
namespace histod::compute {

/// Pixels that are worked on at once: the scratch of all steps stays in the first-level cache.
inline constexpr std::uint32_t k_segment_pixels = 2048;

enum class PlaneKind : std::uint8_t {
  channel,  ///< one channel as it lies
  luma,     ///< a weighted sum of the three colors
  lab,      ///< L* of CIE L*a*b*, scaled to the levels
};

struct Plane {
  PlaneKind kind = PlaneKind::channel;
  std::uint32_t channel = 0;
  LumaWeights weights = k_luma_ycrcb;
};

/// Which pixels of a page are left out.
struct Selection {
  std::span<const std::byte> mask;
  std::optional<std::uint32_t> nodata;
  bool alpha = false;

  bool everything() const { return mask.empty() && !nodata && !alpha; }
};

/// A nodata value that no sample can have (a fraction, NaN, out of the depth's range) leaves nothing out.
Selection selection_of(const EqualizePage& page);

template <class T>
T* pixel_at(const ImageView& view, std::uint32_t y, std::uint32_t x) {
  return reinterpret_cast<T*>(view.row(y)) + std::size_t{x} * view.format.channels();
}

/// Calls f with `step` as a constant where it is a common one: loops over interleaved samples gain much by it.
template <class F>
void with_step(unsigned step, F&& f) {
  switch (step) {
    case 2:
      return f(std::integral_constant<unsigned, 2>());
    case 3:
      return f(std::integral_constant<unsigned, 3>());
    case 4:
      return f(std::integral_constant<unsigned, 4>());
    default:
      return f(step);
  }
}

/// Sets keep[i] to 1 or 0 for each pixel of a segment; true if all are 1.
template <class T>
bool fill_keep(const ImageView& view, const Selection& selection, std::uint32_t y, std::uint32_t x, std::uint32_t n,
               std::uint8_t* keep);

/// Calls f(x, n) for segments that cover a row.
template <class F>
void for_segments(std::uint32_t width, std::uint32_t segment, F&& f) {
  for (std::uint32_t x = 0; x < width; x += std::min(segment, width - x)) f(x, std::min(segment, width - x));
}

/// Rows that one task takes, at least: so many that starting it costs nothing beside them.
inline std::size_t grain_rows(const ImageView& view, std::size_t pixels) {
  return std::max<std::size_t>(1, pixels / std::max<std::size_t>(1, view.width));
}

/// Gives the samples of a plane side by side. One for each task: it holds scratch.
template <class T>
class PlaneReader {
 public:
  PlaneReader(const ImageView& view, const Plane& plane, std::uint32_t levels);
  /// n <= k_segment_pixels; valid until the next call.
  const T* read(std::uint32_t y, std::uint32_t x, std::uint32_t n);

 private:
  const ImageView view_;
  const Plane plane_;
  const Kernels& kernels_;
  std::vector<T> scratch_;
  std::unique_ptr<ColorRow<T>> row_;
  std::int64_t row_y_ = -1;
};

/// Looks for pairs of neighbours that equal the pair before them, as scans, drawings and upscaled images have them.
/// There the increment of a pair's entry waits for the one before, and single samples are counted faster; elsewhere
/// pairs are, by up to 40 % (histobench shows both).
class RepeatedPairs {
 public:
  void look_at(std::span<const std::uint8_t> samples);
  bool most() const { return pairs_ != 0 && 2 * repeated_ >= pairs_; }

 private:
  std::uint64_t pairs_ = 0;
  std::uint64_t repeated_ = 0;
};

/// Counts samples into the kernels' narrow tables, and folds those into wide counts before they could overflow.
template <class T>
class SampleCounter {
 public:
  /// `by_pairs`: 8-bit samples go into the table of pairs, which pays from about a million samples on.
  explicit SampleCounter(bool by_pairs = false);
  /// Counts those whose keep is not 0, n <= k_segment_pixels; all of them when `keep` is null, n <= 2^30.
  void add(const T* samples, const std::uint8_t* keep, std::uint32_t n);
  void fold_into(Histogram& histogram);

 private:
  void count(const T* samples, std::uint32_t n);
  void fold();
  const Kernels& kernels_;
  std::vector<std::uint32_t> tables_;
  std::vector<std::uint32_t> pairs_;  ///< empty: not used
  std::vector<T> kept_;
  Histogram wide_;
  std::uint64_t pending_ = 0;
};

}  // namespace histod::compute
