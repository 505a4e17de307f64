// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

/// Which of the kernels counts 8-bit samples.
enum class Counting : std::uint8_t {
  singly,  ///< count_u8: few samples
  pairs,   ///< count_pairs_u8
  mixed,   ///< count_mixed_u8
};

/// Looks at some rows of a large image to choose between its ways of counting. By pairs is up to 40 % faster where
/// neighbours are near each other, as photographs have them: their entries of the table stay in the cache. But where a
/// pair is the same in many places (paper, drawings) its increment waits for the one before.
class Neighbours {
 public:
  void look_at(std::span<const std::uint8_t> samples);
  Counting best() const;

 private:
  std::uint64_t pairs_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t near_ = 0;
};

/// Counts samples into the kernels' narrow tables, and folds those into wide counts before they could overflow.
template <class T>
class SampleCounter {
 public:
  /// `large`: 8-bit samples may be counted by pairs, which pays from about a million of them on.
  explicit SampleCounter(bool large = false);
  /// Counting::singly until said otherwise; the others only if `large`. Not between add() and fold_into().
  void count_by(Counting way);
  /// Counts those whose keep is not 0, n <= k_segment_pixels; all of them when `keep` is null, n <= 2^30.
  void add(const T* samples, const std::uint8_t* keep, std::uint32_t n);
  /// 8 bits: counts n packed pixels of three channels, each into its own counter, singly. n <= 2^30.
  static void add_rgb(std::span<SampleCounter> counters, const T* pixels, std::uint32_t n);
  /// Adds the counts to `histogram` and begins anew.
  void fold_into(Histogram& histogram);
  /// The counts where they lie, one for each bin, to be worked on until clear(). Empty for 8 bits, where they lie in
  /// several tables, and when there are more than 2^31 - 1.
  std::span<std::uint32_t> narrow_counts();
  /// How many samples narrow_counts() has.
  std::uint64_t pending() const { return pending_; }
  /// Begins anew without having folded.
  void clear();

 private:
  void make_room(std::uint32_t n);
  void count(const T* samples, std::uint32_t n);
  void fold(std::span<std::uint64_t> into);
  void fold_pairs(std::span<std::uint64_t> into);
  const Kernels& kernels_;
  Counting way_ = Counting::singly;
  std::vector<std::uint32_t> tables_;
  std::vector<std::uint32_t> pairs_;  ///< empty: not large
  std::vector<T> kept_;
  std::vector<std::uint64_t> wide_;  ///< empty until the tables were about to overflow
  std::uint64_t pending_ = 0;
};

}  // namespace histod::compute
