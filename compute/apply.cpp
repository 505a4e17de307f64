// SPDX-License-Identifier: Apache-2.0
#include "compute/apply.hpp"

#include <array>
#include <cstring>
#include <mutex>

namespace histod::compute {
namespace {

/// Planes whose packed cells a task holds at a time, half a megabyte each.
constexpr std::size_t k_block_planes_max = 4;

/// One plane's way from sample to sample: by one table, or by a grid of them.
template <class T>
class PlaneMap {
 public:
  PlaneMap(const Lut& lut, const std::optional<ClaheGrid>& grid, std::uint32_t width) : lut_(lut) {
    if (grid) clahe_.emplace(lut, *grid, width);
    if (sizeof(T) == 1 && !grid) std::copy(lut.begin(), lut.end(), narrow_.begin());
  }

  /// null unless by a grid
  const ClaheMap<T>* clahe() const { return clahe_ ? &*clahe_ : nullptr; }

  void map(const Kernels& kernels, const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n) const {
    if (clahe_) return clahe_->map(in, out, y, x, n);
    if constexpr (sizeof(T) == 1) {
      kernels.apply_u8(in, out, n, narrow_.data());
    } else {
      kernels.apply_u16(in, out, n, lut_.data());
    }
  }

 private:
  const Lut& lut_;
  std::array<std::uint8_t, 256> narrow_{};
  std::optional<ClaheMap<T>> clahe_;
};

bool is_conversion(Target target) { return target == Target::ycrcb || target == Target::lab; }

/// A task's scratch, and the steps for a segment of a row.
template <class T>
class SegmentWriter {
 public:
  SegmentWriter(const ApplyJob& job, const ImageView& view, std::span<const PlaneMap<T>> maps)
      : job_(job), view_(view), selection_(selection_of(*job.page)), maps_(maps), kernels_(kernels()) {
    const unsigned step = view.format.channels();
    segment_ = is_conversion(job.target) ? view.width : std::min(view.width, k_segment_pixels);
    keep_.resize(segment_, 1);
    mapped_.resize(segment_);
    saved_.resize(std::size_t{segment_} * step);
    if (!job.write) work_.resize(std::size_t{segment_} * step);
    if (job.count_mapped) counters_.resize(job.planes.size());
    if (is_conversion(job.target)) {
      const ColorSpace space = job.target == Target::lab ? ColorSpace::lab : ColorSpace::ycrcb;
      row_ = std::make_unique<ColorRow<T>>(space, view.width, step, job.levels);
    } else if (job.target == Target::channels) {
      channels_.resize(std::size_t{segment_} * step);
      for (std::size_t channel = 0; channel < step; ++channel) split_.push_back(channels_.data() + channel * segment_);
    } else {
      readers_.emplace_back(view, job.planes.front(), job.levels);
    }
  }

  void row(std::uint32_t y) {
    for_segments(view_.width, segment_, [&](std::uint32_t x, std::uint32_t n) { segment(y, x, n); });
  }

  void block(const ClaheBlock& block) {
    packed_.resize(maps_.size());
    for (std::uint32_t y = block.y; y < block.y + block.height; ++y) {
      for_segments(block.width, segment_, [&](std::uint32_t x, std::uint32_t n) { segment(y, block.x + x, n); });
    }
  }

  void finish(ApplyOutcome& outcome) {
    for (std::size_t p = 0; p < counters_.size(); ++p) counters_[p].fold_into(outcome.mapped[p]);
    outcome.nodata_pixels += nodata_pixels_;
    if (row_ && !row_->healthy()) outcome.healthy = false;
  }

 private:
  void segment(std::uint32_t y, std::uint32_t x, std::uint32_t n) {
    T* pixels = pixel_at<T>(view_, y, x);
    const std::size_t samples = std::size_t{n} * view_.format.channels();
    const bool all = selection_.everything() || fill_keep<T>(view_, selection_, y, x, n, keep_.data());
    if (!all) std::copy_n(pixels, samples, saved_.data());
    if (!job_.write) pixels = std::copy_n(pixels, samples, work_.data()) - samples;
    switch (job_.target) {
      case Target::channels:
        channels(pixels, y, x, n, all);
        break;
      case Target::luma:
        luma(pixels, y, x, n, all);
        break;
      case Target::gray:
        return gray(y, x, n, all);
      case Target::ycrcb:
      case Target::lab:
        conversion(pixels, y, n, all);
        break;
    }
    if (!all) restore(pixels, n);
    if (job_.target != Target::channels && selection_.nodata) count_nodata(pixels, n);
  }

  void channels(T* pixels, std::uint32_t y, std::uint32_t x, std::uint32_t n, bool all) {
    const unsigned step = view_.format.channels();
    if (step > 1) split(pixels, n);
    for (std::size_t p = 0; p < maps_.size(); ++p) {
      T* const samples = step == 1 ? pixels : split_[job_.planes[p].channel];
      map(p, samples, samples, y, x, n);
      count(p, samples, n, all);
    }
    if (step > 1) join(n, pixels);
  }

  void split(const T* pixels, std::uint32_t n) {
    if constexpr (sizeof(T) == 1) {
      kernels_.split_u8(pixels, view_.format.channels(), n, split_.data());
    } else {
      kernels_.split_u16(pixels, view_.format.channels(), n, split_.data());
    }
  }

  void join(std::uint32_t n, T* pixels) {
    if constexpr (sizeof(T) == 1) {
      kernels_.join_u8(split_.data(), view_.format.channels(), n, pixels);
    } else {
      kernels_.join_u16(split_.data(), view_.format.channels(), n, pixels);
    }
  }

  void luma(T* pixels, std::uint32_t y, std::uint32_t x, std::uint32_t n, bool all) {
    const T* values = readers_[0].read(y, x, n);
    map(0, values, mapped_.data(), y, x, n);
    count(0, mapped_.data(), n, all);
    const T top = static_cast<T>(job_.levels - 1);
    if constexpr (sizeof(T) == 1) {
      kernels_.shift_u8(pixels, view_.format.channels(), n, values, mapped_.data(), top);
    } else {
      kernels_.shift_u16(pixels, view_.format.channels(), n, values, mapped_.data(), top);
    }
  }

  void conversion(T* pixels, std::uint32_t y, std::uint32_t n, bool all) {
    row_->split(pixels);
    T* values = row_->values();
    maps_[0].map(kernels_, values, values, y, 0, n);
    for (std::uint32_t x = 0; job_.count_mapped && x < n; x += k_segment_pixels) {
      const std::uint32_t some = std::min(k_segment_pixels, n - x);
      counters_[0].add(values + x, all ? nullptr : keep_.data() + x, some);
    }
    row_->join(pixels);
  }

  /// Pixels shrink, so the segment is written ahead of where it was read, within its row. What is left out is
  /// converted too, for there is but one color now, yet not mapped.
  void gray(std::uint32_t y, std::uint32_t x, std::uint32_t n, bool all) {
    const T* values = readers_[0].read(y, x, n);
    maps_[0].map(kernels_, values, mapped_.data(), y, x, n);
    count(0, mapped_.data(), n, all);
    if (!job_.write) return;
    const unsigned step = view_.format.channels();
    const unsigned extras = view_.format.extras;
    const T* in = pixel_at<T>(view_, y, x) + view_.format.colors;
    T* out = reinterpret_cast<T*>(view_.row(y)) + std::size_t{x} * (1 + extras);
    for (std::size_t i = 0; i < n; ++i, in += step) {
      *out++ = keep_[i] != 0 ? mapped_[i] : values[i];
      for (unsigned e = 0; e < extras; ++e) *out++ = in[e];
    }
  }

  void map(std::size_t plane, const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n) {
    if (packed_.empty()) return maps_[plane].map(kernels_, in, out, y, x, n);
    maps_[plane].clahe()->map_in_block(in, out, y, x, n, packed_[plane]);
  }

  void count(std::size_t plane, const T* samples, std::uint32_t n, bool all) {
    if (job_.count_mapped) counters_[plane].add(samples, all ? nullptr : keep_.data(), n);
  }

  void restore(T* pixels, std::uint32_t n) {
    const unsigned step = view_.format.channels();
    for (std::size_t i = 0; i < n; ++i) {
      if (keep_[i] == 0) std::copy_n(saved_.data() + i * step, step, pixels + i * step);
    }
  }

  void count_nodata(const T* pixels, std::uint32_t n) {
    for (std::size_t i = 0; i < n; ++i, pixels += view_.format.channels()) {
      bool same = keep_[i] != 0;
      for (unsigned c = 0; c < view_.format.colors; ++c) same &= pixels[c] == *selection_.nodata;
      nodata_pixels_ += same;
    }
  }

  const ApplyJob& job_;
  const ImageView& view_;
  const Selection selection_;
  const std::span<const PlaneMap<T>> maps_;
  const Kernels& kernels_;
  std::uint32_t segment_ = 0;
  std::vector<PlaneReader<T>> readers_;
  std::unique_ptr<ColorRow<T>> row_;
  std::vector<std::uint8_t> keep_;
  std::vector<T> mapped_, saved_, work_, channels_;
  std::vector<T*> split_;  ///< of each channel: its place in channels_
  std::vector<SampleCounter<T>> counters_;
  std::vector<PackedCell> packed_;  ///< empty: row by row
  std::uint64_t nodata_pixels_ = 0;
};

/// The other targets need whole rows, or each pixel after the one on its left. More planes would not leave enough of
/// the cache to each.
template <class T>
bool goes_by_blocks(const ApplyJob& job, std::span<const PlaneMap<T>> maps) {
  const bool any_order = job.target == Target::channels || job.target == Target::luma;
  return any_order && job.grid && maps.size() <= k_block_planes_max && maps.front().clahe()->goes_by_blocks();
}

template <class T>
ApplyOutcome apply(const ApplyJob& job, const ImageView& view, Arena& arena) {
  ApplyOutcome outcome;
  if (job.count_mapped) outcome.mapped.assign(job.planes.size(), Histogram(view.format.bins()));
  std::vector<PlaneMap<T>> maps;
  maps.reserve(job.planes.size());
  for (const Lut* table : job.tables) maps.emplace_back(*table, job.grid, view.width);
  std::mutex mutex;
  const auto in_tasks = [&](std::size_t count, std::size_t grain, auto&& step) {
    arena.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
      SegmentWriter<T> writer(job, view, maps);
      for (std::size_t i = begin; i < end; ++i) step(writer, i);
      const std::lock_guard lock(mutex);
      writer.finish(outcome);
    });
  };
  if (goes_by_blocks(job, std::span<const PlaneMap<T>>(maps))) {
    const std::vector<ClaheBlock> blocks = maps.front().clahe()->blocks(view.height);
    // A task's tables and counts are paid once: a few tasks for each thread.
    const std::size_t grain = std::max<std::size_t>(1, blocks.size() / (8 * std::size_t{arena.threads()}));
    in_tasks(blocks.size(), grain, [&](SegmentWriter<T>& writer, std::size_t i) { writer.block(blocks[i]); });
  } else {
    in_tasks(view.height, grain_rows(view, 64 * 1024),
             [](SegmentWriter<T>& writer, std::size_t y) { writer.row(static_cast<std::uint32_t>(y)); });
  }
  return outcome;
}

void pack_gray(ImageView& view) {
  ImageView gray = view;
  gray.format.colors = 1;
  gray.stride_bytes = gray.row_bytes();
  for (std::uint32_t y = 1; y < view.height; ++y) std::memmove(gray.row(y), view.row(y), gray.row_bytes());
  view = gray;
}

}  // namespace

ApplyOutcome apply_job(const ApplyJob& job, ImageView& view, Arena& arena) {
  const bool narrow = view.format.depth_bits == 8;
  ApplyOutcome outcome = narrow ? apply<std::uint8_t>(job, view, arena) : apply<std::uint16_t>(job, view, arena);
  if (job.target == Target::gray && job.write) pack_gray(view);
  return outcome;
}

}  // namespace histod::compute
