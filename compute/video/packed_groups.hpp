// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "compute/kernels.hpp"
#include "compute/video/packed.hpp"

/// Inside compute/video: how the samples of each form are read and written, one at a time, as the RFC describes them.
namespace histod::compute::video {

/// Equal neighbours do not wait for one another's store. At 16 bits more than one table would leave the caches.
constexpr std::size_t count_tables(unsigned depth) { return depth == 16 ? 1 : 4; }

constexpr unsigned unit_samples(Sampling sampling) {
  switch (sampling) {
    case Sampling::ycbcr420:
      return 6;
    case Sampling::ycbcr422:
    case Sampling::rgba:
    case Sampling::bgra:
      return 4;
    default:
      return 3;
  }
}

/// Pixels that share a unit of samples, and how many of them lie side by side.
constexpr unsigned unit_pixels(Sampling sampling) {
  return sampling == Sampling::ycbcr420 ? 4 : sampling == Sampling::ycbcr422 ? 2 : 1;
}
constexpr unsigned unit_columns(Sampling sampling) { return std::min(unit_pixels(sampling), 2u); }

/// Units that are together a whole number of bytes.
constexpr unsigned group_units(Sampling sampling, unsigned depth) {
  unsigned units = 1;
  while (units * unit_samples(sampling) * depth % 8 != 0) ++units;
  return units;
}

/// A sample begins at an even bit at 10 bits, and at a half of a byte at 12: it never takes more than two bytes.
template <unsigned depth>
unsigned sample_at(const std::uint8_t* group, unsigned index) {
  if constexpr (depth == 8) {
    return group[index];
  } else {
    const unsigned bit = index * depth, shift = 16 - bit % 8 - depth;
    const auto two = static_cast<unsigned>(group[bit / 8] << 8 | group[bit / 8 + 1]);
    return (two >> shift) & ((1u << depth) - 1);
  }
}

/// A pgroup's samples where they lie: each is whole bytes.
template <unsigned depth, unsigned n>
class SamplesInPlace {
 public:
  explicit SamplesInPlace(std::uint8_t* group) : group_(group) {}
  unsigned operator[](unsigned index) const { return sample_at<depth>(group_, index); }
  void set(unsigned index, unsigned value) {
    if constexpr (depth == 16) {
      group_[2 * index] = static_cast<std::uint8_t>(value >> 8);
      group_[2 * index + 1] = static_cast<std::uint8_t>(value);
    } else {
      group_[index] = static_cast<std::uint8_t>(value);
    }
  }
  void store() {}

 private:
  std::uint8_t* group_;
};

/// Those that share bytes are taken apart, and put together once: a byte that is read and written for each of its
/// samples would wait for its own store each time.
template <unsigned depth, unsigned n>
class SamplesTakenApart {
 public:
  explicit SamplesTakenApart(std::uint8_t* group) : group_(group) {
#pragma GCC unroll 16
    for (unsigned i = 0; i < n; ++i) samples_[i] = sample_at<depth>(group, i);
  }
  unsigned operator[](unsigned index) const { return samples_[index]; }
  void set(unsigned index, unsigned value) { samples_[index] = value; }
  void store() {
#pragma GCC unroll 16
    for (unsigned byte = 0; byte < n * depth / 8; ++byte) {
      const unsigned first = 8 * byte / depth, end = 8 * byte % depth + 8;
      const unsigned bits = end <= depth ? samples_[first] >> (depth - end)
                                         : samples_[first] << (end - depth) | samples_[first + 1] >> (2 * depth - end);
      group_[byte] = static_cast<std::uint8_t>(bits);
    }
  }

 private:
  std::uint8_t* group_;
  unsigned samples_[n];
};

/// Pixels of a pgroup are numbered in the order of their samples.
template <Sampling sampling, unsigned depth>
struct Groups {
  static constexpr unsigned k_units = group_units(sampling, depth);
  static constexpr unsigned k_samples = k_units * unit_samples(sampling);
  static constexpr unsigned k_bytes = k_samples * depth / 8;
  static constexpr unsigned k_pixels = k_units * unit_pixels(sampling);
  static constexpr unsigned k_columns = k_units * unit_columns(sampling);
  static constexpr bool k_colors = sampling >= Sampling::rgb;
  static constexpr bool k_alpha = sampling == Sampling::rgba || sampling == Sampling::bgra;
  static constexpr bool k_backwards = sampling == Sampling::bgr || sampling == Sampling::bgra;
  static constexpr unsigned k_top = (1u << depth) - 1;
  using Entry = std::conditional_t<depth == 8, std::uint8_t, std::uint16_t>;

  static constexpr unsigned column(unsigned pixel) {
    return pixel / unit_pixels(sampling) * unit_columns(sampling) + pixel % unit_columns(sampling);
  }
  static constexpr unsigned line(unsigned pixel) { return pixel % unit_pixels(sampling) / unit_columns(sampling); }

  static constexpr unsigned first_sample(unsigned pixel) {
    return pixel / unit_pixels(sampling) * unit_samples(sampling);
  }
  static constexpr unsigned luma_sample(unsigned pixel) {
    const unsigned of_unit = pixel % unit_pixels(sampling);
    return first_sample(pixel) + (sampling == Sampling::ycbcr420 ? of_unit : 1 + 2 * of_unit);
  }

  using Samples =
      std::conditional_t<depth % 8 == 0, SamplesInPlace<depth, k_samples>, SamplesTakenApart<depth, k_samples>>;

  /// `at(i)` is sample i of the pgroup.
  template <class At>
  static unsigned luma(At at, unsigned pixel) {
    if constexpr (k_colors) {
      constexpr auto w = k_luma_ycrcb;
      const unsigned first = first_sample(pixel);
      const unsigned red = at(first + (k_backwards ? 2 : 0)), blue = at(first + (k_backwards ? 0 : 2));
      return (w.r * red + w.g * at(first + 1) + w.b * blue + (1u << (w.shift - 1))) >> w.shift;
    } else {
      return at(luma_sample(pixel));
    }
  }
  static unsigned luma(const std::uint8_t* group, unsigned pixel) {
    return luma([group](unsigned index) { return sample_at<depth>(group, index); }, pixel);
  }

  static bool counts(const std::uint8_t* group, unsigned pixel) {
    return !k_alpha || sample_at<depth>(group, first_sample(pixel) + 3) != 0;
  }

  static void map(Samples& samples, unsigned pixel, const Entry* lut) {
    const unsigned from = luma([&samples](unsigned index) { return samples[index]; }, pixel), to = lut[from];
    if constexpr (k_colors) {
      const int rise = static_cast<int>(to) - static_cast<int>(from);
      for (unsigned index = first_sample(pixel); index < first_sample(pixel) + 3; ++index) {
        const int sum = static_cast<int>(samples[index]) + rise;
        samples.set(index, static_cast<unsigned>(std::clamp(sum, 0, int{k_top})));
      }
    } else {
      samples.set(luma_sample(pixel), to);
    }
  }

  static std::uint64_t count(const std::uint8_t* group, std::size_t n, std::uint32_t* tables) {
    std::uint64_t left_out = 0;
    for (std::size_t i = 0; i < n; ++i, group += k_bytes) {
#pragma GCC unroll 8
      for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
        const std::size_t table = (i * k_pixels + pixel) % count_tables(depth);
        if (counts(group, pixel)) {
          ++tables[table * (k_top + 1) + luma(group, pixel)];
        } else {
          ++left_out;
        }
      }
    }
    return n * k_pixels - left_out;
  }

  static void apply(std::uint8_t* group, std::size_t n, const Entry* lut) {
    for (std::size_t i = 0; i < n; ++i, group += k_bytes) {
      Samples samples(group);
#pragma GCC unroll 8
      for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
        if (counts(group, pixel)) map(samples, pixel, lut);
      }
      samples.store();
    }
  }

  /// One pgroup, of which not all is in the picture.
  static std::uint64_t count_some(const std::uint8_t* group, const Extent& seen, std::uint32_t* tables) {
    std::uint64_t counted = 0;
    for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
      if (column(pixel) >= seen.columns || line(pixel) >= seen.lines || !counts(group, pixel)) continue;
      ++tables[luma(group, pixel)];
      ++counted;
    }
    return counted;
  }

  static void apply_some(std::uint8_t* group, const Extent& seen, const Entry* lut) {
    Samples samples(group);
    for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
      if (column(pixel) < seen.columns && line(pixel) < seen.lines && counts(group, pixel)) map(samples, pixel, lut);
    }
    samples.store();
  }

  /// The luma of one line of n pgroups, side by side.
  static void read_line(const std::uint8_t* group, std::size_t n, unsigned of, std::uint16_t* out) {
    for (std::size_t i = 0; i < n; ++i, group += k_bytes, out += k_columns) {
      for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
        if (line(pixel) == of) out[column(pixel)] = static_cast<std::uint16_t>(luma(group, pixel));
      }
    }
  }
};

}  // namespace histod::compute::video
