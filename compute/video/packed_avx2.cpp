// SPDX-License-Identifier: Apache-2.0
#include "compute/video/packed_avx2.hpp"

#include "compute/count_words.hpp"
#include "compute/kernels.hpp"
#include "compute/lookup_avx2.hpp"

namespace histod::compute::video {
namespace {

/// Six 10-bit pgroups, three in each half, whose last byte is the first of the pgroup behind them.
constexpr std::size_t k_six_bytes = 30;

HISTOD_AVX2 inline __m256i load_six(const std::uint8_t* groups) {
  const auto* const first = reinterpret_cast<const __m128i*>(groups);
  const auto* const second = reinterpret_cast<const __m128i*>(groups + k_six_bytes / 2);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(first)), _mm_loadu_si128(second), 1);
}

/// The two bytes that each Y lies in, as a word of which it takes the lower ten bits or those above the lowest four.
HISTOD_AVX2 inline __m256i words_of_six(__m256i six) {
  const __m256i pick = _mm256_setr_epi8(2, 1, 4, 3, 7, 6, 9, 8, 12, 11, 14, 13, -1, -1, -1, -1,  //
                                        2, 1, 4, 3, 7, 6, 9, 8, 12, 11, 14, 13, -1, -1, -1, -1);
  return _mm256_shuffle_epi8(six, pick);
}

/// Y of six pgroups: six words, then two of 0, in each half.
HISTOD_AVX2 inline __m256i luma_of_six(__m256i six) {
  const __m256i words = words_of_six(six);
  const __m256i shifted = _mm256_blend_epi16(_mm256_srli_epi16(words, 4), words, 0xaa);
  return _mm256_and_si256(shifted, _mm256_set1_epi16(0x3ff));
}

/// The same pgroups with another Y.
HISTOD_AVX2 inline __m256i with_luma(__m256i six, __m256i luma) {
  const __m256i place = _mm256_setr_epi8(-1, 1, 0, 3, 2, -1, 5, 4, 7, 6, -1, 9, 8, 11, 10, -1,  //
                                         -1, 1, 0, 3, 2, -1, 5, 4, 7, 6, -1, 9, 8, 11, 10, -1);
  const __m256i bits = _mm256_setr_epi8(0, 0x3f, -16, 3, -1, 0, 0x3f, -16, 3, -1, 0, 0x3f, -16, 3, -1, 0,  //
                                        0, 0x3f, -16, 3, -1, 0, 0x3f, -16, 3, -1, 0, 0x3f, -16, 3, -1, 0);
  const __m256i words = _mm256_blend_epi16(_mm256_slli_epi16(luma, 4), luma, 0xaa);
  return _mm256_or_si256(_mm256_andnot_si256(bits, six), _mm256_shuffle_epi8(words, place));
}

/// Single loads: faster than the CPU's own gathers.
HISTOD_AVX2 inline __m128i mapped_six(__m128i luma, const std::uint16_t* lut) {
  const auto four = static_cast<std::uint64_t>(_mm_cvtsi128_si64(luma));
  const auto two = static_cast<std::uint64_t>(_mm_extract_epi64(luma, 1));
  const __m128i first = _mm_insert_epi16(_mm_cvtsi32_si128(lut[four & 0x3ff]), lut[(four >> 16) & 0x3ff], 1);
  const __m128i second = _mm_insert_epi16(_mm_insert_epi16(first, lut[(four >> 32) & 0x3ff], 2), lut[four >> 48], 3);
  return _mm_insert_epi16(_mm_insert_epi16(second, lut[two & 0x3ff], 4), lut[two >> 16], 5);
}

HISTOD_AVX2 inline void store_six(std::uint8_t* groups, __m256i six) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(groups), _mm256_castsi256_si128(six));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(groups + k_six_bytes / 2), _mm256_extracti128_si256(six, 1));
}

inline void count_four_u10(std::uint64_t four, std::uint32_t* tables) {
  ++tables[four & 0x3ff];
  ++tables[1024 + ((four >> 16) & 0x3ff)];
  ++tables[2048 + ((four >> 32) & 0x3ff)];
  ++tables[3072 + (four >> 48)];
}

inline void count_two_u10(std::uint64_t two, std::uint32_t* tables) {
  ++tables[two & 0x3ff];
  ++tables[1024 + (two >> 16)];
}

}  // namespace

/// Eight pgroups whose Y are all the same, as in flat parts of drawn pictures, are counted at once.
HISTOD_AVX2 void avx2_count_uyvy_u8(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const std::uint8_t* const eight = groups + 4 * i;
    const __m256i luma = _mm256_srli_epi16(load(eight), 8);
    const __m256i first = _mm256_broadcastw_epi16(_mm256_castsi256_si128(luma));
    if (_mm256_movemask_epi8(_mm256_cmpeq_epi16(luma, first)) == -1) {
      tables[eight[1]] += 16;
      continue;
    }
#pragma GCC unroll 4
    for (std::size_t at = 0; at < 32; at += 8) {
      const std::uint64_t two = word_at(eight + at);
      ++tables[(two >> 8) & 0xff];
      ++tables[256 + ((two >> 24) & 0xff)];
      ++tables[512 + ((two >> 40) & 0xff)];
      ++tables[768 + (two >> 56)];
    }
  }
  scalar_kernels().count_uyvy_u8(groups + 4 * i, n - i, tables);
}

HISTOD_AVX2 void avx2_count_uyvy_u10(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables) {
  // What differs from the first Y in the words beyond the sixth is no sample.
  constexpr unsigned k_samples = 0x0fff0fff;
  std::size_t i = 0;
  for (; i + 7 <= n; i += 6) {
    const __m256i luma = luma_of_six(load_six(groups + 5 * i));
    const __m128i low = _mm256_castsi256_si128(luma), high = _mm256_extracti128_si256(luma, 1);
    const auto equal =
        static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpeq_epi16(luma, _mm256_broadcastw_epi16(low))));
    const auto four = static_cast<std::uint64_t>(_mm_cvtsi128_si64(low));
    if ((equal & k_samples) == k_samples) {
      tables[four & 0x3ff] += 12;
      continue;
    }
    count_four_u10(four, tables);
    count_two_u10(static_cast<std::uint64_t>(_mm_extract_epi64(low, 1)), tables + 2048);
    count_four_u10(static_cast<std::uint64_t>(_mm_cvtsi128_si64(high)), tables);
    count_two_u10(static_cast<std::uint64_t>(_mm_extract_epi64(high, 1)), tables + 2048);
  }
  scalar_kernels().count_uyvy_u10(groups + 5 * i, n - i, tables);
}

/// The Y of two registers are looked up in one.
HISTOD_AVX2 void avx2_apply_uyvy_u8(std::uint8_t* groups, std::size_t n, const std::uint8_t* lut) {
  const ByteLookup mapped(lut);
  const __m256i chroma = _mm256_set1_epi16(0xff), zero = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i first = load(groups + 4 * i), second = load(groups + 4 * i + 32);
    const __m256i luma = mapped(_mm256_packus_epi16(_mm256_srli_epi16(first, 8), _mm256_srli_epi16(second, 8)));
    store(groups + 4 * i, _mm256_or_si256(_mm256_and_si256(first, chroma), _mm256_unpacklo_epi8(zero, luma)));
    store(groups + 4 * i + 32, _mm256_or_si256(_mm256_and_si256(second, chroma), _mm256_unpackhi_epi8(zero, luma)));
  }
  scalar_kernels().apply_uyvy_u8(groups + 4 * i, n - i, lut);
}

/// A step writes the first byte of the next, unchanged; so that has been loaded before, for it would wait for the
/// store.
HISTOD_AVX2 void avx2_apply_uyvy_u10(std::uint8_t* groups, std::size_t n, const std::uint16_t* lut) {
  std::size_t i = 0;
  __m256i six = n >= 7 ? load_six(groups) : _mm256_setzero_si256();
  while (i + 7 <= n) {
    const __m256i luma = luma_of_six(six);
    const __m128i low = mapped_six(_mm256_castsi256_si128(luma), lut);
    const __m128i high = mapped_six(_mm256_extracti128_si256(luma, 1), lut);
    const __m256i done = with_luma(six, _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
    std::uint8_t* const to = groups + 5 * i;
    i += 6;
    if (i + 7 <= n) six = load_six(groups + 5 * i);
    store_six(to, done);
  }
  scalar_kernels().apply_uyvy_u10(groups + 5 * i, n - i, lut);
}

}  // namespace histod::compute::video
