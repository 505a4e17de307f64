// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <tiffio.h>

#include "tests/support/image_files.hpp"

namespace histod::test {
namespace {

struct MemoryFile {
  FileBytes bytes;
  std::uint64_t at = 0;
};

MemoryFile& memory(thandle_t handle) { return *static_cast<MemoryFile*>(handle); }

tmsize_t read_memory(thandle_t handle, void* to, tmsize_t count) {
  MemoryFile& file = memory(handle);
  const std::uint64_t left = file.at < file.bytes.size() ? file.bytes.size() - file.at : 0;
  const std::size_t bytes = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(count));
  if (bytes > 0) std::memcpy(to, file.bytes.data() + file.at, bytes);
  file.at += bytes;
  return static_cast<tmsize_t>(bytes);
}

tmsize_t write_memory(thandle_t handle, void* from, tmsize_t count) {
  MemoryFile& file = memory(handle);
  const auto bytes = static_cast<std::size_t>(count);
  if (file.bytes.size() < file.at + bytes) file.bytes.resize(file.at + bytes);
  std::memcpy(file.bytes.data() + file.at, from, bytes);
  file.at += bytes;
  return count;
}

toff_t seek_memory(thandle_t handle, toff_t offset, int whence) {
  MemoryFile& file = memory(handle);
  file.at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? file.at + offset : file.bytes.size() + offset;
  return file.at;
}

int close_memory(thandle_t) { return 0; }
toff_t memory_size(thandle_t handle) { return memory(handle).bytes.size(); }

constexpr ttag_t k_private_tag = 65000;

void extend_tags(TIFF* tiff) {
  static const TIFFFieldInfo k_fields[] = {
      {33550, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, const_cast<char*>("ModelPixelScale")},
      {33922, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, const_cast<char*>("ModelTiepoint")},
      {34735, -1, -1, TIFF_SHORT, FIELD_CUSTOM, 1, 1, const_cast<char*>("GeoKeyDirectory")},
      {34736, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, const_cast<char*>("GeoDoubleParams")},
      {34737, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, const_cast<char*>("GeoAsciiParams")},
      {42112, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, const_cast<char*>("GDALMetadata")},
      {42113, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, const_cast<char*>("GDALNoData")},
      {k_private_tag, -1, -1, TIFF_SLONG, FIELD_CUSTOM, 1, 1, const_cast<char*>("Private")},
  };
  TIFFMergeFieldInfo(tiff, k_fields, sizeof k_fields / sizeof k_fields[0]);
}

TIFF* open_memory(MemoryFile& file, const char* mode) {
  TIFFSetWarningHandler(nullptr);
  TIFFSetErrorHandler(nullptr);
  TIFF* tiff = TIFFClientOpen("memory", mode, &file, read_memory, write_memory, seek_memory, close_memory, memory_size,
                              nullptr, nullptr);
  if (tiff == nullptr) throw std::runtime_error("libtiff cannot open it");
  extend_tags(tiff);
  return tiff;
}

void set_geo_tags(TIFF* tiff) {
  const double scale[3] = {0.5, 0.5, 0};
  const double tiepoint[6] = {0, 0, 0, 440720, 3751320, 0};
  const std::uint16_t keys[16] = {1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32611};
  const double params[2] = {6378137.0, 298.257};
  const std::int32_t secret[3] = {-7, 123456789, 42};
  TIFFSetField(tiff, 33550, 3, scale);
  TIFFSetField(tiff, 33922, 6, tiepoint);
  TIFFSetField(tiff, 34735, 16, keys);
  TIFFSetField(tiff, 34736, 2, params);
  TIFFSetField(tiff, 34737, "WGS 84 / UTM zone 11N|");
  TIFFSetField(
      tiff, 42112,
      "<GDALMetadata>\n  <Item name=\"STATISTICS_MEAN\" sample=\"0\">17.5</Item>\n"
      "  <Item name=\"BAND\">red</Item>\n  <Item name=\"STATISTICS_MAXIMUM\" sample=\"0\">99</Item>\n</GDALMetadata>");
  TIFFSetField(tiff, 42113, "7");
  TIFFSetField(tiff, k_private_tag, 3, secret);
}

void set_tags(TIFF* tiff, const Raster& raster, const TiffSpec& spec) {
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, raster.width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, raster.height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, spec.bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, raster.channels);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, spec.photometric);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, spec.compression);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, spec.separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
  if (spec.predictor != 1) TIFFSetField(tiff, TIFFTAG_PREDICTOR, spec.predictor);
  if (spec.tile > 0) {
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, spec.tile);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, spec.tile);
  } else {
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, spec.rows_per_strip == 0 ? raster.height : spec.rows_per_strip);
  }
  if (!spec.extra_samples.empty())
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, static_cast<std::uint16_t>(spec.extra_samples.size()),
                 spec.extra_samples.data());
  if (!spec.color_map.empty()) {
    const std::size_t entries = spec.color_map.size() / 3;
    const std::uint16_t* map = spec.color_map.data();
    TIFFSetField(tiff, TIFFTAG_COLORMAP, map, map + entries, map + 2 * entries);
  }
  if (spec.sample_format != 0) TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, spec.sample_format);
  if (spec.subfile != 0) TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, spec.subfile);
  if (spec.orientation != 0) TIFFSetField(tiff, TIFFTAG_ORIENTATION, spec.orientation);
  if (!spec.icc.empty())
    TIFFSetField(tiff, TIFFTAG_ICCPROFILE, static_cast<std::uint32_t>(spec.icc.size()), spec.icc.data());
  if (!spec.description.empty()) TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, spec.description.c_str());
  if (spec.geo) set_geo_tags(tiff);
}

/// Sample `value` number `index` of a row of `bits`.
void put_sample(std::vector<std::uint8_t>& row, std::size_t index, int bits, unsigned value) {
  if (bits == 16) {
    const auto wide = static_cast<std::uint16_t>(value);
    std::memcpy(row.data() + 2 * index, &wide, 2);
  } else {
    const std::size_t bit = index * static_cast<unsigned>(bits);
    row[bit / 8] |= static_cast<std::uint8_t>(value << (8 - static_cast<unsigned>(bits) - bit % 8));
  }
}

unsigned get_sample(const std::vector<std::uint8_t>& row, std::size_t index, unsigned bits) {
  if (bits == 16) {
    std::uint16_t wide;
    std::memcpy(&wide, row.data() + 2 * index, 2);
    return wide;
  }
  const std::size_t bit = index * bits;
  return row[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1);
}

void write_pixels(TIFF* tiff, const Raster& raster, const TiffSpec& spec) {
  const unsigned planes = spec.separate ? raster.channels : 1;
  const unsigned in_plane = raster.channels / planes;
  const std::uint32_t width = spec.tile > 0 ? spec.tile : raster.width;
  const std::uint32_t height = spec.tile > 0              ? spec.tile
                               : spec.rows_per_strip == 0 ? raster.height
                                                          : spec.rows_per_strip;
  const std::size_t row_bytes = (std::size_t{width} * in_plane * static_cast<unsigned>(spec.bits) + 7) / 8;
  for (unsigned plane = 0; plane < planes; ++plane)
    for (std::uint32_t y0 = 0; y0 < raster.height; y0 += height)
      for (std::uint32_t x0 = 0; x0 < raster.width; x0 += width) {
        const std::uint32_t rows = spec.tile > 0 ? height : std::min(height, raster.height - y0);
        std::vector<std::uint8_t> chunk;
        for (std::uint32_t y = y0; y < y0 + rows; ++y) {
          std::vector<std::uint8_t> row(row_bytes);
          for (std::uint32_t x = x0; x < std::min(x0 + width, raster.width) && y < raster.height; ++x)
            for (unsigned c = 0; c < in_plane; ++c)
              put_sample(row, (x - x0) * in_plane + c, spec.bits,
                         raster.samples[(std::size_t{y} * raster.width + x) * raster.channels + plane + c]);
          chunk.insert(chunk.end(), row.begin(), row.end());
        }
        const auto bytes = static_cast<tmsize_t>(chunk.size());
        if (spec.tile > 0)
          TIFFWriteEncodedTile(tiff, TIFFComputeTile(tiff, x0, y0, 0, static_cast<std::uint16_t>(plane)), chunk.data(),
                               bytes);
        else
          TIFFWriteEncodedStrip(tiff, TIFFComputeStrip(tiff, y0, static_cast<std::uint16_t>(plane)), chunk.data(),
                                bytes);
      }
}

/// Written before the first page: changing a compressed page afterwards leaks the state of its codec in libtiff 4.5.
std::uint64_t write_exif(TIFF* tiff) {
  TIFFFreeDirectory(tiff);
  TIFFCreateEXIFDirectory(tiff);
  TIFFSetField(tiff, EXIFTAG_DATETIMEORIGINAL, "2026:01:02 03:04:05");
  std::uint64_t offset = 0;
  TIFFWriteCustomDirectory(tiff, &offset);
  TIFFFreeDirectory(tiff);
  TIFFCreateDirectory(tiff);
  extend_tags(tiff);
  return offset;
}

}  // namespace

FileBytes tiff_file(const std::vector<TiffPage>& pages) {
  MemoryFile file;
  const TiffSpec& first = pages.at(0).spec;
  const std::string mode = std::string("w") + (first.big_endian ? "b" : "l") + (first.big_tiff ? "8" : "");
  TIFF* tiff = open_memory(file, mode.c_str());
  std::uint64_t exif = first.geo ? write_exif(tiff) : 0;
  for (const TiffPage& page : pages) {
    set_tags(tiff, page.raster, page.spec);
    if (exif != 0) TIFFSetField(tiff, TIFFTAG_EXIFIFD, exif);
    exif = 0;
    write_pixels(tiff, page.raster, page.spec);
    TIFFWriteDirectory(tiff);
    extend_tags(tiff);
  }
  TIFFClose(tiff);
  return file.bytes;
}

Raster read_tiff(const FileBytes& bytes, unsigned index) {
  MemoryFile file{bytes};
  TIFF* tiff = open_memory(file, "rM");
  if (TIFFSetDirectory(tiff, static_cast<tdir_t>(index)) == 0) throw std::runtime_error("no such page");
  Raster raster;
  std::uint16_t channels = 1, bits = 1, planar = 1;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &raster.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &raster.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &channels);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
  raster.channels = channels;
  raster.depth_bits = bits;
  raster.samples.resize(std::size_t{raster.width} * raster.height * channels);
  const unsigned planes = planar == PLANARCONFIG_SEPARATE ? channels : 1;
  const unsigned in_plane = channels / planes;
  const bool tiled = TIFFIsTiled(tiff) != 0;
  std::uint32_t tile_width = raster.width, tile_height = 1;
  if (tiled) {
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
  }
  const std::size_t row_bytes = (std::size_t{tile_width} * in_plane * bits + 7) / 8;
  std::vector<std::uint8_t> chunk(static_cast<std::size_t>(tiled ? TIFFTileSize(tiff) : TIFFScanlineSize(tiff)));
  for (unsigned plane = 0; plane < planes; ++plane)
    for (std::uint32_t y0 = 0; y0 < raster.height; y0 += tile_height)
      for (std::uint32_t x0 = 0; x0 < raster.width; x0 += tile_width) {
        const auto sample = static_cast<std::uint16_t>(plane);
        const bool read = tiled ? TIFFReadTile(tiff, chunk.data(), x0, y0, 0, sample) > 0
                                : TIFFReadScanline(tiff, chunk.data(), y0, sample) > 0;
        if (!read) throw std::runtime_error("libtiff cannot decode it");
        for (std::uint32_t y = y0; y < std::min(y0 + tile_height, raster.height); ++y) {
          const std::vector<std::uint8_t> row(chunk.begin() + static_cast<std::ptrdiff_t>((y - y0) * row_bytes),
                                              chunk.begin() + static_cast<std::ptrdiff_t>((y - y0 + 1) * row_bytes));
          for (std::uint32_t x = x0; x < std::min(x0 + tile_width, raster.width); ++x)
            for (unsigned c = 0; c < in_plane; ++c)
              raster.samples[(std::size_t{y} * raster.width + x) * channels + plane + c] =
                  static_cast<std::uint16_t>(get_sample(row, (x - x0) * in_plane + c, bits));
        }
      }
  TIFFClose(tiff);
  return raster;
}

unsigned tiff_pages(const FileBytes& bytes) {
  MemoryFile file{bytes};
  TIFF* tiff = open_memory(file, "rM");
  const unsigned pages = TIFFNumberOfDirectories(tiff);
  TIFFClose(tiff);
  return pages;
}

std::optional<std::uint64_t> tiff_number(const FileBytes& bytes, unsigned tag, unsigned index) {
  MemoryFile file{bytes};
  TIFF* tiff = open_memory(file, "rM");
  TIFFSetDirectory(tiff, static_cast<tdir_t>(index));
  const TIFFField* field = TIFFFieldWithTag(tiff, tag);
  std::optional<std::uint64_t> found;
  if (field != nullptr && TIFFFieldDataType(field) == TIFF_SHORT) {
    std::uint16_t value = 0;
    if (TIFFGetField(tiff, tag, &value) == 1) found = value;
  } else if (field != nullptr) {
    std::uint64_t value = 0;
    if (TIFFGetField(tiff, tag, &value) == 1)
      found = TIFFFieldDataType(field) == TIFF_IFD8 ? value : value & 0xffffffff;
  }
  TIFFClose(tiff);
  return found;
}

std::string tiff_tag(const FileBytes& bytes, unsigned tag, unsigned index) {
  MemoryFile file{bytes};
  TIFF* tiff = open_memory(file, "rM");
  TIFFSetDirectory(tiff, static_cast<tdir_t>(index));
  const TIFFField* field = TIFFFieldWithTag(tiff, tag);
  std::string found;
  void* data = nullptr;
  if (field != nullptr && TIFFFieldPassCount(field) != 0) {
    const auto each = static_cast<std::size_t>(TIFFDataWidth(TIFFFieldDataType(field)));
    std::uint16_t small_count = 0;
    std::uint32_t count = 0;
    const bool wide = TIFFFieldReadCount(field) == TIFF_VARIABLE2;
    const int got = wide ? TIFFGetField(tiff, tag, &count, &data) : TIFFGetField(tiff, tag, &small_count, &data);
    if (got == 1) found.assign(static_cast<const char*>(data), (wide ? count : small_count) * each);
  } else if (field != nullptr && TIFFGetField(tiff, tag, &data) == 1) {
    found = static_cast<const char*>(data);
  }
  TIFFClose(tiff);
  return found;
}

}  // namespace histod::test
