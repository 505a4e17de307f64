// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

/// Inside compute/: the AVX2 kernels of packed video, see compute/kernels.hpp.
namespace histod::compute::video {

void avx2_count_uyvy_u8(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables);
void avx2_count_uyvy_u10(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables);
void avx2_apply_uyvy_u8(std::uint8_t* groups, std::size_t n, const std::uint8_t* lut);
void avx2_apply_uyvy_u10(std::uint8_t* groups, std::size_t n, const std::uint16_t* lut);

}  // namespace histod::compute::video
