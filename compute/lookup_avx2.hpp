// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

/// Inside compute/, for the AVX2 loops: instructions are chosen by function attribute, so that nothing of this is run,
/// or shared by the linker, where they are not.
#define HISTOD_AVX2 __attribute__((target("avx2")))

namespace histod::compute {

HISTOD_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
HISTOD_AVX2 inline void store(void* to, __m256i value) { _mm256_storeu_si256(static_cast<__m256i*>(to), value); }

/// 256 bytes as eight tables of 32 entries, each as two shuffles: the lower 16, and what differs in the upper 16, for
/// which a set top bit in the index gives 0. Bits 5, 6 and 7 choose among the eight, by pairs. Less work than a chain
/// over sixteen tables, and shuffles, xors and blends keep all of a core's vector units busy.
class ByteLookup {
 public:
  HISTOD_AVX2 explicit ByteLookup(const std::uint8_t* lut) {
    for (std::size_t t = 0; t < 16; ++t) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lut + 16 * t));
      tables_[t] = _mm256_broadcastsi128_si256(sixteen);
    }
    for (std::size_t t = 1; t < 16; t += 2) tables_[t] = _mm256_xor_si256(tables_[t], tables_[t - 1]);
  }

  /// The entries of 32 indices.
  HISTOD_AVX2 __m256i operator()(__m256i bit7) const {
    const __m256i bit6 = _mm256_slli_epi16(bit7, 1), bit5 = _mm256_slli_epi16(bit7, 2);
    const __m256i lower = _mm256_and_si256(bit7, _mm256_set1_epi8(15));
    const __m256i upper =
        _mm256_or_si256(lower, _mm256_andnot_si256(_mm256_slli_epi16(bit7, 3), _mm256_set1_epi8(-128)));
    const __m256i first = by_bit5(tables_, lower, upper, bit5), second = by_bit5(tables_ + 4, lower, upper, bit5);
    const __m256i third = by_bit5(tables_ + 8, lower, upper, bit5), fourth = by_bit5(tables_ + 12, lower, upper, bit5);
    const __m256i low_half = _mm256_blendv_epi8(first, second, bit6);
    const __m256i high_half = _mm256_blendv_epi8(third, fourth, bit6);
    return _mm256_blendv_epi8(low_half, high_half, bit7);
  }

 private:
  /// One of 64 entries, in four of the tables.
  HISTOD_AVX2 static __m256i by_bit5(const __m256i* tables, __m256i lower, __m256i upper, __m256i bit5) {
    const __m256i clear =
        _mm256_xor_si256(_mm256_shuffle_epi8(tables[0], lower), _mm256_shuffle_epi8(tables[1], upper));
    const __m256i set = _mm256_xor_si256(_mm256_shuffle_epi8(tables[2], lower), _mm256_shuffle_epi8(tables[3], upper));
    return _mm256_blendv_epi8(clear, set, bit5);
  }

  __m256i tables_[16];
};

}  // namespace histod::compute
