// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_dct.hpp"

#include <algorithm>
#include <cstring>

#include "compute/kernels.hpp"

#define HISTOD_INLINE [[gnu::always_inline]] inline

namespace histod::compute::codec::jpeg {
namespace {

/// A row of a block. Unsigned, so that coefficients out of all bounds wrap; shifts to the right are done signed.
using Row = std::uint32_t __attribute__((vector_size(32)));
using SignedRow = std::int32_t __attribute__((vector_size(32)));
using FloatRow = float __attribute__((vector_size(32)));
using ShortRow = std::int16_t __attribute__((vector_size(16)));
using ByteRow = std::uint8_t __attribute__((vector_size(8)));

constexpr int k_fraction_bits = 13;
constexpr int k_first_pass_bits = 2;

/// The constants of Loeffler, Ligtenberg and Moschytz with 13 bits of fraction.
constexpr std::uint32_t k_0_298 = 2446, k_0_390 = 3196, k_0_541 = 4433, k_0_765 = 6270, k_0_899 = 7373, k_1_175 = 9633,
                        k_1_501 = 12299, k_1_847 = 15137, k_1_961 = 16069, k_2_053 = 16819, k_2_562 = 20995,
                        k_3_072 = 25172;

template <int Bits>
HISTOD_INLINE void descale(Row& row) {
  row += 1u << (Bits - 1);
  row = (Row)((SignedRow)row >> Bits);
}

HISTOD_INLINE void transpose(Row (&rows)[8]) {
  Row pairs[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Row fours[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 8
    for (int j = 0; j < 2; ++j) {
      fours[i + 2 * j] = __builtin_shufflevector(pairs[i + j], pairs[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * j + 1] = __builtin_shufflevector(pairs[i + j], pairs[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    rows[i] = __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    rows[i + 4] = __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// The rotations that the odd halves of both directions share. `a` to `d` are the smallest to the largest of the four.
HISTOD_INLINE void rotate_odd(Row& a, Row& b, Row& c, Row& d) {
  const Row all = (a + c + b + d) * k_1_175;
  const Row ad = (a + d) * -k_0_899;
  const Row bc = (b + c) * -k_2_562;
  const Row ac = (a + c) * -k_1_961 + all;
  const Row bd = (b + d) * -k_0_390 + all;
  a = a * k_0_298 + ad + ac;
  b = b * k_2_053 + bc + bd;
  c = c * k_3_072 + bc + ac;
  d = d * k_1_501 + ad + bd;
}

template <int Bits>
HISTOD_INLINE void inverse_columns(Row (&x)[8]) {
  const Row turn = (x[2] + x[6]) * k_0_541;
  const Row low = turn - x[6] * k_1_847;
  const Row high = turn + x[2] * k_0_765;
  const Row sum = (x[0] + x[4]) << k_fraction_bits;
  const Row difference = (x[0] - x[4]) << k_fraction_bits;
  const Row even[4] = {sum + high, difference + low, difference - low, sum - high};
  Row odd[4] = {x[7], x[5], x[3], x[1]};
  rotate_odd(odd[0], odd[1], odd[2], odd[3]);
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    x[i] = even[i] + odd[3 - i];
    x[7 - i] = even[i] - odd[3 - i];
    descale<Bits>(x[i]);
    descale<Bits>(x[7 - i]);
  }
}

HISTOD_INLINE void inverse_any(const std::int16_t* coefficients, const Quantization& quantization,
                               std::uint8_t* samples, std::size_t stride_bytes) {
  Row rows[8];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) {
    ShortRow value;
    ShortRow factor;
    std::memcpy(&value, coefficients + 8 * i, sizeof(value));
    std::memcpy(&factor, quantization.data() + 8 * i, sizeof(factor));
    using UnsignedShortRow = std::uint16_t __attribute__((vector_size(16)));
    value = (ShortRow)((UnsignedShortRow)value * (UnsignedShortRow)factor);
    rows[i] = (Row) __builtin_convertvector(value, SignedRow);
  }
  inverse_columns<k_fraction_bits - k_first_pass_bits>(rows);
  transpose(rows);
  inverse_columns<k_fraction_bits + k_first_pass_bits + 3>(rows);
  transpose(rows);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) {
    SignedRow value = (SignedRow)rows[i] + 128;
    value = value < 0 ? SignedRow{} : value;
    value = value > 255 ? SignedRow{} + 255 : value;
    const ByteRow bytes = __builtin_convertvector(__builtin_convertvector(value, ShortRow), ByteRow);
    std::memcpy(samples + i * stride_bytes, &bytes, sizeof(bytes));
  }
}

/// `scale` for the two outputs that need no multiplication: the first pass shifts them up, the second down.
template <int Bits>
HISTOD_INLINE void forward_columns(Row (&x)[8], auto scale) {
  Row odd[4];
  Row even[4];
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    even[i] = x[i] + x[7 - i];
    odd[i] = x[3 - i] - x[4 + i];
  }
  const Row outer[2] = {even[0] + even[3], even[0] - even[3]};
  const Row inner[2] = {even[1] + even[2], even[1] - even[2]};
  x[0] = outer[0] + inner[0];
  x[4] = outer[0] - inner[0];
  scale(x[0]);
  scale(x[4]);
  const Row turn = (inner[1] + outer[1]) * k_0_541;
  x[2] = turn + outer[1] * k_0_765;
  x[6] = turn - inner[1] * k_1_847;
  rotate_odd(odd[0], odd[1], odd[2], odd[3]);
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) x[7 - 2 * i] = odd[i];
#pragma GCC unroll 8
  for (const int i : {1, 2, 3, 5, 6, 7}) descale<Bits>(x[i]);
}

HISTOD_INLINE std::uint64_t forward_any(const std::uint8_t* samples, std::size_t stride_bytes,
                                        const Quantizer& quantizer, std::int16_t* coefficients) {
  Row rows[8];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) {
    ByteRow bytes;
    std::memcpy(&bytes, samples + i * stride_bytes, sizeof(bytes));
    rows[i] = __builtin_convertvector(bytes, Row) - 128;
  }
  transpose(rows);
  forward_columns<k_fraction_bits - k_first_pass_bits>(rows, [](Row& row) { row <<= k_first_pass_bits; });
  transpose(rows);
  forward_columns<k_fraction_bits + k_first_pass_bits>(rows, [](Row& row) { descale<k_first_pass_bits>(row); });
  std::uint64_t nonzero = 0;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) {
    SignedRow half;
    FloatRow inverse;
    std::memcpy(&half, quantizer.half.data() + 8 * i, sizeof(half));
    std::memcpy(&inverse, quantizer.inverse.data() + 8 * i, sizeof(inverse));
    const SignedRow sign = (SignedRow)rows[i] >> 31;
    const SignedRow rounded = (((SignedRow)rows[i] ^ sign) - sign) + half;
    // A quarter more makes up for what the product loses: below 2^18 an integer quotient can never be missed.
    const SignedRow quotient =
        __builtin_convertvector((__builtin_convertvector(rounded, FloatRow) + 0.25f) * inverse, SignedRow);
    const ShortRow result = __builtin_convertvector((quotient ^ sign) - sign, ShortRow);
    std::memcpy(coefficients + 8 * i, &result, sizeof(result));
    const ByteRow is_set = (ByteRow) __builtin_convertvector(result != 0, ByteRow);
    std::uint64_t bytes;
    std::memcpy(&bytes, &is_set, sizeof(bytes));
    // One bit of each byte, all different, added up in the top byte.
    nonzero |= (bytes & 0x8040201008040201u) * 0x0101010101010101u >> 56 << (8 * i);
  }
  return nonzero;
}

__attribute__((target("avx2"))) void inverse_avx2(const std::int16_t* coefficients, const Quantization& quantization,
                                                  std::uint8_t* samples, std::size_t stride_bytes) {
  inverse_any(coefficients, quantization, samples, stride_bytes);
}
__attribute__((target("avx2"))) std::uint64_t forward_avx2(const std::uint8_t* samples, std::size_t stride_bytes,
                                                           const Quantizer& quantizer, std::int16_t* coefficients) {
  return forward_any(samples, stride_bytes, quantizer, coefficients);
}
void inverse_plain(const std::int16_t* coefficients, const Quantization& quantization, std::uint8_t* samples,
                   std::size_t stride_bytes) {
  inverse_any(coefficients, quantization, samples, stride_bytes);
}
std::uint64_t forward_plain(const std::uint8_t* samples, std::size_t stride_bytes, const Quantizer& quantizer,
                            std::int16_t* coefficients) {
  return forward_any(samples, stride_bytes, quantizer, coefficients);
}

}  // namespace

std::uint8_t flat_sample(std::int16_t coefficient, const Quantization& quantization) {
  const int value = static_cast<std::int16_t>(coefficient * quantization[0]) * (1 << k_first_pass_bits);
  constexpr int k_bits = k_first_pass_bits + 3;
  return static_cast<std::uint8_t>(std::clamp(((value + (1 << (k_bits - 1))) >> k_bits) + 128, 0, 255));
}

Quantizer::Quantizer(const Quantization& quantization) {
  for (std::size_t i = 0; i < 64; ++i) {
    // The forward DCT gives eight times the coefficients.
    half[i] = 4 * std::int32_t{quantization[i]};
    inverse[i] = 1.0f / static_cast<float>(8 * std::int32_t{quantization[i]});
  }
}

const Dct& dct() {
  static constexpr Dct k_plain{inverse_plain, forward_plain};
  static constexpr Dct k_avx2{inverse_avx2, forward_avx2};
  return &kernels() == &avx2_kernels() ? k_avx2 : k_plain;
}

}  // namespace histod::compute::codec::jpeg
