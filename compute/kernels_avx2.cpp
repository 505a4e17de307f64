// SPDX-License-Identifier: Apache-2.0
// Instructions are chosen by function attribute, not for the file: inline functions of headers stay plain.
#include <algorithm>
#include <cstring>

#include <immintrin.h>

#include "compute/kernels.hpp"

#define HISTOD_AVX2 __attribute__((target("avx2")))

namespace histod::compute {
namespace {

HISTOD_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
HISTOD_AVX2 inline void store(void* to, __m256i value) { _mm256_storeu_si256(static_cast<__m256i*>(to), value); }

HISTOD_AVX2 inline bool all_equal(const std::uint8_t* samples) {
  const __m256i block = load(samples);
  const __m256i first = _mm256_broadcastb_epi8(_mm256_castsi256_si128(block));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(block, first)) == -1;
}

/// Blocks of 32 equal samples are added at once: `flat_entry(sample)` is where, `flat_count` how much. All else is the
/// scalar loop, which no gather or scatter beats.
template <class FlatEntry>
HISTOD_AVX2 inline void count_blocks(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables,
                                     FlatEntry flat_entry, std::uint32_t flat_count, auto scalar) {
  std::size_t i = 0;
  while (i + 32 <= n) {
    if (all_equal(samples + i)) {
      tables[flat_entry(samples[i])] += flat_count;
      i += 32;
      continue;
    }
    const std::size_t busy = std::min<std::size_t>(64, n - i);
    scalar(samples + i, busy, tables);
    i += busy;
  }
  scalar(samples + i, n - i, tables);
}

HISTOD_AVX2 void count_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables) {
  count_blocks(samples, n, tables, [](std::size_t sample) { return sample; }, 32, scalar_kernels().count_u8);
}

HISTOD_AVX2 void count_pairs_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* table) {
  count_blocks(samples, n, table, [](std::size_t sample) { return sample * 257; }, 16, scalar_kernels().count_pairs_u8);
}

/// Sixteen tables of sixteen entries. Each step lowers the index by 16 and xors in the difference to the table before;
/// an index that fell below 0 has its top bit set, for which a shuffle gives 0. The upper half goes the same way with
/// its top bit flipped.
HISTOD_AVX2 void apply_u8(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint8_t* lut) {
  __m256i tables[16];
  __m256i previous = _mm256_setzero_si256();
  for (std::size_t t = 0; t < 16; ++t) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lut + 16 * t));
    const __m256i table = _mm256_broadcastsi128_si256(sixteen);
    tables[t] = t % 8 == 0 ? table : _mm256_xor_si256(table, previous);
    previous = table;
  }
  const __m256i sixteen = _mm256_set1_epi8(16);
  const __m256i flip = _mm256_set1_epi8(-128);
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __m256i low = load(in + i);
    __m256i high = _mm256_xor_si256(low, flip);
    __m256i mapped = _mm256_xor_si256(_mm256_shuffle_epi8(tables[0], low), _mm256_shuffle_epi8(tables[8], high));
    for (int t = 1; t < 8; ++t) {
      low = _mm256_subs_epi8(low, sixteen);
      high = _mm256_subs_epi8(high, sixteen);
      mapped = _mm256_xor_si256(mapped, _mm256_shuffle_epi8(tables[t], low));
      mapped = _mm256_xor_si256(mapped, _mm256_shuffle_epi8(tables[8 + t], high));
    }
    store(out + i, mapped);
  }
  for (; i < n; ++i) out[i] = lut[in[i]];
}

HISTOD_AVX2 inline __m256 byte_of(__m256i four, int shift) {
  return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(four, shift), _mm256_set1_epi32(0xff)));
}

HISTOD_AVX2 void blend_u8(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint32_t* tables,
                          const float* right, float below) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 weight_under = _mm256_set1_ps(below), weight_over = _mm256_set1_ps(1.0f - below);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i samples = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + i)));
    const __m256i four = _mm256_i32gather_epi32(reinterpret_cast<const int*>(tables), samples, 4);
    const __m256 to_right = _mm256_loadu_ps(right + i);
    const __m256 to_left = _mm256_sub_ps(one, to_right);
    const __m256 over =
        _mm256_add_ps(_mm256_mul_ps(byte_of(four, 0), to_left), _mm256_mul_ps(byte_of(four, 8), to_right));
    const __m256 under =
        _mm256_add_ps(_mm256_mul_ps(byte_of(four, 16), to_left), _mm256_mul_ps(byte_of(four, 24), to_right));
    const __m256i mixed =
        _mm256_cvtps_epi32(_mm256_add_ps(_mm256_mul_ps(over, weight_over), _mm256_mul_ps(under, weight_under)));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(mixed), _mm256_extracti128_si256(mixed, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(words, words));
  }
  scalar_kernels().blend_u8(in + i, out + i, n - i, tables, right + i, below);
}

/// Eight packed RGB pixels a step: four in each half, as pairs (R, G) and (B, G), each pair with half of green's
/// weight.
HISTOD_AVX2 void luma_u8(const std::uint8_t* pixels, std::size_t step, std::size_t n, const LumaWeights& weights,
                         std::uint8_t* out) {
  std::size_t i = 0;
  if (step == 3) {
    const __m256i rg = _mm256_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1,  //
                                        0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1);
    const __m256i bg = _mm256_setr_epi8(2, -1, 1, -1, 5, -1, 4, -1, 8, -1, 7, -1, 11, -1, 10, -1,  //
                                        2, -1, 1, -1, 5, -1, 4, -1, 8, -1, 7, -1, 11, -1, 10, -1);
    const std::uint32_t g = weights.g / 2;
    const __m256i w_rg = _mm256_set1_epi32(static_cast<int>(weights.r | g << 16));
    const __m256i w_bg = _mm256_set1_epi32(static_cast<int>(weights.b | (weights.g - g) << 16));
    const __m256i half = _mm256_set1_epi32(1 << (weights.shift - 1));
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(weights.shift));
    const __m256i bytes = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,  //
                                           0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    // The second load takes 16 bytes from the twelfth: 28 bytes, so the last pixels are left to the scalar loop.
    for (; i + 10 <= n; i += 8) {
      const auto* at = reinterpret_cast<const __m128i*>(pixels + 3 * i);
      const auto* next = reinterpret_cast<const __m128i*>(pixels + 3 * i + 12);
      const __m256i eight =
          _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(at)), _mm_loadu_si128(next), 1);
      __m256i sum = _mm256_madd_epi16(_mm256_shuffle_epi8(eight, rg), w_rg);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(eight, bg), w_bg));
      sum = _mm256_shuffle_epi8(_mm256_srl_epi32(_mm256_add_epi32(sum, half), shift), bytes);
      const int first = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
      const int second = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
      std::memcpy(out + i, &first, sizeof first);
      std::memcpy(out + i + 4, &second, sizeof second);
    }
  }
  scalar_kernels().luma_u8(pixels + step * i, step, n - i, weights, out + i);
}

/// Sixteen packed RGB pixels a step: what rises and what falls are each spread over the three colors.
HISTOD_AVX2 void shift_u8(std::uint8_t* pixels, std::size_t step, std::size_t n, const std::uint8_t* from,
                          const std::uint8_t* to, std::uint8_t top) {
  std::size_t i = 0;
  if (step == 3) {
    const __m128i spread[3] = {_mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5),
                               _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10),
                               _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15)};
    const __m128i ceiling = _mm_set1_epi8(static_cast<char>(top));
    for (; i + 16 <= n; i += 16) {
      const __m128i old_value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
      const __m128i new_value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(to + i));
      const __m128i rise = _mm_subs_epu8(new_value, old_value);
      const __m128i fall = _mm_subs_epu8(old_value, new_value);
      for (int part = 0; part < 3; ++part) {
        auto* at = reinterpret_cast<__m128i*>(pixels + 3 * i + 16 * static_cast<std::size_t>(part));
        __m128i value = _mm_adds_epu8(_mm_loadu_si128(at), _mm_shuffle_epi8(rise, spread[part]));
        value = _mm_subs_epu8(value, _mm_shuffle_epi8(fall, spread[part]));
        _mm_storeu_si128(at, _mm_min_epu8(value, ceiling));
      }
    }
  }
  scalar_kernels().shift_u8(pixels + step * i, step, n - i, from + i, to + i, top);
}

}  // namespace

const Kernels& avx2_kernels() {
  static const Kernels table = [] {
    Kernels made = scalar_kernels();
    made.isa = "avx2";
    made.count_u8 = count_u8;
    made.count_pairs_u8 = count_pairs_u8;
    made.apply_u8 = apply_u8;
    made.blend_u8 = blend_u8;
    made.luma_u8 = luma_u8;
    made.shift_u8 = shift_u8;
    return made;
  }();
  return table;
}

}  // namespace histod::compute
