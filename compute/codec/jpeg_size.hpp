// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/jpeg_markers.hpp"

/// Bounds of what JPEG needs, in memory and in the file.
namespace histod::compute::codec::jpeg {

/// What decoding and encoding again take from malloc at most.
std::size_t scratch_bytes(const Header& header, bool luma_plane, std::size_t file_bytes);

/// Scans of several components may not have more blocks than this in an MCU.
constexpr unsigned k_mcu_blocks_max = 10;
unsigned mcu_blocks(const Header& header);

/// Of entropy-coded data for `samples` made from pixels. The energy of an 8x8 block bounds its coefficients: at the
/// finest quantization they cost 18 bits each at most with the tables of the standard, and 0xFF bytes are doubled.
constexpr std::size_t pixel_data_bytes_max(std::uint64_t samples) { return samples * 3 + 4096; }

/// Of entropy-coded data for coefficients taken over from a file. They may be any: 26 bits each, doubled; but each that
/// is not 0 also cost 2 bits in the file, and a run of zeros one.
std::size_t copied_data_bytes_max(std::uint64_t samples, std::size_t file_bytes);

/// Of any block with the tables of the standard: 64 times 26 bits, doubled.
constexpr std::size_t k_block_bytes_max = 64 * 26 * 2 / 8;
/// What must be free in the memory of a band before an MCU is written.
constexpr std::size_t k_mcu_bytes_max = k_mcu_blocks_max * k_block_bytes_max + 64;

/// Of a band of a scan whose luma is made from pixels and whose chroma is taken over from `source_bytes` of data.
std::size_t luma_band_bytes_max(std::uint64_t luma_blocks, std::uint64_t chroma_blocks, std::uint64_t source_bytes);

/// Blocks of the first component, in samples.
std::uint64_t luma_samples(std::uint32_t width, std::uint32_t height);

}  // namespace histod::compute::codec::jpeg
