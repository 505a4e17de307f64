// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory_resource>
#include <optional>
#include <string_view>
#include <vector>

#include "compute/codec/internal.hpp"

/// The container of TIFF: header, image file directories (IFD), tags. Tags stay raw, in the byte order of the file, so
/// that those nobody here knows come out as they went in.
namespace histod::compute::codec::tiff {

enum Tag : std::uint16_t {
  k_new_subfile_type = 254,
  k_image_width = 256,
  k_image_length = 257,
  k_bits_per_sample = 258,
  k_compression = 259,
  k_photometric = 262,
  k_fill_order = 266,
  k_strip_offsets = 273,
  k_orientation = 274,
  k_samples_per_pixel = 277,
  k_rows_per_strip = 278,
  k_strip_byte_counts = 279,
  k_min_sample_value = 280,
  k_max_sample_value = 281,
  k_x_resolution = 282,
  k_y_resolution = 283,
  k_planar_configuration = 284,
  k_free_offsets = 288,
  k_free_byte_counts = 289,
  k_resolution_unit = 296,
  k_transfer_function = 301,
  k_predictor = 317,
  k_color_map = 320,
  k_tile_width = 322,
  k_tile_length = 323,
  k_tile_offsets = 324,
  k_tile_byte_counts = 325,
  k_sub_ifds = 330,
  k_extra_samples = 338,
  k_sample_format = 339,
  k_s_min_sample_value = 340,
  k_s_max_sample_value = 341,
  k_global_parameters_ifd = 400,
  k_strip_row_counts = 559,
  k_xmp = 700,
  k_image_depth = 32997,
  k_exif_ifd = 34665,
  k_icc_profile = 34675,
  k_gps_ifd = 34853,
  k_interoperability_ifd = 40965,
  k_gdal_metadata = 42112,
  k_gdal_nodata = 42113,
};

enum Type : std::uint16_t {
  k_byte = 1,
  k_ascii = 2,
  k_short = 3,
  k_long = 4,
  k_rational = 5,
  k_undefined = 7,
  k_ifd = 13,
  k_long8 = 16,
  k_ifd8 = 18
};

/// Bytes of one value of a field type; 0 for a type that no specification names.
std::size_t type_bytes(std::uint16_t type);

struct Format {
  std::endian order = std::endian::little;
  bool big = false;  ///< BigTIFF: 64-bit offsets

  std::size_t header_bytes() const { return big ? 16 : 8; }
  std::size_t entry_bytes() const { return big ? 20 : 12; }
  std::size_t offset_bytes() const { return big ? 8 : 4; }
  std::size_t count_bytes() const { return big ? 8 : 2; }
};

struct Entry {
  std::uint16_t tag = 0;
  std::uint16_t type = 0;
  std::uint64_t count = 0;
  Bytes data;  ///< in the file, in its byte order

  /// Value `index` of an unsigned integer type; nothing for other types or past the end.
  std::optional<std::uint64_t> number(std::uint64_t index, std::endian order) const;
  /// A RATIONAL.
  std::optional<double> rational(std::endian order) const;
  std::string_view text() const;  ///< an ASCII value up to its first zero byte
};

struct Directory {
  std::pmr::vector<Entry> entries;  ///< by tag, no tag twice; entries of unknown types are left out
  std::uint64_t next = 0;           ///< offset of the next directory of the chain; 0: none

  const Entry* find(std::uint16_t tag) const;
  std::uint64_t number_or(std::uint16_t tag, std::endian order, std::uint64_t otherwise) const;
};

struct Container {
  Format format;
  std::pmr::vector<Directory> pages;
};

/// Whether a tag points at a directory of its own that is copied with it (EXIF, GPS, ...).
bool points_at_directory(std::uint16_t tag);

Result<Directory> read_directory(Bytes file, const Format& format, std::uint64_t offset,
                                 std::pmr::memory_resource& memory = *std::pmr::get_default_resource());
/// The whole chain; stops at loops and limits.
Result<Container> read_container(Bytes file, const Limits& limits, LimitCheck& check,
                                 std::pmr::memory_resource& memory = *std::pmr::get_default_resource());

}  // namespace histod::compute::codec::tiff
