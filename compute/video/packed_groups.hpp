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

template <unsigned depth>
void put_sample(std::uint8_t* group, unsigned index, unsigned value) {
  if constexpr (depth == 8) {
    group[index] = static_cast<std::uint8_t>(value);
  } else {
    const unsigned bit = index * depth, shift = 16 - bit % 8 - depth;
    const unsigned kept = ~(((1u << depth) - 1) << shift), two = value << shift;
    group[bit / 8] = static_cast<std::uint8_t>((group[bit / 8] & (kept >> 8)) | two >> 8);
    group[bit / 8 + 1] = static_cast<std::uint8_t>((group[bit / 8 + 1] & kept) | two);
  }
}

/// Pixels of a pgroup are numbered in the order of their samples.
template <Sampling sampling, unsigned depth>
struct Groups {
  static constexpr unsigned k_units = group_units(sampling, depth);
  static constexpr unsigned k_bytes = k_units * unit_samples(sampling) * depth / 8;
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

  static unsigned luma(const std::uint8_t* group, unsigned pixel) {
    if constexpr (k_colors) {
      constexpr auto w = k_luma_ycrcb;
      const auto color = [&](unsigned index) { return sample_at<depth>(group, first_sample(pixel) + index); };
      const unsigned red = color(k_backwards ? 2 : 0), blue = color(k_backwards ? 0 : 2);
      return (w.r * red + w.g * color(1) + w.b * blue + (1u << (w.shift - 1))) >> w.shift;
    } else {
      return sample_at<depth>(group, luma_sample(pixel));
    }
  }

  static bool counts(const std::uint8_t* group, unsigned pixel) {
    return !k_alpha || sample_at<depth>(group, first_sample(pixel) + 3) != 0;
  }

  static void map(std::uint8_t* group, unsigned pixel, const Entry* lut) {
    const unsigned from = luma(group, pixel), to = lut[from];
    if constexpr (k_colors) {
      const int rise = static_cast<int>(to) - static_cast<int>(from);
      for (unsigned index = first_sample(pixel); index < first_sample(pixel) + 3; ++index) {
        const int sum = static_cast<int>(sample_at<depth>(group, index)) + rise;
        put_sample<depth>(group, index, static_cast<unsigned>(std::clamp(sum, 0, int{k_top})));
      }
    } else {
      put_sample<depth>(group, luma_sample(pixel), to);
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
#pragma GCC unroll 8
      for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
        if (counts(group, pixel)) map(group, pixel, lut);
      }
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
    for (unsigned pixel = 0; pixel < k_pixels; ++pixel) {
      if (column(pixel) < seen.columns && line(pixel) < seen.lines && counts(group, pixel)) map(group, pixel, lut);
    }
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
