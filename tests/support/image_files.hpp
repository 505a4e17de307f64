// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Image files for tests, made by libpng, libtiff and libjpeg themselves, and read by them: independent of compute/.
namespace histod::test {

using FileBytes = std::vector<std::byte>;

/// Samples of an image in reading order, interleaved; 8-bit samples use the low byte.
struct Raster {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  unsigned channels = 1;
  unsigned depth_bits = 8;
  std::vector<std::uint16_t> samples{};

  friend bool operator==(const Raster&, const Raster&) = default;
};

/// A seeded picture: a gradient with noise, so that it is neither flat nor incompressible.
Raster make_raster(std::uint32_t width, std::uint32_t height, unsigned channels, unsigned depth_bits,
                   unsigned seed = 1);
/// Samples all over the depth, without any structure.
Raster make_noise(std::uint32_t width, std::uint32_t height, unsigned channels, unsigned depth_bits, unsigned seed = 1);

FileBytes netpbm_file(const Raster& raster, char kind, std::uint32_t maxval, std::string_view comment = "",
                      std::string_view tuple_type = "");

struct PngSpec {
  int color_type = 0;  ///< as in IHDR; 3 makes a palette of 2^bits colours
  int bits = 8;
  bool interlaced = false;
  bool transparency = false;  ///< tRNS: the key is the first pixel; for a palette the first three entries
  std::vector<std::pair<std::string, std::string>> chunks_before{};  ///< raw ancillary chunks: type, data
  std::vector<std::pair<std::string, std::string>> chunks_after{};
};
/// The samples of `raster` must fit spec.bits; for a palette they are indexes.
FileBytes png_file(const Raster& raster, const PngSpec& spec);
/// As libpng expands it: palette to RGB, tRNS to alpha, 1 to 4 bits to 8.
Raster read_png(const FileBytes& file);
/// Types and data of all chunks.
std::vector<std::pair<std::string, std::string>> png_chunks(const FileBytes& file);

struct TiffSpec {
  int bits = 8;
  unsigned photometric = 1;
  unsigned compression = 1;
  unsigned predictor = 1;
  bool separate = false;
  unsigned tile = 0;            ///< side of the tiles; 0: strips
  unsigned rows_per_strip = 0;  ///< 0: all in one
  bool big_endian = false;
  bool big_tiff = false;
  unsigned sample_format = 0;  ///< 0: no tag
  std::vector<std::uint16_t> extra_samples{};
  std::vector<std::uint16_t> color_map{};
  std::uint32_t subfile = 0;
  unsigned orientation = 0;
  bool geo = false;  ///< GeoTIFF and GDAL tags, a private tag, and EXIF
  std::string icc{};
  std::string description{};
};
struct TiffPage {
  Raster raster;
  TiffSpec spec;
};
FileBytes tiff_file(const std::vector<TiffPage>& pages);
/// The stored samples of page `index`, as libtiff decodes them (palette indexes and MinIsWhite as they are).
Raster read_tiff(const FileBytes& file, unsigned index = 0);
/// An unsigned integer tag of page `index`.
std::optional<std::uint64_t> tiff_number(const FileBytes& file, unsigned tag, unsigned index = 0);
/// The bytes of any tag of the first page, in host order; empty when it is not there.
std::string tiff_tag(const FileBytes& file, unsigned tag, unsigned index = 0);
unsigned tiff_pages(const FileBytes& file);

struct JpegSpec {
  int quality = 85;
  int h = 2, v = 2;  ///< sampling factors of the first component
  bool progressive = false;
  int restart_rows = 0;
  bool rgb = false;  ///< stored as RGB with an Adobe marker
  bool cmyk = false;
  bool arithmetic = false;
  std::vector<std::pair<int, std::string>> markers{};  ///< marker code, data
  int density = 0;
};
FileBytes jpeg_file(const Raster& raster, const JpegSpec& spec);
Raster read_jpeg(const FileBytes& file, bool gray = false);
/// Quantized coefficients of component `index`, block by block, padding left out.
std::vector<std::int16_t> jpeg_coefficients(const FileBytes& file, int index);
/// Its quantization table.
std::vector<std::uint16_t> jpeg_quantization(const FileBytes& file, int index);
std::vector<std::pair<int, std::string>> jpeg_markers(const FileBytes& file);
struct JpegShape {
  int components = 0;
  int h = 0, v = 0;  ///< sampling factors of the first component
  bool progressive = false;
  int restart_interval = 0;
  int density = 0;
  friend bool operator==(const JpegShape&, const JpegShape&) = default;
};
JpegShape jpeg_shape(const FileBytes& file);

/// A minimal ICC profile header for "RGB " or "GRAY", with some bytes behind it.
std::string fake_icc(std::string_view color_space, std::size_t bytes = 600);
/// A big-endian EXIF block that says the orientation and a maker.
std::string fake_exif(unsigned orientation);

}  // namespace histod::test
