// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

/// A chunk to be written: data of the input file, or data made here.
struct OwnedChunk {
  std::string type;
  Bytes borrowed;
  std::vector<std::byte> made;
  bool after_pixels = false;

  Bytes data() const { return made.empty() ? borrowed : Bytes(made); }
};

/// The ancillary chunks that belong into a PNG of `format` made of `image`: those of the input when it is a PNG, else
/// chunks that carry its ICC profile, EXIF, XMP and resolution.
std::vector<OwnedChunk> output_chunks(const Image& image, const PixelFormat& format);

}  // namespace histod::compute::codec::png
