// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/tiff_page.hpp"

/// Between the samples of a chunk, as they lie in the file, and pixels.
namespace histod::compute::codec::tiff {

/// Whether the rows of a strip are rows of the page, byte for byte.
bool chunk_is_rows(const Layout& layout, const ImageView& page);

/// Turns the byte order and undoes the predictor, in place.
void restore_samples(const Layout& layout, std::span<std::byte> chunk, std::uint32_t rows);
/// The reverse.
void difference_samples(const Layout& layout, std::span<std::byte> chunk, std::uint32_t rows);

/// Puts a restored chunk where it belongs in the page, with 1 to 4-bit samples and palettes expanded to 8 bit.
void scatter(const Page& source, const Chunk& chunk, Bytes samples, const ImageView& page);
/// Collects a chunk from the page; what lies outside of the page repeats the last pixel of its row, or row.
void gather(const Layout& layout, const Chunk& chunk, const ImageView& page, std::span<std::byte> samples);

/// All samples of a restored chunk but the extras become maximum - sample; `format` is the page's.
void invert_colors(const Layout& layout, const Chunk& chunk, const PixelFormat& format, std::span<std::byte> samples);

}  // namespace histod::compute::codec::tiff
