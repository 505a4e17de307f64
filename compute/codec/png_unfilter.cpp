// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_unfilter.hpp"

#include <array>
#include <bit>
#include <cstdlib>
#include <utility>

#include <immintrin.h>

#include "compute/kernels.hpp"

#define HISTOD_AVX2 __attribute__((target("avx2")))

namespace histod::compute::codec::png {
namespace {

constexpr unsigned k_filters = 5;

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

// A pixel waits for the one left of it, so that a row by itself goes at the pace of a chain of dependent instructions:
// eleven for Paeth. Several rows at a time go as fast as one, each a pixel behind the row above it, in a register with
// a lane for each row.

/// Rows one below the other. A row's pixel lies `in_skew` bytes behind the pixel of the row above that is worked on in
/// the same step, which is one further to the right.
struct RowGroup {
  const std::uint8_t* in;
  std::size_t in_skew;
  const std::uint8_t* above;
  std::uint8_t* out;
  std::size_t out_skew;
  std::size_t pixels;
};

template <std::size_t step>
constexpr std::size_t k_lane_bytes = std::bit_ceil(step);
/// No more than eight: rows that are a power of two apart share the ways of the first-level cache.
template <std::size_t step>
constexpr std::size_t k_group_rows = std::min<std::size_t>(8, 16 / k_lane_bytes<step>);

/// Which lanes take which prediction.
struct LaneMasks {
  __m128i left, above, average, paeth;
};

/// Reads a whole lane, and so up to two bytes of the next pixel.
template <std::size_t lane, int row>
HISTOD_AVX2 inline __m128i with_lane(__m128i lanes, const std::uint8_t* from) {
  std::conditional_t<lane == 8, long long, int> value = 0;
  std::memcpy(&value, from, lane);
  if constexpr (lane == 8) return _mm_insert_epi64(lanes, value, row);
  if constexpr (lane == 4) return _mm_insert_epi32(lanes, static_cast<int>(value), row);
  if constexpr (lane == 2) return _mm_insert_epi16(lanes, static_cast<int>(value), row);
  return _mm_insert_epi8(lanes, static_cast<int>(value), row);
}

/// Writes a whole lane: what goes into the pixel behind is written again by the next step.
template <std::size_t lane, int row>
HISTOD_AVX2 inline void store_lane(__m128i lanes, std::uint8_t* to) {
  long long value = 0;
  if constexpr (lane == 8) value = _mm_extract_epi64(lanes, row);
  if constexpr (lane == 4) value = _mm_extract_epi32(lanes, row);
  if constexpr (lane == 2) value = _mm_extract_epi16(lanes, row);
  if constexpr (lane == 1) value = _mm_extract_epi8(lanes, row);
  std::memcpy(to, &value, lane);
}

template <std::size_t lane, int... row>
HISTOD_AVX2 inline __m128i gather(const std::uint8_t* at, std::size_t skew, std::integer_sequence<int, row...>) {
  __m128i lanes = _mm_setzero_si128();
  ((lanes = with_lane<lane, row>(lanes, at + row * skew)), ...);
  return lanes;
}

template <std::size_t lane, int... row>
HISTOD_AVX2 inline void scatter(__m128i lanes, std::uint8_t* at, std::size_t skew, std::integer_sequence<int, row...>) {
  (store_lane<lane, row>(lanes, at + row * skew), ...);
}

/// The pixel left of each lane's, and the one above that.
struct Behind {
  __m128i a, c;
};

/// `top` has the pixel above the first row's in its last lane.
template <std::size_t lane, bool all_paeth>
HISTOD_AVX2 inline __m128i unfilter_lanes(__m128i x, __m128i top, const LaneMasks& masks, Behind& behind) {
  const __m128i a = behind.a, b = _mm_alignr_epi8(a, top, 16 - lane), c = behind.c;
  const __m128i to_a = distance(b, c), to_b = distance(a, c);
  const __m128i a_over = _mm_cmpeq_epi8(_mm_max_epu8(a, c), a);
  const __m128i b_over = _mm_cmpeq_epi8(_mm_max_epu8(b, c), b);
  const __m128i to_c = _mm_or_si128(distance(to_a, to_b), _mm_cmpeq_epi8(a_over, b_over));
  const __m128i least = _mm_min_epu8(_mm_min_epu8(to_a, to_b), to_c);
  const __m128i b_or_c = _mm_blendv_epi8(c, b, _mm_cmpeq_epi8(least, to_b));
  __m128i predicted = _mm_blendv_epi8(b_or_c, a, _mm_cmpeq_epi8(least, to_a));
  if constexpr (!all_paeth) {
    const __m128i average = _mm_sub_epi8(_mm_avg_epu8(a, b), _mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8(1)));
    const __m128i other = _mm_or_si128(_mm_or_si128(_mm_and_si128(a, masks.left), _mm_and_si128(b, masks.above)),
                                       _mm_and_si128(average, masks.average));
    predicted = _mm_blendv_epi8(other, predicted, masks.paeth);
  }
  behind = {_mm_add_epi8(x, predicted), b};
  return behind.a;
}

/// Where some rows have not begun yet or have ended, and where a lane would reach beyond its row.
template <std::size_t step>
HISTOD_AVX2 void unfilter_edge(const RowGroup& rows, std::size_t x, const LaneMasks& masks, Behind& behind) {
  constexpr std::size_t lane = k_lane_bytes<step>;
  alignas(16) std::array<std::uint8_t, 16> in{}, top{};
  const auto inside = [&](std::size_t row) { return x >= row && x - row < rows.pixels; };
  for (std::size_t row = 0; row < k_group_rows<step>; ++row)
    if (inside(row)) std::memcpy(&in[row * lane], rows.in + x * step + row * rows.in_skew, step);
  if (inside(0)) std::memcpy(&top[16 - lane], rows.above + x * step, step);
  const __m128i out =
      unfilter_lanes<lane, false>(_mm_load_si128(reinterpret_cast<const __m128i*>(in.data())),
                                  _mm_load_si128(reinterpret_cast<const __m128i*>(top.data())), masks, behind);
  _mm_store_si128(reinterpret_cast<__m128i*>(in.data()), out);
  for (std::size_t row = 0; row < k_group_rows<step>; ++row)
    if (inside(row)) std::memcpy(rows.out + x * step + row * rows.out_skew, &in[row * lane], step);
}

template <std::size_t step, bool all_paeth>
HISTOD_AVX2 void unfilter_group(const RowGroup& rows, const LaneMasks& masks) {
  constexpr std::size_t lane = k_lane_bytes<step>, count = k_group_rows<step>;
  Behind behind{_mm_setzero_si128(), _mm_setzero_si128()};
  std::size_t x = 0;
  for (; x + 1 < count; ++x) unfilter_edge<step>(rows, x, masks, behind);
  constexpr std::make_integer_sequence<int, static_cast<int>(count)> each_row;
  for (; x + 1 < rows.pixels; ++x) {
    const __m128i top = with_lane<lane, 16 / lane - 1>(_mm_setzero_si128(), rows.above + x * step);
    const __m128i in = gather<lane>(rows.in + x * step, rows.in_skew, each_row);
    scatter<lane>(unfilter_lanes<lane, all_paeth>(in, top, masks, behind), rows.out + x * step, rows.out_skew,
                  each_row);
  }
  for (; x + 1 < rows.pixels + count; ++x) unfilter_edge<step>(rows, x, masks, behind);
}

/// Fewer rows of Paeth than that are faster one by one, among others that hardly wait for their neighbours.
constexpr unsigned k_paeth_rows_min = 2;

/// Whether the rows that begin at `lines` were worth doing together, and are done.
template <std::size_t step>
bool unfilter_together(Bytes lines, const std::byte* above, std::size_t bytes, std::byte* out, std::size_t stride) {
  constexpr std::size_t lane = k_lane_bytes<step>, count = k_group_rows<step>;
  if (lines.size() < count * (bytes + 1)) return false;
  alignas(16) std::array<std::array<std::uint8_t, 16>, k_filters> masks{};
  unsigned paeth_rows = 0;
  for (std::size_t row = 0; row < count; ++row) {
    const auto filter = std::to_integer<unsigned>(lines[row * (bytes + 1)]);
    if (filter >= k_filters) return false;
    std::fill_n(&masks[filter][row * lane], lane, std::uint8_t{0xff});
    paeth_rows += filter == 4;
  }
  if (paeth_rows < k_paeth_rows_min) return false;
  const auto mask = [&](std::size_t filter) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(masks[filter].data()));
  };
  const LaneMasks lanes{mask(1), mask(2), mask(3), mask(4)};
  const RowGroup rows{reinterpret_cast<const std::uint8_t*>(lines.data()) + 1,
                      bytes + 1 - step,
                      reinterpret_cast<const std::uint8_t*>(above),
                      reinterpret_cast<std::uint8_t*>(out),
                      stride - step,
                      bytes / step};
  paeth_rows == count ? unfilter_group<step, true>(rows, lanes) : unfilter_group<step, false>(rows, lanes);
  return true;
}

template <std::size_t step>
std::size_t unfilter_all(Bytes lines, const std::byte* above, std::size_t bytes, std::byte* out, std::size_t stride) {
  const bool together = kernels().isa == avx2_kernels().isa;
  const std::size_t count = lines.size() / (bytes + 1);
  for (std::size_t y = 0; y < count;) {
    const Bytes rest = lines.subspan(y * (bytes + 1));
    std::byte* const row = out + y * stride;
    const std::byte* const row_above = y == 0 ? above : row - stride;
    if (together && unfilter_together<step>(rest, row_above, bytes, row, stride)) {
      y += k_group_rows<step>;
      continue;
    }
    const auto filter = std::to_integer<unsigned>(rest[0]);
    if (filter >= k_filters) return y;
    unfilter_row(filter, rest.data() + 1, row_above, bytes, step, row);
    ++y;
  }
  return count;
}

}  // namespace

std::size_t unfilter_rows(Bytes lines, const std::byte* above, std::size_t bytes, std::size_t bytes_per_pixel,
                          std::byte* out, std::size_t stride_bytes) {
  switch (bytes_per_pixel) {
    case 1:
      return unfilter_all<1>(lines, above, bytes, out, stride_bytes);
    case 2:
      return unfilter_all<2>(lines, above, bytes, out, stride_bytes);
    case 3:
      return unfilter_all<3>(lines, above, bytes, out, stride_bytes);
    case 4:
      return unfilter_all<4>(lines, above, bytes, out, stride_bytes);
    case 6:
      return unfilter_all<6>(lines, above, bytes, out, stride_bytes);
    default:
      return unfilter_all<8>(lines, above, bytes, out, stride_bytes);
  }
}

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
