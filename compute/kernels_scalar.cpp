// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <type_traits>

#include <emmintrin.h>

#include "compute/count_words.hpp"
#include "compute/kernels.hpp"
#include "compute/video/packed_groups.hpp"

namespace histod::compute {
namespace {

void count_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) count_eight(word_at(samples + i), tables);
  for (; i < n; ++i) ++tables[samples[i]];
}

void count_pairs_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* table) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) count_four(word_at(samples + i), table);
  for (; i < n; i += 2) ++table[samples[i] | samples[i + 1] << 8];
}

void count_mixed_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables, std::uint32_t* pairs) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) count_mixed(word_at(samples + i), tables, pairs);
  for (; i < n; ++i) ++tables[samples[i]];
}

void count_rgb_u8(const std::uint8_t* pixels, std::size_t n, std::uint32_t* const* tables) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) count_eight_pixels(pixels + 3 * i, tables);
  for (; i < n; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) ++tables[channel][pixels[3 * i + channel]];
  }
}

/// One table of 256 KiB: more would leave the second-level cache. A run of equal samples is added at once.
void count_u16(const std::uint16_t* samples, std::size_t n, std::uint32_t* table) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const std::uint64_t four = word_at(samples + i);
    if (four == (four & 0xffff) * 0x0001000100010001ull) {
      table[four & 0xffff] += 4;
    } else {
      count_four(four, table);
    }
  }
  for (; i < n; ++i) ++table[samples[i]];
}

void apply_u8(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint8_t* lut) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const std::uint64_t eight = word_at(in + i);
    std::uint64_t mapped = 0;
    for (unsigned bit = 0; bit < 64; bit += 8) mapped |= std::uint64_t{lut[(eight >> bit) & 0xff]} << bit;
    std::memcpy(out + i, &mapped, sizeof mapped);
  }
  for (; i < n; ++i) out[i] = lut[in[i]];
}

void apply_u16(const std::uint16_t* in, std::uint16_t* out, std::size_t n, const std::uint16_t* lut) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const std::uint64_t four = word_at(in + i);
    std::uint64_t mapped = 0;
    for (unsigned bit = 0; bit < 64; bit += 16) mapped |= std::uint64_t{lut[(four >> bit) & 0xffff]} << bit;
    std::memcpy(out + i, &mapped, sizeof mapped);
  }
  for (; i < n; ++i) out[i] = lut[in[i]];
}

/// Calls f with `step` as a constant where it is a common one: loops over interleaved samples gain much by it.
template <class F>
void with_step(std::size_t step, F&& f) {
  switch (step) {
    case 2:
      return f(std::integral_constant<std::size_t, 2>());
    case 3:
      return f(std::integral_constant<std::size_t, 3>());
    case 4:
      return f(std::integral_constant<std::size_t, 4>());
    default:
      return f(step);
  }
}

template <class T>
void pick(const T* pixels, std::size_t step, std::size_t channel, std::size_t n, T* out) {
  with_step(step, [from = pixels + channel, n, out](auto constant) {
    for (std::size_t i = 0; i < n; ++i) out[i] = from[i * constant];
  });
}

template <class T>
void split(const T* pixels, std::size_t step, std::size_t n, T* const* out) {
  for (std::size_t channel = 0; channel < step; ++channel) pick(pixels, step, channel, n, out[channel]);
}

template <class T>
void join(const T* const* in, std::size_t step, std::size_t n, T* pixels) {
  for (std::size_t channel = 0; channel < step; ++channel) {
    with_step(step, [from = in[channel], n, to = pixels + channel](auto constant) {
      for (std::size_t i = 0; i < n; ++i) to[i * constant] = from[i];
    });
  }
}

/// T is the sample, Four what holds an entry of each of four tables.
template <class T, class Four>
void blend(const T* in, T* out, std::size_t n, const Four* tables, const float* right, float below) {
  constexpr unsigned bits = 8 * sizeof(T);
  constexpr std::uint32_t top = (1u << bits) - 1;
  for (std::size_t i = 0; i < n; ++i) {
    const Four four = tables[in[i]];
    const auto value = [four](unsigned corner) { return static_cast<float>((four >> (bits * corner)) & top); };
    const float left = 1.0f - right[i];
    const float over = value(0) * left + value(1) * right[i];
    const float under = value(2) * left + value(3) * right[i];
    const int mixed = _mm_cvtss_si32(_mm_set_ss(over * (1.0f - below) + under * below));
    out[i] = static_cast<T>(std::min<int>(mixed, top));
  }
}

template <class T>
void luma(const T* pixels, std::size_t step, std::size_t n, const LumaWeights& weights, T* out) {
  const auto [r, g, b, shift] = weights;
  const std::uint32_t half = 1u << (shift - 1);
  for (std::size_t i = 0; i < n; ++i, pixels += step) {
    out[i] = static_cast<T>((r * pixels[0] + g * pixels[1] + b * pixels[2] + half) >> shift);
  }
}

template <class T>
void shift(T* pixels, std::size_t step, std::size_t n, const T* from, const T* to, T top) {
  for (std::size_t i = 0; i < n; ++i, pixels += step) {
    const int delta = to[i] - from[i];
    for (unsigned c = 0; c < 3; ++c) pixels[c] = static_cast<T>(std::clamp(pixels[c] + delta, 0, int{top}));
  }
}

template <class T>
std::size_t compact(const T* in, const std::uint8_t* keep, std::size_t n, T* out) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < n; ++i) {
    out[kept] = in[i];
    kept += keep[i] != 0;
  }
  return kept;
}

template <unsigned depth>
void count_uyvy(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables) {
  video::Groups<video::Sampling::ycbcr422, depth>::count(groups, n, tables);
}

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels table{"scalar",
                                 count_u8,
                                 count_pairs_u8,
                                 count_mixed_u8,
                                 count_rgb_u8,
                                 count_u16,
                                 apply_u8,
                                 apply_u16,
                                 pick<std::uint8_t>,
                                 pick<std::uint16_t>,
                                 split<std::uint8_t>,
                                 split<std::uint16_t>,
                                 join<std::uint8_t>,
                                 join<std::uint16_t>,
                                 blend<std::uint8_t, std::uint32_t>,
                                 blend<std::uint16_t, std::uint64_t>,
                                 luma<std::uint8_t>,
                                 luma<std::uint16_t>,
                                 shift<std::uint8_t>,
                                 shift<std::uint16_t>,
                                 compact<std::uint8_t>,
                                 compact<std::uint16_t>,
                                 count_uyvy<8>,
                                 count_uyvy<10>,
                                 video::Groups<video::Sampling::ycbcr422, 8>::apply,
                                 video::Groups<video::Sampling::ycbcr422, 10>::apply};
  return table;
}

}  // namespace histod::compute
