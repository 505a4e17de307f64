// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// The DCT of JPEG as libjpeg's "islow" method defines it, bit for bit: what its decoder shows, and what its encoder
/// quantizes. Blocks are 64 values, row by row (not in zigzag order).
namespace histod::compute::codec::jpeg {

using Quantization = std::array<std::uint16_t, 64>;

/// Eight rows of eight samples to `samples`, `stride_bytes` apart. Coefficients that no encoder makes of 8-bit samples
/// give samples that are arbitrary, but always the same.
using InverseDct = void (*)(const std::int16_t* coefficients, const Quantization& quantization, std::uint8_t* samples,
                            std::size_t stride_bytes);

/// The sample that a block with no coefficient but the first has everywhere.
std::uint8_t flat_sample(std::int16_t coefficient, const Quantization& quantization);

struct Quantizer {
  std::array<std::int32_t, 64> half{};  ///< half of the divisor, which rounds
  std::array<float, 64> inverse{};
  explicit Quantizer(const Quantization& quantization);
};

/// Quantized coefficients of eight rows of samples. Returns which rows and columns are not 0: bit 8 * row + column.
using ForwardDct = std::uint64_t (*)(const std::uint8_t* samples, std::size_t stride_bytes, const Quantizer& quantizer,
                                     std::int16_t* coefficients);

struct Dct {
  InverseDct inverse;
  ForwardDct forward;
};
/// For the instruction set that compute::kernels() names.
const Dct& dct();

}  // namespace histod::compute::codec::jpeg
