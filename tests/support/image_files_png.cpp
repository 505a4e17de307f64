// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <stdexcept>

#include <png.h>

#include "tests/support/image_files.hpp"

namespace histod::test {
namespace {

void stop(png_structp, png_const_charp message) { throw std::runtime_error(message); }
void ignore(png_structp, png_const_charp) {}

void append(png_structp png, png_bytep bytes, std::size_t count) {
  auto* file = static_cast<FileBytes*>(png_get_io_ptr(png));
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  file->insert(file->end(), begin, begin + count);
}

void take(png_structp png, png_bytep to, std::size_t count) {
  auto* rest = static_cast<std::pair<const std::byte*, std::size_t>*>(png_get_io_ptr(png));
  if (count > rest->second) png_error(png, "short");
  std::memcpy(to, rest->first, count);
  rest->first += count;
  rest->second -= count;
}

/// Rows packed as PNG wants them: big-endian 16 bit, or several samples in a byte, most significant first.
std::vector<std::vector<png_byte>> packed_rows(const Raster& raster, int bits) {
  const std::size_t samples = std::size_t{raster.width} * raster.channels;
  std::vector<std::vector<png_byte>> rows(raster.height,
                                          std::vector<png_byte>((samples * static_cast<unsigned>(bits) + 7) / 8));
  for (std::uint32_t y = 0; y < raster.height; ++y)
    for (std::size_t i = 0; i < samples; ++i) {
      const unsigned value = raster.samples[y * samples + i];
      if (bits == 16) {
        rows[y][2 * i] = static_cast<png_byte>(value >> 8);
        rows[y][2 * i + 1] = static_cast<png_byte>(value);
      } else {
        const std::size_t bit = i * static_cast<unsigned>(bits);
        rows[y][bit / 8] |= static_cast<png_byte>(value << (8 - static_cast<unsigned>(bits) - bit % 8));
      }
    }
  return rows;
}

void set_palette(png_structp png, png_infop info, const PngSpec& spec) {
  std::vector<png_color> palette(std::size_t{1} << spec.bits);
  for (std::size_t i = 0; i < palette.size(); ++i)
    palette[i] = {static_cast<png_byte>(i * 37), static_cast<png_byte>(255 - i), static_cast<png_byte>(i * i)};
  png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  const png_byte alpha[3] = {0, 128, 200};
  const int entries = std::min(3, 1 << spec.bits);
  if (spec.transparency) png_set_tRNS(png, info, alpha, entries, nullptr);
}

void set_key(png_structp png, png_infop info, const Raster& raster) {
  png_color_16 key{};
  key.gray = raster.samples[0];
  if (raster.channels >= 3) {
    key.red = raster.samples[0];
    key.green = raster.samples[1];
    key.blue = raster.samples[2];
  }
  png_set_tRNS(png, info, nullptr, 0, &key);
}

void write_chunks(png_structp png, const std::vector<std::pair<std::string, std::string>>& chunks) {
  for (const auto& [type, data] : chunks)
    png_write_chunk(png, reinterpret_cast<png_const_bytep>(type.data()), reinterpret_cast<png_const_bytep>(data.data()),
                    data.size());
}

}  // namespace

FileBytes png_file(const Raster& raster, const PngSpec& spec) {
  FileBytes file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, stop, ignore);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, append, nullptr);
  png_set_IHDR(png, info, raster.width, raster.height, spec.bits, spec.color_type,
               spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (spec.color_type == PNG_COLOR_TYPE_PALETTE) set_palette(png, info, spec);
  if (spec.transparency && spec.color_type != PNG_COLOR_TYPE_PALETTE) set_key(png, info, raster);
  png_write_info(png, info);
  write_chunks(png, spec.chunks_before);
  auto rows = packed_rows(raster, spec.bits);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  write_chunks(png, spec.chunks_after);
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

Raster read_png(const FileBytes& file) {
  std::pair<const std::byte*, std::size_t> rest{file.data(), file.size()};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, stop, ignore);
  png_infop info = png_create_info_struct(png);
  png_set_read_fn(png, &rest, take);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  Raster raster{png_get_image_width(png, info),
                png_get_image_height(png, info),
                png_get_channels(png, info),
                png_get_bit_depth(png, info),
                {}};
  std::vector<std::vector<png_byte>> rows(raster.height, std::vector<png_byte>(png_get_rowbytes(png, info)));
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_read_image(png, pointers.data());
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); i += raster.depth_bits / 8)
      raster.samples.push_back(raster.depth_bits == 16 ? static_cast<std::uint16_t>(row[i] << 8 | row[i + 1]) : row[i]);
  return raster;
}

std::vector<std::pair<std::string, std::string>> png_chunks(const FileBytes& file) {
  std::vector<std::pair<std::string, std::string>> chunks;
  const auto* text = reinterpret_cast<const char*>(file.data());
  for (std::size_t at = 8; at + 12 <= file.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(text[at + i]);
    chunks.emplace_back(std::string(text + at + 4, 4), std::string(text + at + 8, length));
    at += 12 + length;
  }
  return chunks;
}

}  // namespace histod::test
