// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "compute/codec/jpeg_bands.hpp"
#include "compute/codec/jpeg_library.hpp"
#include "compute/codec/jpeg_markers.hpp"
#include "compute/codec/jpeg_scan.hpp"

namespace histod::compute::codec::jpeg {

/// A segment to be written: data of the input file, or data made here.
struct OwnedSegment {
  unsigned marker = 0;
  Bytes borrowed;
  std::vector<std::byte> made;

  Bytes data() const { return made.empty() ? borrowed : Bytes(made); }
};

/// The APPn and COM segments of the output: those of the input when it is a JPEG, else ones that carry its metadata.
std::vector<OwnedSegment> output_segments(const Image& image, const PixelFormat& pixel);
void write_segments(jpeg_compress_struct& compress, std::span<const OwnedSegment> segments);

/// Sampling factors too large for interleaving get one scan for each component.
void one_scan_each(jpeg_compress_struct& compress);

/// A scan that decode() has read, and the places in it.
struct KeptScan final : Kept {
  std::unique_ptr<Scan> scan;
  ScanCut cut;
  Places places;
  KeptScan(std::unique_ptr<Scan> from, const ScanCut& cut_of_it)
      : scan(std::move(from)), cut(cut_of_it), places(*scan, cut.band_mcus) {}
};

/// The Y plane of image.pages[0] with the input's table, and the input's chroma coefficients, unchanged.
Result<std::size_t> encode_luma(const Image& image, std::span<std::byte> out, Arena& arena);
/// The same for a scan that was kept, in bands.
Result<std::size_t> encode_luma_bands(const Image& image, const KeptScan& kept, std::span<std::byte> out, Arena& arena);

}  // namespace histod::compute::codec::jpeg
