// SPDX-License-Identifier: Apache-2.0
#include "compute/planes.hpp"

#include <array>
#include <cassert>
#include <cmath>
#include <cstdlib>

namespace histod::compute {
namespace {

constexpr std::uint64_t k_pending_max = 1u << 31;

/// Where half of all pairs differ by more the table of pairs is too widely used to be the faster one.
constexpr int k_near = 16;

template <class T>
constexpr std::uint32_t k_bins = sizeof(T) == 1 ? 256 : 65536;
template <class T>
constexpr std::size_t k_table_entries = sizeof(T) == 1 ? k_count_tables_u8 : k_count_tables_u16;

template <class T>
void and_alpha(const T* pixels, const PixelFormat& format, std::uint32_t n, std::uint8_t* keep) {
  const unsigned step = format.channels();
  const T* alpha = pixels + format.colors;
  for (std::uint32_t i = 0; i < n; ++i) keep[i] &= alpha[std::size_t{i} * step] != 0;
}

template <class T>
void and_not_nodata(const T* pixels, const PixelFormat& format, std::uint32_t nodata, std::uint32_t n,
                    std::uint8_t* keep) {
  const unsigned step = format.channels();
  for (std::uint32_t i = 0; i < n; ++i, pixels += step) {
    bool same = true;
    for (unsigned c = 0; c < format.colors; ++c) same &= pixels[c] == nodata;
    keep[i] &= !same;
  }
}

}  // namespace

Selection selection_of(const EqualizePage& page) {
  const PixelFormat& format = page.image.format;
  Selection selection{.mask = page.mask, .nodata = std::nullopt, .alpha = format.alpha && format.extras > 0};
  const double value = page.nodata.value_or(-1);
  if (value >= 0 && value < format.bins() && value == std::floor(value)) {
    selection.nodata = static_cast<std::uint32_t>(value);
  }
  return selection;
}

void Neighbours::look_at(std::span<const std::uint8_t> samples) {
  const std::size_t apart = std::max<std::size_t>(1, std::min(samples.size(), k_pair_block) / k_pair_streams / 2) * 2;
  for (std::size_t i = apart; i + 1 < samples.size(); i += 2) {
    ++pairs_;
    repeated_ += samples[i] == samples[i - apart] && samples[i + 1] == samples[i - apart + 1];
    near_ += std::abs(samples[i] - samples[i + 1]) <= k_near;
  }
}

Counting Neighbours::best() const {
  return 3 * repeated_ < pairs_ && 2 * near_ > pairs_ ? Counting::pairs : Counting::mixed;
}

template <class T>
bool fill_keep(const ImageView& view, const Selection& selection, std::uint32_t y, std::uint32_t x, std::uint32_t n,
               std::uint8_t* keep) {
  std::fill_n(keep, n, std::uint8_t{1});
  if (selection.everything()) return true;
  if (!selection.mask.empty()) {
    const std::byte* mask = selection.mask.data() + std::size_t{y} * view.width + x;
    for (std::uint32_t i = 0; i < n; ++i) keep[i] = mask[i] != std::byte{0};
  }
  const T* pixels = pixel_at<T>(view, y, x);
  if (selection.alpha) and_alpha(pixels, view.format, n, keep);
  if (selection.nodata) and_not_nodata(pixels, view.format, *selection.nodata, n, keep);
  return std::find(keep, keep + n, 0) == keep + n;
}

template <class T>
PlaneReader<T>::PlaneReader(const ImageView& view, const Plane& plane, std::uint32_t levels)
    : view_(view), plane_(plane), kernels_(kernels()) {
  if (plane.kind == PlaneKind::lab) {
    row_ = std::make_unique<ColorRow<T>>(ColorSpace::lab, view.width, view.format.channels(), levels);
  } else if (view.format.channels() != 1) {
    scratch_.resize(std::min(view.width, k_segment_pixels));
  }
}

template <class T>
const T* PlaneReader<T>::read(std::uint32_t y, std::uint32_t x, std::uint32_t n) {
  if (row_) {
    if (row_y_ != y) row_->split(pixel_at<T>(view_, y, 0));
    row_y_ = y;
    return row_->values() + x;
  }
  const T* pixels = pixel_at<T>(view_, y, x);
  const unsigned step = view_.format.channels();
  if (step == 1) return pixels;
  if (plane_.kind == PlaneKind::channel) {
    if constexpr (sizeof(T) == 1) {
      kernels_.pick_u8(pixels, step, plane_.channel, n, scratch_.data());
    } else {
      kernels_.pick_u16(pixels, step, plane_.channel, n, scratch_.data());
    }
  } else if constexpr (sizeof(T) == 1) {
    kernels_.luma_u8(pixels, step, n, plane_.weights, scratch_.data());
  } else {
    kernels_.luma_u16(pixels, step, n, plane_.weights, scratch_.data());
  }
  return scratch_.data();
}

template <class T>
SampleCounter<T>::SampleCounter(bool large)
    : kernels_(kernels()), tables_(k_table_entries<T>), pairs_(large && sizeof(T) == 1 ? k_count_pairs_u8 : 0) {}

template <class T>
void SampleCounter<T>::count_by(Counting way) {
  assert(pending_ == 0 && (way == Counting::singly || !pairs_.empty()));
  way_ = way;
}

template <class T>
void SampleCounter<T>::make_room(std::uint32_t n) {
  if (pending_ + n <= k_pending_max) return;
  wide_.resize(k_bins<T>);
  fold(wide_);
}

template <class T>
void SampleCounter<T>::add_rgb(std::span<SampleCounter> counters, const T* pixels, std::uint32_t n) {
  assert(counters.size() == 3);
  if constexpr (sizeof(T) == 1) {
    std::array<std::uint32_t*, 3> tables;
    for (std::size_t channel = 0; channel < tables.size(); ++channel) {
      counters[channel].make_room(n);
      counters[channel].pending_ += n;
      tables[channel] = counters[channel].tables_.data();
    }
    counters.front().kernels_.count_rgb_u8(pixels, n, tables.data());
  }
}

template <class T>
void SampleCounter<T>::add(const T* samples, const std::uint8_t* keep, std::uint32_t n) {
  make_room(n);
  if (keep != nullptr) {
    kept_.resize(k_segment_pixels);
    if constexpr (sizeof(T) == 1) {
      n = static_cast<std::uint32_t>(kernels_.compact_u8(samples, keep, n, kept_.data()));
    } else {
      n = static_cast<std::uint32_t>(kernels_.compact_u16(samples, keep, n, kept_.data()));
    }
    samples = kept_.data();
  }
  pending_ += n;
  count(samples, n);
}

template <class T>
void SampleCounter<T>::count(const T* samples, std::uint32_t n) {
  if constexpr (sizeof(T) == 2) {
    kernels_.count_u16(samples, n, tables_.data());
  } else if (way_ == Counting::mixed) {
    kernels_.count_mixed_u8(samples, n, tables_.data(), pairs_.data());
  } else {
    const std::uint32_t paired = way_ == Counting::pairs ? n & ~1u : 0;
    if (paired > 0) kernels_.count_pairs_u8(samples, paired, pairs_.data());
    kernels_.count_u8(samples + paired, n - paired, tables_.data());
  }
}

template <class T>
void SampleCounter<T>::fold(std::span<std::uint64_t> into) {
  if (pending_ == 0) return;
  for (std::size_t from = 0; from < tables_.size(); from += k_bins<T>) {
    for (std::size_t i = 0; i < k_bins<T>; ++i) into[i] += tables_[from + i];
  }
  std::fill(tables_.begin(), tables_.end(), 0u);
  if (way_ != Counting::singly) fold_pairs(into);
  pending_ = 0;
}

/// Sums of rows and of columns: a pair's second sample is its entry's row.
template <class T>
void SampleCounter<T>::fold_pairs(std::span<std::uint64_t> into) {
  std::array<std::uint32_t, 256> columns{};
  for (std::size_t row = 0; row < 256; ++row) {
    const std::uint32_t* const entries = pairs_.data() + 256 * row;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 256; ++i) {
      columns[i] += entries[i];
      sum += entries[i];
    }
    into[row] += sum;
  }
  for (std::size_t i = 0; i < 256; ++i) into[i] += columns[i];
  std::fill(pairs_.begin(), pairs_.end(), 0u);
}

template <class T>
void SampleCounter<T>::fold_into(Histogram& histogram) {
  const std::span<std::uint64_t> counts = histogram.counts();
  fold(counts);
  for (std::size_t i = 0; i < wide_.size(); ++i) counts[i] += wide_[i];
  wide_.clear();
}

template <class T>
std::span<std::uint32_t> SampleCounter<T>::narrow_counts() {
  const bool all = sizeof(T) == 2 && wide_.empty() && pending_ < k_pending_max;
  return all ? std::span(tables_) : std::span<std::uint32_t>();
}

template <class T>
void SampleCounter<T>::clear() {
  std::fill(tables_.begin(), tables_.end(), 0u);
  std::fill(pairs_.begin(), pairs_.end(), 0u);
  wide_.clear();
  pending_ = 0;
}

template bool fill_keep<std::uint8_t>(const ImageView&, const Selection&, std::uint32_t, std::uint32_t, std::uint32_t,
                                      std::uint8_t*);
template bool fill_keep<std::uint16_t>(const ImageView&, const Selection&, std::uint32_t, std::uint32_t, std::uint32_t,
                                       std::uint8_t*);
template class PlaneReader<std::uint8_t>;
template class PlaneReader<std::uint16_t>;
template class SampleCounter<std::uint8_t>;
template class SampleCounter<std::uint16_t>;

}  // namespace histod::compute
