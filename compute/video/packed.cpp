// SPDX-License-Identifier: Apache-2.0
#include "compute/video/packed.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "compute/kernels.hpp"
#include "compute/video/packed_groups.hpp"

namespace histod::compute::video {
namespace {

constexpr unsigned k_depths[] = {8, 10, 12, 16};
/// Pgroups whose luma write_gray() takes at once, and columns that they have at most.
constexpr std::size_t k_run_groups = 64;
constexpr std::size_t k_run_columns = 4 * k_run_groups;

/// A form's loops; `lut` points to bytes at 8 bits, else to u16. Those with a Some are for one pgroup.
struct Loops {
  unsigned bytes, columns;
  std::uint64_t (*count)(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables);
  std::uint64_t (*count_some)(const std::uint8_t* group, const Extent& seen, std::uint32_t* tables);
  void (*apply)(std::uint8_t* groups, std::size_t n, const void* lut);
  void (*apply_some)(std::uint8_t* group, const Extent& seen, const void* lut);
  void (*read_line)(const std::uint8_t* groups, std::size_t n, unsigned line, std::uint16_t* out);
};

template <Sampling sampling, unsigned depth>
constexpr Loops loops() {
  using G = Groups<sampling, depth>;
  using Entry = typename G::Entry;
  static_assert(G::k_columns * k_run_groups <= k_run_columns);
  Loops made{
      G::k_bytes,
      G::k_columns,
      G::count,
      G::count_some,
      [](std::uint8_t* groups, std::size_t n, const void* lut) { G::apply(groups, n, static_cast<const Entry*>(lut)); },
      [](std::uint8_t* group, const Extent& seen, const void* lut) {
        G::apply_some(group, seen, static_cast<const Entry*>(lut));
      },
      G::read_line};
  return made;
}

/// The two that most of the video is: by the kernels of this CPU.
constexpr Loops loops_by_kernel(Loops made, bool narrow) {
  if (narrow) {
    made.count = [](const std::uint8_t* groups, std::size_t n, std::uint32_t* tables) {
      kernels().count_uyvy_u8(groups, n, tables);
      return std::uint64_t{2} * n;
    };
    made.apply = [](std::uint8_t* groups, std::size_t n, const void* lut) {
      kernels().apply_uyvy_u8(groups, n, static_cast<const std::uint8_t*>(lut));
    };
  } else {
    made.count = [](const std::uint8_t* groups, std::size_t n, std::uint32_t* tables) {
      kernels().count_uyvy_u10(groups, n, tables);
      return std::uint64_t{2} * n;
    };
    made.apply = [](std::uint8_t* groups, std::size_t n, const void* lut) {
      kernels().apply_uyvy_u10(groups, n, static_cast<const std::uint16_t*>(lut));
    };
  }
  return made;
}

/// 8-bit pixels of three colors are those of images, but for the order of the colors.
template <Sampling sampling>
struct ColorLoops {
  static constexpr LumaWeights k_weights =
      sampling == Sampling::rgb ? k_luma_ycrcb
                                : LumaWeights{k_luma_ycrcb.b, k_luma_ycrcb.g, k_luma_ycrcb.r, k_luma_ycrcb.shift};

  /// Calls f(pixels, their luma, how many), for as many as the scratch has room for.
  template <class Byte, class F>
  static void for_luma(Byte* pixels, std::size_t n, F f) {
    std::array<std::uint8_t, 512> luma;
    for (std::size_t some = 0; n > 0; pixels += 3 * some, n -= some) {
      some = std::min(n, luma.size());
      kernels().luma_u8(pixels, 3, some, k_weights, luma.data());
      f(pixels, luma.data(), some);
    }
  }

  static std::uint64_t count(const std::uint8_t* pixels, std::size_t n, std::uint32_t* tables) {
    for_luma(pixels, n, [tables](const std::uint8_t*, const std::uint8_t* luma, std::size_t some) {
      kernels().count_u8(luma, some, tables);
    });
    return n;
  }
  static void apply(std::uint8_t* pixels, std::size_t n, const void* lut) {
    for_luma(pixels, n, [lut](std::uint8_t* some_pixels, const std::uint8_t* luma, std::size_t some) {
      std::array<std::uint8_t, 512> mapped;
      kernels().apply_u8(luma, mapped.data(), some, static_cast<const std::uint8_t*>(lut));
      kernels().shift_u8(some_pixels, 3, some, luma, mapped.data(), 255);
    });
  }

  static constexpr Loops by_kernel(Loops made) {
    made.count = count;
    made.apply = apply;
    return made;
  }
};

using LoopsByDepth = std::array<Loops, std::size(k_depths)>;

template <Sampling sampling>
constexpr LoopsByDepth loops_by_depth() {
  return {loops<sampling, 8>(), loops<sampling, 10>(), loops<sampling, 12>(), loops<sampling, 16>()};
}

constexpr std::array<LoopsByDepth, k_samplings> k_loops = [] {
  std::array made{loops_by_depth<Sampling::ycbcr422>(), loops_by_depth<Sampling::ycbcr420>(),
                  loops_by_depth<Sampling::ycbcr444>(), loops_by_depth<Sampling::rgb>(),
                  loops_by_depth<Sampling::rgba>(),     loops_by_depth<Sampling::bgr>(),
                  loops_by_depth<Sampling::bgra>()};
  LoopsByDepth& uyvy = made[static_cast<std::size_t>(Sampling::ycbcr422)];
  Loops& rgb = made[static_cast<std::size_t>(Sampling::rgb)][0];
  Loops& bgr = made[static_cast<std::size_t>(Sampling::bgr)][0];
  uyvy[0] = loops_by_kernel(uyvy[0], true);
  uyvy[1] = loops_by_kernel(uyvy[1], false);
  rgb = ColorLoops<Sampling::rgb>::by_kernel(rgb);
  bgr = ColorLoops<Sampling::bgr>::by_kernel(bgr);
  return made;
}();

const Loops& loops_of(const PackedForm& form) {
  const auto* const depth = std::ranges::find(k_depths, form.depth_bits);
  assert(depth != std::end(k_depths));
  return k_loops[static_cast<std::size_t>(form.sampling)][static_cast<std::size_t>(depth - k_depths)];
}

/// Calls whole(first pgroup, n) for those that are in the picture as a whole, and some(pgroup, what is seen of it) for
/// each that is so in part.
template <class Whole, class Some>
void for_seen(const PackedForm& form, const Loops& loops, std::size_t bytes, const Extent& seen, Whole whole,
              Some some) {
  const std::size_t groups = bytes / loops.bytes;
  const bool all_lines = seen.lines >= form.group_lines();
  const std::size_t complete = all_lines ? std::min<std::size_t>(groups, seen.columns / loops.columns) : 0;
  whole(std::size_t{0}, complete);
  for (std::size_t group = complete; group < groups && group * loops.columns < seen.columns; ++group)
    some(group * loops.bytes, Extent{static_cast<std::uint32_t>(seen.columns - group * loops.columns), seen.lines});
}

/// Into a row of gray from a column on.
void store_row(std::span<const std::uint16_t> lumas, unsigned depth, const ImageView& gray, std::uint32_t y,
               std::uint32_t x) {
  if (gray.format.depth_bits == 8) {
    auto* const to = reinterpret_cast<std::uint8_t*>(gray.row(y)) + x;
    for (std::size_t i = 0; i < lumas.size(); ++i) to[i] = static_cast<std::uint8_t>(lumas[i] >> (depth - 8));
  } else {
    std::ranges::copy(lumas, reinterpret_cast<std::uint16_t*>(gray.row(y)) + x);
  }
}

}  // namespace

unsigned PackedForm::group_bytes() const { return loops_of(*this).bytes; }
unsigned PackedForm::group_columns() const { return loops_of(*this).columns; }

Result<void> check(const PackedForm& form) {
  if (std::ranges::find(k_depths, form.depth_bits) != std::end(k_depths)) return {};
  return fail(Errc::unsupported_feature, "samples of video have 8, 10, 12 or 16 bits", form.depth_bits, 16);
}

LumaCounter::LumaCounter(const PackedForm& form)
    : form_(form), tables_(count_tables(form.depth_bits) * form.levels()), wide_(form.levels()) {
  assert(check(form));
}

std::uint64_t LumaCounter::count(std::span<const std::byte> groups, const Extent& seen) {
  const Loops& loops = loops_of(form_);
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(groups.data());
  std::uint64_t counted = 0;
  for_seen(
      form_, loops, groups.size(), seen,
      [&](std::size_t first, std::size_t n) {
        constexpr std::size_t k_groups_max = 1u << 24;
        for (; n > 0; first += k_groups_max * loops.bytes, n -= std::min(n, k_groups_max)) {
          widen();
          const std::uint64_t pixels = loops.count(bytes + first, std::min(n, k_groups_max), tables_.data());
          pending_ += pixels;
          counted += pixels;
        }
      },
      [&](std::size_t group, const Extent& part) {
        widen();
        const std::uint64_t pixels = loops.count_some(bytes + group, part, tables_.data());
        pending_ += pixels;
        counted += pixels;
      });
  return counted;
}

/// Eight pixels a pgroup are the most that there are.
void LumaCounter::widen() {
  constexpr std::uint64_t k_pending_max = (std::uint64_t{1} << 32) - 8 * (1u << 24) - 1;
  if (pending_ <= k_pending_max) return;
  for (std::size_t i = 0; i < tables_.size(); ++i) wide_[i % wide_.size()] += tables_[i];
  std::ranges::fill(tables_, 0);
  pending_ = 0;
}

void LumaCounter::fold_into(Histogram& histogram) {
  assert(histogram.bins() == form_.levels());
  const std::span counts = histogram.counts();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] += wide_[i];
    for (std::size_t at = i; at < tables_.size(); at += counts.size()) counts[i] += tables_[at];
  }
  std::ranges::fill(tables_, 0);
  std::ranges::fill(wide_, 0);
  pending_ = 0;
}

LumaMap::LumaMap(const PackedForm& form) : form_(form), lut_(form.levels()) {
  assert(check(form));
  std::iota(lut_.begin(), lut_.end(), std::uint16_t{0});
  std::iota(narrow_.begin(), narrow_.end(), std::uint8_t{0});
}

void LumaMap::set(const Lut& lut) {
  assert(lut.size() == lut_.size() && std::ranges::max(lut) < form_.levels());
  std::ranges::copy(lut, lut_.begin());
  if (form_.depth_bits == 8) std::ranges::copy(lut, narrow_.begin());
}

void LumaMap::apply(std::span<std::byte> groups, const Extent& seen) const {
  const Loops& loops = loops_of(form_);
  auto* const bytes = reinterpret_cast<std::uint8_t*>(groups.data());
  const void* const lut =
      form_.depth_bits == 8 ? static_cast<const void*>(narrow_.data()) : static_cast<const void*>(lut_.data());
  for_seen(
      form_, loops, groups.size(), seen, [&](std::size_t first, std::size_t n) { loops.apply(bytes + first, n, lut); },
      [&](std::size_t group, const Extent& part) { loops.apply_some(bytes + group, part, lut); });
}

std::uint64_t write_gray(const PackedForm& form, std::span<const std::byte> groups, std::uint32_t line,
                         std::uint32_t column, const ImageView& gray) {
  assert(gray.format.channels() == 1);
  if (line >= gray.height || column >= gray.width) return 0;
  const Loops& loops = loops_of(form);
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(groups.data());
  const std::size_t columns = std::min<std::size_t>(gray.width - column, groups.size() / loops.bytes * loops.columns);
  const unsigned lines = std::min(form.group_lines(), gray.height - line);
  std::array<std::uint16_t, k_run_columns> lumas;
  for (std::size_t done = 0; done < columns; done += k_run_groups * loops.columns) {
    const std::size_t wanted = std::min(columns - done, k_run_groups * loops.columns);
    const std::size_t run = (wanted + loops.columns - 1) / loops.columns;
    for (unsigned of = 0; of < lines; ++of) {
      loops.read_line(bytes + done / loops.columns * loops.bytes, run, of, lumas.data());
      store_row(std::span(lumas).first(wanted), form.depth_bits, gray, line + of,
                column + static_cast<std::uint32_t>(done));
    }
  }
  return std::uint64_t{columns} * lines;
}

ImageView field_of(const ImageView& frame, bool second) {
  ImageView field = frame;
  field.height = second ? frame.height / 2 : (frame.height + 1) / 2;
  field.stride_bytes = 2 * frame.stride_bytes;
  if (second && field.height > 0) field.data = frame.row(1);
  return field;
}

}  // namespace histod::compute::video
