// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_unfilter.hpp"

#include <cstdlib>

#include <emmintrin.h>  // SSE2: every x86-64 has it

#include "compute/kernels.hpp"

namespace histod::compute::codec::png {
namespace {

struct Rows {
  const std::uint8_t* in;
  const std::uint8_t* above;
  std::uint8_t* out;
  std::size_t bytes;
};

// Chosen without a branch: in a photograph no branch here can be foreseen.
inline int paeth(int a, int b, int c) {
  const int along = b - c, across = a - c;
  const int to_a = std::abs(along), to_b = std::abs(across), to_c = std::abs(along + across);
  const int b_or_c = to_b <= to_c ? b : c;
  return to_a <= std::min(to_b, to_c) ? a : b_or_c;
}

/// From byte `from` on, with the pixel left of it done. Filters 1, 3 and 4.
template <unsigned filter, std::size_t step>
void unfilter_bytes(const Rows& rows, std::size_t from) {
  for (std::size_t i = from; i < rows.bytes; ++i) {
    const int a = i < step ? 0 : rows.out[i - step];
    const int b = rows.above[i];
    const int c = i < step ? 0 : rows.above[i - step];
    const int predicted = filter == 1 ? a : filter == 3 ? (a + b) / 2 : paeth(a, b, c);
    rows.out[i] = static_cast<std::uint8_t>(rows.in[i] + predicted);
  }
}

/// The same for one byte a pixel: what is left of it stays in registers.
template <unsigned filter>
void unfilter_single_bytes(const Rows& rows) {
  int a = 0, c = 0;
  for (std::size_t i = 0; i < rows.bytes; ++i) {
    const int b = rows.above[i];
    const int predicted = filter == 1 ? a : filter == 3 ? (a + b) / 2 : paeth(a, b, c);
    a = static_cast<std::uint8_t>(rows.in[i] + predicted);
    c = b;
    rows.out[i] = static_cast<std::uint8_t>(a);
  }
}

inline __m128i distance(__m128i p, __m128i q) { return _mm_sub_epi8(_mm_max_epu8(p, q), _mm_min_epu8(p, q)); }

inline __m128i select(__m128i mask, __m128i yes, __m128i no) {
  return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

/// Bytes suffice: where a and b lie on the same side of c, a + b - c is no nearer to c than to both, and on different
/// sides its distance to c is the difference of the other two distances.
inline __m128i paeth(__m128i a, __m128i b, __m128i c) {
  const __m128i to_a = distance(b, c), to_b = distance(a, c);
  const __m128i a_over = _mm_cmpeq_epi8(_mm_max_epu8(a, c), a);
  const __m128i b_over = _mm_cmpeq_epi8(_mm_max_epu8(b, c), b);
  const __m128i to_c = _mm_or_si128(distance(to_a, to_b), _mm_cmpeq_epi8(a_over, b_over));
  const __m128i least = _mm_min_epu8(_mm_min_epu8(to_a, to_b), to_c);
  return select(_mm_cmpeq_epi8(least, to_a), a, select(_mm_cmpeq_epi8(least, to_b), b, c));
}

template <unsigned filter>
inline __m128i predicted_pixel(__m128i a, __m128i b, __m128i c) {
  if constexpr (filter == 1) return a;
  if constexpr (filter == 4) return paeth(a, b, c);
  return _mm_sub_epi8(_mm_avg_epu8(a, b), _mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8(1)));
}

/// A pixel a step, in the low bytes of a register. Eight bytes are read and written for each, as long as they lie
/// within the row; what is written beyond the pixel is written again by the next. Returns how far it came.
template <unsigned filter, std::size_t step>
std::size_t unfilter_pixels(const Rows& rows) {
  __m128i a = _mm_setzero_si128(), c = a;
  std::size_t i = 0;
  for (; i + 8 <= rows.bytes; i += step) {
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows.above + i));
    const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows.in + i));
    a = _mm_add_epi8(x, predicted_pixel<filter>(a, b, c));
    c = b;
    _mm_storel_epi64(reinterpret_cast<__m128i*>(rows.out + i), a);
  }
  return i;
}

template <unsigned filter, std::size_t step>
void unfilter(const Rows& rows, bool simd) {
  if constexpr (step == 1)
    unfilter_single_bytes<filter>(rows);
  else
    unfilter_bytes<filter, step>(rows, simd ? unfilter_pixels<filter, step>(rows) : 0);
}

template <unsigned filter>
void unfilter_by_step(const Rows& rows, std::size_t step, bool simd) {
  switch (step) {
    case 1:
      return unfilter<filter, 1>(rows, simd);
    case 2:
      return unfilter<filter, 2>(rows, simd);
    case 3:
      return unfilter<filter, 3>(rows, simd);
    case 4:
      return unfilter<filter, 4>(rows, simd);
    case 6:
      return unfilter<filter, 6>(rows, simd);
    default:
      return unfilter<filter, 8>(rows, simd);
  }
}

void unfilter_up(const Rows& rows, bool simd) {
  std::size_t i = 0;
  for (; simd && i + 16 <= rows.bytes; i += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.in + i));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.above + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rows.out + i), _mm_add_epi8(x, b));
  }
  for (; i < rows.bytes; ++i) rows.out[i] = static_cast<std::uint8_t>(rows.in[i] + rows.above[i]);
}

}  // namespace

void unfilter_row(unsigned filter, const std::byte* in, const std::byte* above, std::size_t bytes,
                  std::size_t bytes_per_pixel, std::byte* out) {
  const Rows rows{reinterpret_cast<const std::uint8_t*>(in), reinterpret_cast<const std::uint8_t*>(above),
                  reinterpret_cast<std::uint8_t*>(out), bytes};
  const bool simd = kernels().isa != scalar_kernels().isa;
  switch (filter) {
    case 1:
      return unfilter_by_step<1>(rows, bytes_per_pixel, simd);
    case 2:
      return unfilter_up(rows, simd);
    case 3:
      return unfilter_by_step<3>(rows, bytes_per_pixel, simd);
    case 4:
      return unfilter_by_step<4>(rows, bytes_per_pixel, simd);
    default:
      std::memcpy(out, in, bytes);
  }
}

}  // namespace histod::compute::codec::png
