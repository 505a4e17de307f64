// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::jpeg {

struct Segment {
  unsigned marker = 0;  ///< 0xE0..0xEF (APPn) or 0xFE (COM)
  Bytes data;           ///< without marker and length
};

struct Component {
  unsigned id = 0;
  unsigned h = 1;
  unsigned v = 1;
};

struct Header {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  unsigned components = 0;
  std::array<Component, 3> sampling{};
  bool progressive = false;
  bool ycc = false;  ///< the components are Y, Cb, Cr
  std::uint64_t scans = 0;
  std::vector<Segment> kept;  ///< all APPn and COM segments up to the end of the image, in their order
  std::uint64_t ancillary_bytes = 0;

  unsigned h_max() const;
  unsigned v_max() const;
  /// Samples of all components as the library keeps them: whole blocks, whole MCUs.
  std::uint64_t padded_samples() const;
  /// Whether the first component has the full resolution, as in all but the oddest files.
  bool full_luma() const { return sampling[0].h == h_max() && sampling[0].v == v_max(); }
};

/// Walks all markers up to EOI. Refuses what is not Huffman-coded 8-bit gray, YCbCr or RGB.
Result<Header> read_markers(Bytes file);

constexpr std::string_view k_exif_prefix{"Exif\0\0", 6};
constexpr std::string_view k_xmp_prefix{"http://ns.adobe.com/xap/1.0/\0", 29};
constexpr std::string_view k_icc_prefix{"ICC_PROFILE\0", 12};

inline bool is_icc(const Segment& segment) { return segment.marker == 0xE2 && starts_with(segment.data, k_icc_prefix); }
/// The profile that the APP2 segments hold; empty when they contradict one another.
std::vector<std::byte> joined_icc(const std::vector<Segment>& segments);

}  // namespace histod::compute::codec::jpeg
