// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/internal.hpp"

/// The five filters of PNG (None, Sub, Up, Average, Paeth), by AVX2 where kernels() has it; the bytes are the same.
namespace histod::compute::codec::png {

constexpr std::size_t k_bytes_per_pixel_max = 8;

/// A row of `bytes` bytes as PNG orders them. k_bytes_per_pixel_max bytes before `row` and `above` are 0.
/// Writes the filter's number and then the filtered bytes: of the filter whose bytes, taken as signed, have the least
/// sum of absolute values (the first of those that are equal).
void filter_row(const std::byte* row, const std::byte* above, std::size_t bytes, std::size_t bytes_per_pixel,
                std::byte* out);

}  // namespace histod::compute::codec::png
