// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "compute/codec/codec.hpp"

/// Equalizing an uncompressed file where it lies: nothing is copied, and all that is not a sample stays as it is, byte
/// for byte. Takes the place of decode() and encode() for a file that has FileInfo::rasters.
namespace histod::compute::codec {

/// Whether the result of `planned` (the views that equalize() will leave) in `format` is the file with other samples.
bool stays_in_place(const FileInfo& info, std::span<const ImageView> planned, FileFormat format);

/// Bytes of `pixels` that open_rasters() wants for a file at this address: none, but for 16-bit samples at odd
/// addresses.
std::size_t raster_pixel_bytes(std::span<const std::byte> file, const FileInfo& info);

/// The pages of `file`, which outlives the image: views of the file itself, with 16-bit samples turned to host order in
/// place; or of `pixels`, where raster_pixel_bytes() asks for them. `info` comes from probe() of the same bytes.
Image open_rasters(std::span<std::byte> file, const FileInfo& info, std::span<std::byte> pixels, Arena& arena);

/// Makes of `file` a file again: samples back in its byte order, and back from `pixels`.
void close_rasters(const Image& image, std::span<std::byte> file, Arena& arena);

}  // namespace histod::compute::codec
