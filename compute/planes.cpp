// SPDX-License-Identifier: Apache-2.0
#include "compute/planes.hpp"

#include <cmath>

namespace histod::compute {
namespace {

constexpr std::uint64_t k_pending_max = 1u << 31;

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

void RepeatedPairs::look_at(std::span<const std::uint8_t> samples) {
  for (std::size_t i = 2; i + 1 < samples.size(); i += 2) {
    ++pairs_;
    repeated_ += samples[i] == samples[i - 2] && samples[i + 1] == samples[i - 1];
  }
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
    pixels += plane_.channel;
    with_step(step, [pixels, n, out = scratch_.data()](auto constant) {
      for (std::size_t i = 0; i < n; ++i) out[i] = pixels[i * constant];
    });
  } else if constexpr (sizeof(T) == 1) {
    kernels_.luma_u8(pixels, step, n, plane_.weights, scratch_.data());
  } else {
    kernels_.luma_u16(pixels, step, n, plane_.weights, scratch_.data());
  }
  return scratch_.data();
}

template <class T>
SampleCounter<T>::SampleCounter(bool by_pairs)
    : kernels_(kernels()),
      tables_(k_table_entries<T>),
      pairs_(by_pairs && sizeof(T) == 1 ? k_count_pairs_u8 : 0),
      wide_(k_bins<T>) {}

template <class T>
void SampleCounter<T>::add(const T* samples, const std::uint8_t* keep, std::uint32_t n) {
  if (pending_ + n > k_pending_max) fold();
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
  if constexpr (sizeof(T) == 1) {
    const std::uint32_t paired = pairs_.empty() ? 0 : n & ~1u;
    if (paired > 0) kernels_.count_pairs_u8(samples, paired, pairs_.data());
    kernels_.count_u8(samples + paired, n - paired, tables_.data());
  } else {
    kernels_.count_u16(samples, n, tables_.data());
  }
}

template <class T>
void SampleCounter<T>::fold() {
  const std::span<std::uint64_t> wide = wide_.counts();
  for (std::size_t i = 0; i < tables_.size(); ++i) wide[i % k_bins<T>] += tables_[i];
  std::fill(tables_.begin(), tables_.end(), 0u);
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    wide[i & 0xff] += pairs_[i];
    wide[i >> 8] += pairs_[i];
  }
  std::fill(pairs_.begin(), pairs_.end(), 0u);
  pending_ = 0;
}

template <class T>
void SampleCounter<T>::fold_into(Histogram& histogram) {
  fold();
  histogram.merge(wide_);
  std::fill(wide_.counts().begin(), wide_.counts().end(), 0u);
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
