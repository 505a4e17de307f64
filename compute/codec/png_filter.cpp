// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_filter.hpp"

#include <array>
#include <cstdlib>

#include <immintrin.h>

#include "compute/kernels.hpp"

#define HISTOD_AVX2 __attribute__((target("avx2")))

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_filters = 5;
using Sums = std::array<std::uint64_t, k_filters>;

/// A sample and those it is predicted from: left of it, above, and above the left one.
struct Around {
  int x, a, b, c;
};

int paeth(const Around& p) {
  const int to_a = std::abs(p.b - p.c), to_b = std::abs(p.a - p.c), to_c = std::abs(p.a + p.b - 2 * p.c);
  if (to_a <= to_b && to_a <= to_c) return p.a;
  return to_b <= to_c ? p.b : p.c;
}

template <unsigned filter>
std::uint8_t filtered(const Around& p) {
  constexpr bool k_none = filter == 0, k_sub = filter == 1, k_up = filter == 2, k_average = filter == 3;
  const int predicted = k_none ? 0 : k_sub ? p.a : k_up ? p.b : k_average ? (p.a + p.b) / 2 : paeth(p);
  return static_cast<std::uint8_t>(p.x - predicted);
}

/// What the loops over a row share.
struct Row {
  const std::uint8_t* row;
  const std::uint8_t* above;
  std::size_t bytes;
  std::size_t step;

  Around at(std::size_t i) const {
    const auto left = static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(step);
    return {row[i], row[left], above[i], above[left]};
  }
};

void add_sums(const Row& row, std::size_t from, Sums& sums) {
  const auto size = [](std::uint8_t value) { return value < 128 ? value : 256u - value; };
  for (std::size_t i = from; i < row.bytes; ++i) {
    const Around p = row.at(i);
    sums[0] += size(filtered<0>(p));
    sums[1] += size(filtered<1>(p));
    sums[2] += size(filtered<2>(p));
    sums[3] += size(filtered<3>(p));
    sums[4] += size(filtered<4>(p));
  }
}

template <unsigned filter>
void write_row(const Row& row, std::size_t from, std::uint8_t* out) {
  for (std::size_t i = from; i < row.bytes; ++i) out[i] = filtered<filter>(row.at(i));
}

struct Around32 {
  __m256i x, a, b, c;
};

HISTOD_AVX2 inline __m256i load_32(const std::uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

HISTOD_AVX2 inline Around32 around_32(const Row& row, std::size_t i) {
  return {load_32(row.row + i), load_32(row.row + i - row.step), load_32(row.above + i),
          load_32(row.above + i - row.step)};
}

HISTOD_AVX2 inline __m256i distance_32(__m256i p, __m256i q) {
  return _mm256_sub_epi8(_mm256_max_epu8(p, q), _mm256_min_epu8(p, q));
}

/// Bytes suffice: where a and b lie on the same side of c, a + b - c is no nearer to c than to both, and on different
/// sides its distance to c is the difference of the other two distances.
HISTOD_AVX2 inline __m256i paeth_32(const Around32& p) {
  const __m256i to_a = distance_32(p.b, p.c), to_b = distance_32(p.a, p.c);
  const __m256i a_over = _mm256_cmpeq_epi8(_mm256_max_epu8(p.a, p.c), p.a);
  const __m256i b_over = _mm256_cmpeq_epi8(_mm256_max_epu8(p.b, p.c), p.b);
  const __m256i to_c = _mm256_or_si256(distance_32(to_a, to_b), _mm256_cmpeq_epi8(a_over, b_over));
  const __m256i least = _mm256_min_epu8(_mm256_min_epu8(to_a, to_b), to_c);
  const __m256i b_or_c = _mm256_blendv_epi8(p.c, p.b, _mm256_cmpeq_epi8(least, to_b));
  return _mm256_blendv_epi8(b_or_c, p.a, _mm256_cmpeq_epi8(least, to_a));
}

template <unsigned filter>
HISTOD_AVX2 inline __m256i filtered_32(const Around32& p) {
  if constexpr (filter == 0) return p.x;
  if constexpr (filter == 1) return _mm256_sub_epi8(p.x, p.a);
  if constexpr (filter == 2) return _mm256_sub_epi8(p.x, p.b);
  if constexpr (filter == 4) return _mm256_sub_epi8(p.x, paeth_32(p));
  const __m256i rounded_up = _mm256_and_si256(_mm256_xor_si256(p.a, p.b), _mm256_set1_epi8(1));
  return _mm256_sub_epi8(p.x, _mm256_sub_epi8(_mm256_avg_epu8(p.a, p.b), rounded_up));
}

template <unsigned filter>
HISTOD_AVX2 inline void add_sizes(const Around32& p, __m256i& sum) {
  const __m256i sizes = _mm256_abs_epi8(filtered_32<filter>(p));
  sum = _mm256_add_epi64(sum, _mm256_sad_epu8(sizes, _mm256_setzero_si256()));
}

/// Returns how far it came.
HISTOD_AVX2 std::size_t add_sums_avx2(const Row& row, Sums& sums) {
  __m256i sum[k_filters] = {};
  std::size_t i = 0;
  for (; i + 32 <= row.bytes; i += 32) {
    const Around32 p = around_32(row, i);
    add_sizes<0>(p, sum[0]);
    add_sizes<1>(p, sum[1]);
    add_sizes<2>(p, sum[2]);
    add_sizes<3>(p, sum[3]);
    add_sizes<4>(p, sum[4]);
  }
  for (std::size_t filter = 0; filter < k_filters; ++filter) {
    alignas(32) std::array<std::uint64_t, 4> parts;
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts.data()), sum[filter]);
    sums[filter] += parts[0] + parts[1] + parts[2] + parts[3];
  }
  return i;
}

template <unsigned filter>
HISTOD_AVX2 std::size_t write_row_avx2(const Row& row, std::uint8_t* out) {
  std::size_t i = 0;
  for (; i + 32 <= row.bytes; i += 32)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), filtered_32<filter>(around_32(row, i)));
  return i;
}

template <unsigned filter>
void write_filtered(const Row& row, bool avx2, std::uint8_t* out) {
  write_row<filter>(row, avx2 ? write_row_avx2<filter>(row, out) : 0, out);
}

bool has_avx2() { return kernels().isa == avx2_kernels().isa; }

}  // namespace

void filter_row(const std::byte* row, const std::byte* above, std::size_t bytes, std::size_t bytes_per_pixel,
                std::byte* out) {
  const bool avx2 = has_avx2();
  const Row line{reinterpret_cast<const std::uint8_t*>(row), reinterpret_cast<const std::uint8_t*>(above), bytes,
                 bytes_per_pixel};
  Sums sums{};
  add_sums(line, avx2 ? add_sums_avx2(line, sums) : 0, sums);
  const auto filter = std::min_element(sums.begin(), sums.end()) - sums.begin();
  *out = static_cast<std::byte>(filter);
  auto* to = reinterpret_cast<std::uint8_t*>(out + 1);
  switch (filter) {
    case 0:
      return write_filtered<0>(line, avx2, to);
    case 1:
      return write_filtered<1>(line, avx2, to);
    case 2:
      return write_filtered<2>(line, avx2, to);
    case 3:
      return write_filtered<3>(line, avx2, to);
    default:
      return write_filtered<4>(line, avx2, to);
  }
}

}  // namespace histod::compute::codec::png
