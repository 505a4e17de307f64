// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_size.hpp"

#include "compute/codec/jpeg_bands.hpp"
#include "compute/codec/jpeg_scan.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr std::size_t k_objects_bytes = 1u << 20;      ///< libjpeg's tables, pools and marker buffers
constexpr std::size_t k_band_counts_bytes = 9u << 10;  ///< of symbols, and the band's entry
constexpr std::size_t k_rows = 64;                     ///< rows of samples that its pipelines hold for each component

std::size_t row_buffers_bytes(const Header& header) {
  const std::size_t row_bytes = header.width + 32 * std::size_t{header.h_max()} + 64;
  return row_bytes * header.components * k_rows * 2;
}

/// Arrays of coefficients for a whole image: 16 bits each, and a pointer for each row of blocks.
std::size_t coefficient_bytes(std::uint64_t samples, std::uint32_t height) {
  return samples * 2 + std::size_t{height} * 32 + (64u << 10);
}

/// The compressors of bands, should they all be at work at once: tables, and a row of MCUs in some forms.
std::size_t band_encoders_bytes(const Header& header) {
  const std::size_t row_bytes = header.width + 32 * std::size_t{header.h_max()} + 64;
  return band_count(header.width, header.height) * ((64u << 10) + row_bytes * header.components * 12 * header.v_max());
}

}  // namespace

unsigned mcu_blocks(const Header& header) {
  unsigned blocks = 0;
  for (unsigned i = 0; i < header.components; ++i) blocks += header.sampling[i].h * header.sampling[i].v;
  return blocks;
}

std::uint64_t luma_samples(std::uint32_t width, std::uint32_t height) {
  return (std::uint64_t{width} + 7) / 8 * ((std::uint64_t{height} + 7) / 8) * 64;
}

std::size_t scratch_bytes(const Header& header, bool luma_plane, std::size_t file_bytes) {
  const std::size_t segments = header.kept.size() * 2 * sizeof(Segment) + 3 * header.ancillary_bytes;
  const std::uint64_t blocks = header.padded_samples() / 64;  // of a gray file each is an MCU, whatever it says
  const std::size_t scan = scan_bytes_max(file_bytes, blocks) + scan_bands_max(blocks, 1) * k_band_counts_bytes;
  const std::size_t fixed = k_objects_bytes + row_buffers_bytes(header) + segments;
  const std::size_t whole = coefficient_bytes(header.padded_samples(), header.height);
  if (luma_plane) {
    const std::uint64_t luma = luma_samples(header.width, header.height);
    return 3 * fixed + scan + whole + coefficient_bytes(luma, header.height) + pixel_data_bytes_max(luma);
  }
  const bool buffered = header.progressive || header.scans > 1 || mcu_blocks(header) > k_mcu_blocks_max;
  return fixed + scan + (buffered ? whole : 0) + band_encoders_bytes(header);
}

std::size_t copied_data_bytes_max(std::uint64_t samples, std::size_t file_bytes) {
  const std::uint64_t blocks = samples / 64;
  const std::uint64_t any = samples * 13 / 2 + blocks * 8;
  return std::min(any, 18 * file_bytes + blocks * 24) + 4096;
}

std::size_t luma_band_bytes_max(std::uint64_t luma_blocks, std::uint64_t chroma_blocks, std::uint64_t source_bytes) {
  return pixel_data_bytes_max(luma_blocks * 64) + copied_data_bytes_max(chroma_blocks * 64, source_bytes) +
         k_mcu_bytes_max;
}

}  // namespace histod::compute::codec::jpeg
