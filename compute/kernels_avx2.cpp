// SPDX-License-Identifier: Apache-2.0
// Instructions are chosen by function attribute, not for the file: inline functions of headers stay plain.
#include <algorithm>
#include <array>
#include <cstring>

#include <immintrin.h>

#include "compute/count_words.hpp"
#include "compute/kernels.hpp"
#include "compute/lookup_avx2.hpp"
#include "compute/video/packed_avx2.hpp"

namespace histod::compute {
namespace {

HISTOD_AVX2 inline bool all_equal(const std::uint8_t* samples) {
  const __m256i block = load(samples);
  const __m256i first = _mm256_broadcastb_epi8(_mm256_castsi256_si128(block));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(block, first)) == -1;
}

/// Blocks of 32 equal samples are added to `singles` at once; all others are counted by eights, which no gather or
/// scatter beats. Returns how many samples are done.
template <class Eight>
HISTOD_AVX2 inline std::size_t count_blocks(const std::uint8_t* samples, std::size_t n, std::uint32_t* flat,
                                            std::size_t flat_stride, std::uint32_t flat_count, Eight eight) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    if (all_equal(samples + i)) {
      flat[samples[i] * flat_stride] += flat_count;
      continue;
    }
    eight(word_at(samples + i));
    eight(word_at(samples + i + 8));
    eight(word_at(samples + i + 16));
    eight(word_at(samples + i + 24));
  }
  return i;
}

HISTOD_AVX2 void count_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables) {
  const auto eight = [tables](std::uint64_t word) { count_eight(word, tables); };
  const std::size_t done = count_blocks(samples, n, tables, 1, 32, eight);
  scalar_kernels().count_u8(samples + done, n - done, tables);
}

HISTOD_AVX2 void count_pairs_in_order(const std::uint8_t* samples, std::size_t n, std::uint32_t* table) {
  const auto eight = [table](std::uint64_t word) { count_four(word, table); };
  const std::size_t done = count_blocks(samples, n, table, 257, 16, eight);
  scalar_kernels().count_pairs_u8(samples + done, n - done, table);
}

/// Whether several streams of a block have the same in their middles, as on a page of paper or in a burnt-out sky.
HISTOD_AVX2 inline bool streams_agree(const std::uint8_t* samples, std::size_t apart) {
  constexpr unsigned k_agreeing_max = 2;
  unsigned agreeing = 0;
  const std::uint8_t* const middle = samples + apart / 16 * 8;
  for (std::size_t stream = 1; stream < k_pair_streams; ++stream)
    agreeing += word_at(middle + stream * apart) == word_at(middle + (stream - 1) * apart);
  return agreeing > k_agreeing_max;
}

/// Returns how many samples are done.
HISTOD_AVX2 inline std::size_t count_streams(const std::uint8_t* samples, std::size_t n, std::uint32_t* table) {
  const std::size_t apart = n / k_pair_streams & ~std::size_t{7};
  for (std::size_t i = 0; i < apart; i += 8) {
    // The next block, most often, a line at a time: in eight places at once the CPU does not see what is coming.
    __builtin_prefetch(samples + n + k_pair_streams * i);
    std::uint64_t words[k_pair_streams];
#pragma GCC unroll 8
    for (std::size_t stream = 0; stream < k_pair_streams; ++stream)
      words[stream] = word_at(samples + stream * apart + i);
#pragma GCC unroll 4
    for (unsigned bit = 0; bit < 64; bit += 16) {
#pragma GCC unroll 8
      for (std::size_t stream = 0; stream < k_pair_streams; ++stream) ++table[(words[stream] >> bit) & 0xffff];
    }
  }
  return apart * k_pair_streams;
}

/// From eight places of a block in turn: a pair is often the one before it, whose store its increment would wait for,
/// but seldom that of another place.
HISTOD_AVX2 void count_pairs_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* table) {
  while (n > 0) {
    const std::size_t block = std::min(n, k_pair_block);
    const std::size_t apart = block / k_pair_streams & ~std::size_t{7};
    const bool together = apart > 0 && !streams_agree(samples, apart);
    const std::size_t done = together ? count_streams(samples, block, table) : 0;
    count_pairs_in_order(samples + done, block - done, table);
    samples += block;
    n -= block;
  }
}

HISTOD_AVX2 void count_mixed_u8(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables,
                                std::uint32_t* pairs) {
  const auto eight = [tables, pairs](std::uint64_t word) { count_mixed(word, tables, pairs); };
  const std::size_t done = count_blocks(samples, n, tables, 1, 32, eight);
  scalar_kernels().count_mixed_u8(samples + done, n - done, tables, pairs);
}

/// Eight equal pixels are added at once.
HISTOD_AVX2 void count_rgb_u8(const std::uint8_t* pixels, std::size_t n, std::uint32_t* const* tables) {
  constexpr int k_eight = (1 << 24) - 1;
  std::size_t i = 0;
  // Each is compared with the one behind it, by 32 bytes: 35 are read, so the last pixels are left to the scalar loop.
  for (; i + 12 <= n; i += 8) {
    const std::uint8_t* const eight = pixels + 3 * i;
    if ((_mm256_movemask_epi8(_mm256_cmpeq_epi8(load(eight), load(eight + 3))) & k_eight) == k_eight) {
      for (std::size_t channel = 0; channel < 3; ++channel) tables[channel][eight[channel]] += 8;
    } else {
      count_eight_pixels(eight, tables);
    }
  }
  scalar_kernels().count_rgb_u8(pixels + 3 * i, n - i, tables);
}

HISTOD_AVX2 void count_u16(const std::uint16_t* samples, std::size_t n, std::uint32_t* table) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(samples + i));
    if (_mm_movemask_epi8(_mm_cmpeq_epi16(block, _mm_broadcastw_epi16(block))) == 0xffff) {
      table[samples[i]] += 8;
      continue;
    }
    count_four(word_at(samples + i), table);
    count_four(word_at(samples + i + 4), table);
  }
  scalar_kernels().count_u16(samples + i, n - i, table);
}

HISTOD_AVX2 void apply_u8(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint8_t* lut) {
  const ByteLookup mapped(lut);
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) store(out + i, mapped(load(in + i)));
  for (; i < n; ++i) out[i] = lut[in[i]];
}

HISTOD_AVX2 inline __m128i four_of(std::uint64_t four, const std::uint16_t* lut) {
  const __m128i mapped = _mm_cvtsi32_si128(lut[four & 0xffff]);
  const __m128i two = _mm_insert_epi16(mapped, lut[(four >> 16) & 0xffff], 1);
  return _mm_insert_epi16(_mm_insert_epi16(two, lut[(four >> 32) & 0xffff], 2), lut[four >> 48], 3);
}

/// Single loads, gathered in a register and stored at once: faster than the CPU's own gathers.
HISTOD_AVX2 void apply_u16(const std::uint16_t* in, std::uint16_t* out, std::size_t n, const std::uint16_t* lut) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i first = four_of(word_at(in + i), lut), second = four_of(word_at(in + i + 4), lut);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_unpacklo_epi64(first, second));
  }
  for (; i < n; ++i) out[i] = lut[in[i]];
}

constexpr std::size_t k_wide_step_max = 4;

/// For each step and channel, and each of the `step` blocks of 16 bytes that 16 pixels are: where the bytes of the
/// channel go (`pick`), or come from (`place`), as shuffles; a top bit set gives 0.
struct ChannelShuffles {
  using Block = std::array<std::uint8_t, 16>;
  Block pick[k_wide_step_max + 1][k_wide_step_max][k_wide_step_max];
  Block place[k_wide_step_max + 1][k_wide_step_max][k_wide_step_max];
};

alignas(16) constexpr ChannelShuffles k_shuffles = [] {
  ChannelShuffles made{};
  for (std::size_t step = 2; step <= k_wide_step_max; ++step) {
    for (std::size_t channel = 0; channel < step; ++channel) {
      for (std::size_t block = 0; block < step; ++block) {
        made.pick[step][channel][block].fill(0x80);
        made.place[step][channel][block].fill(0x80);
      }
      for (std::size_t pixel = 0; pixel < 16; ++pixel) {
        const std::size_t at = pixel * step + channel;
        made.pick[step][channel][at / 16][pixel] = static_cast<std::uint8_t>(at % 16);
        made.place[step][channel][at / 16][at % 16] = static_cast<std::uint8_t>(pixel);
      }
    }
  }
  return made;
}();

HISTOD_AVX2 inline __m128i load_16(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

template <std::size_t step>
HISTOD_AVX2 std::size_t pick_wide(const std::uint8_t* pixels, std::size_t channel, std::size_t n, std::uint8_t* out) {
  __m128i shuffles[step];
  for (std::size_t block = 0; block < step; ++block)
    shuffles[block] = load_16(k_shuffles.pick[step][channel][block].data());
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m128i picked = _mm_setzero_si128();
    for (std::size_t block = 0; block < step; ++block)
      picked = _mm_or_si128(picked, _mm_shuffle_epi8(load_16(pixels + i * step + 16 * block), shuffles[block]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), picked);
  }
  return i;
}

template <std::size_t step>
HISTOD_AVX2 std::size_t split_wide(const std::uint8_t* pixels, std::size_t n, std::uint8_t* const* out) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m128i blocks[step];
    for (std::size_t block = 0; block < step; ++block) blocks[block] = load_16(pixels + i * step + 16 * block);
    for (std::size_t channel = 0; channel < step; ++channel) {
      __m128i picked = _mm_setzero_si128();
      for (std::size_t block = 0; block < step; ++block)
        picked = _mm_or_si128(picked,
                              _mm_shuffle_epi8(blocks[block], load_16(k_shuffles.pick[step][channel][block].data())));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out[channel] + i), picked);
    }
  }
  return i;
}

template <std::size_t step>
HISTOD_AVX2 std::size_t join_wide(const std::uint8_t* const* in, std::size_t n, std::uint8_t* pixels) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m128i values[step];
    for (std::size_t channel = 0; channel < step; ++channel) values[channel] = load_16(in[channel] + i);
    for (std::size_t block = 0; block < step; ++block) {
      __m128i placed = _mm_setzero_si128();
      for (std::size_t channel = 0; channel < step; ++channel)
        placed = _mm_or_si128(
            placed, _mm_shuffle_epi8(values[channel], load_16(k_shuffles.place[step][channel][block].data())));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels + i * step + 16 * block), placed);
    }
  }
  return i;
}

HISTOD_AVX2 void pick_u8(const std::uint8_t* pixels, std::size_t step, std::size_t channel, std::size_t n,
                         std::uint8_t* out) {
  const std::size_t done = step == 2   ? pick_wide<2>(pixels, channel, n, out)
                           : step == 3 ? pick_wide<3>(pixels, channel, n, out)
                           : step == 4 ? pick_wide<4>(pixels, channel, n, out)
                                       : 0;
  scalar_kernels().pick_u8(pixels + step * done, step, channel, n - done, out + done);
}

HISTOD_AVX2 void split_u8(const std::uint8_t* pixels, std::size_t step, std::size_t n, std::uint8_t* const* out) {
  const std::size_t done = step == 2   ? split_wide<2>(pixels, n, out)
                           : step == 3 ? split_wide<3>(pixels, n, out)
                           : step == 4 ? split_wide<4>(pixels, n, out)
                                       : 0;
  for (std::size_t channel = 0; channel < step; ++channel)
    scalar_kernels().pick_u8(pixels + step * done, step, channel, n - done, out[channel] + done);
}

HISTOD_AVX2 void join_u8(const std::uint8_t* const* in, std::size_t step, std::size_t n, std::uint8_t* pixels) {
  const std::size_t done = step == 2   ? join_wide<2>(in, n, pixels)
                           : step == 3 ? join_wide<3>(in, n, pixels)
                           : step == 4 ? join_wide<4>(in, n, pixels)
                                       : 0;
  if (done == 0) return scalar_kernels().join_u8(in, step, n, pixels);
  for (std::size_t i = done; i < n; ++i) {
    for (std::size_t channel = 0; channel < step; ++channel) pixels[i * step + channel] = in[channel][i];
  }
}

/// What a row gives the blend of four tables' values.
struct RowWeights {
  __m256 one, over, under;
};

HISTOD_AVX2 inline RowWeights row_weights(float below) {
  return {_mm256_set1_ps(1.0f), _mm256_set1_ps(1.0f - below), _mm256_set1_ps(below)};
}

HISTOD_AVX2 inline __m256i mix(const __m256 (&corners)[4], __m256 to_right, const RowWeights& row) {
  const __m256 to_left = _mm256_sub_ps(row.one, to_right);
  const __m256 over = _mm256_add_ps(_mm256_mul_ps(corners[0], to_left), _mm256_mul_ps(corners[1], to_right));
  const __m256 under = _mm256_add_ps(_mm256_mul_ps(corners[2], to_left), _mm256_mul_ps(corners[3], to_right));
  return _mm256_cvtps_epi32(_mm256_add_ps(_mm256_mul_ps(over, row.over), _mm256_mul_ps(under, row.under)));
}

HISTOD_AVX2 inline __m256 byte_of(__m256i four, int shift) {
  return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(four, shift), _mm256_set1_epi32(0xff)));
}

/// Single loads: faster than the CPU's own gathers.
HISTOD_AVX2 inline __m256i eight_entries(std::uint64_t eight, const std::uint32_t* tables) {
  const auto entry = [tables](std::uint64_t sample) {
    return _mm_cvtsi32_si128(static_cast<int>(tables[sample & 0xff]));
  };
  const auto two = [entry](std::uint64_t samples) { return _mm_unpacklo_epi32(entry(samples), entry(samples >> 8)); };
  const __m128i low = _mm_unpacklo_epi64(two(eight), two(eight >> 16));
  const __m128i high = _mm_unpacklo_epi64(two(eight >> 32), two(eight >> 48));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

HISTOD_AVX2 void blend_u8(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint32_t* tables,
                          const float* right, float below) {
  const RowWeights row = row_weights(below);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i four = eight_entries(word_at(in + i), tables);
    const __m256 corners[] = {byte_of(four, 0), byte_of(four, 8), byte_of(four, 16), byte_of(four, 24)};
    const __m256i mixed = mix(corners, _mm256_loadu_ps(right + i), row);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(mixed), _mm256_extracti128_si256(mixed, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(words, words));
  }
  scalar_kernels().blend_u8(in + i, out + i, n - i, tables, right + i, below);
}

/// The entries of four samples, as two values of each of four tables a register: upper left and right, lower.
struct FourEntries {
  __m128i upper, lower;
};

HISTOD_AVX2 inline FourEntries entries_of(std::uint64_t four, const std::uint64_t* tables) {
  const auto entry = [tables](std::uint64_t sample) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(tables + sample));
  };
  const __m128i first = _mm_unpacklo_epi16(entry(four & 0xffff), entry((four >> 16) & 0xffff));
  const __m128i second = _mm_unpacklo_epi16(entry((four >> 32) & 0xffff), entry(four >> 48));
  return {_mm_unpacklo_epi32(first, second), _mm_unpackhi_epi32(first, second)};
}

HISTOD_AVX2 inline __m256 floats_of(__m128i words) { return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(words)); }

HISTOD_AVX2 void blend_u16(const std::uint16_t* in, std::uint16_t* out, std::size_t n, const std::uint64_t* tables,
                           const float* right, float below) {
  const RowWeights row = row_weights(below);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const FourEntries a = entries_of(word_at(in + i), tables), b = entries_of(word_at(in + i + 4), tables);
    const __m256 corners[] = {
        floats_of(_mm_unpacklo_epi64(a.upper, b.upper)), floats_of(_mm_unpackhi_epi64(a.upper, b.upper)),
        floats_of(_mm_unpacklo_epi64(a.lower, b.lower)), floats_of(_mm_unpackhi_epi64(a.lower, b.lower))};
    const __m256i mixed = mix(corners, _mm256_loadu_ps(right + i), row);
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(mixed), _mm256_extracti128_si256(mixed, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), words);
  }
  scalar_kernels().blend_u16(in + i, out + i, n - i, tables, right + i, below);
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
    made.count_mixed_u8 = count_mixed_u8;
    made.count_rgb_u8 = count_rgb_u8;
    made.count_u16 = count_u16;
    made.apply_u8 = apply_u8;
    made.apply_u16 = apply_u16;
    made.pick_u8 = pick_u8;
    made.split_u8 = split_u8;
    made.join_u8 = join_u8;
    made.blend_u8 = blend_u8;
    made.blend_u16 = blend_u16;
    made.luma_u8 = luma_u8;
    made.shift_u8 = shift_u8;
    made.count_uyvy_u8 = video::avx2_count_uyvy_u8;
    made.count_uyvy_u10 = video::avx2_count_uyvy_u10;
    made.apply_uyvy_u8 = video::avx2_apply_uyvy_u8;
    made.apply_uyvy_u10 = video::avx2_apply_uyvy_u10;
    return made;
  }();
  return table;
}

}  // namespace histod::compute
