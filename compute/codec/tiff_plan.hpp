// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "compute/codec/tiff_page.hpp"

/// What a TIFF that is to be written consists of; made before a byte is written, so that its size is known.
namespace histod::compute::codec::tiff {

struct OutEntry {
  std::uint16_t tag = 0;
  std::uint16_t type = 0;
  std::uint64_t count = 0;
  Bytes borrowed;                ///< data of the input file, whose byte order the output has
  std::vector<std::byte> made;   ///< or data made here
  std::vector<OutEntry> nested;  ///< or the directory that the tag points at

  Bytes data() const { return made.empty() ? borrowed : Bytes(made); }
};

struct OutPage {
  Layout layout{};
  bool invert = false;  ///< MinIsWhite
  std::uint16_t planar = 1;
  ImageView view{};
  std::uint32_t levels = 0;         ///< of the view, when they are to be stretched to the whole depth
  std::vector<OutEntry> entries{};  ///< by tag, without the offsets and byte counts of the chunks
};

struct Plan {
  Format format;
  std::vector<OutPage> pages;
};

/// Whether all that a directory says stays true when other samples take the place of the old ones.
bool stays_true(const Directory& directory);

/// Empty pages when the input cannot be read again.
Plan make_plan(const Image& image);

}  // namespace histod::compute::codec::tiff
