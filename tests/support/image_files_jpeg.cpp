// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
// jpeglib.h needs FILE.
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <jpeglib.h>

#include "tests/support/image_files.hpp"

namespace histod::test {
namespace {

[[noreturn]] void stop(j_common_ptr library) {
  char message[JMSG_LENGTH_MAX];
  library->err->format_message(library, message);
  throw std::runtime_error(message);
}
void ignore(j_common_ptr) {}

jpeg_error_mgr* quiet(jpeg_error_mgr& manager) {
  jpeg_std_error(&manager);
  manager.error_exit = stop;
  manager.output_message = ignore;
  return &manager;
}

struct Reader {
  jpeg_error_mgr manager{};
  jpeg_decompress_struct jpeg{};

  explicit Reader(const FileBytes& file) {
    jpeg.err = quiet(manager);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    for (int marker = 0; marker < 16; ++marker) jpeg_save_markers(&jpeg, JPEG_APP0 + marker, 0xffff);
    jpeg_save_markers(&jpeg, JPEG_COM, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
  }
  ~Reader() { jpeg_destroy_decompress(&jpeg); }
};

void write_rows(jpeg_compress_struct& jpeg, const Raster& raster) {
  std::vector<JSAMPLE> row(std::size_t{raster.width} * raster.channels);
  for (std::uint32_t y = 0; y < raster.height; ++y) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<JSAMPLE>(raster.samples[y * row.size() + i]);
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&jpeg, &pointer, 1);
  }
}

void set_parameters(jpeg_compress_struct& jpeg, const Raster& raster, const JpegSpec& spec) {
  jpeg.image_width = raster.width;
  jpeg.image_height = raster.height;
  jpeg.input_components = static_cast<int>(raster.channels);
  jpeg.in_color_space = spec.cmyk ? JCS_CMYK : raster.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, spec.quality, TRUE);
  if (spec.rgb) jpeg_set_colorspace(&jpeg, JCS_RGB);
  if (raster.channels == 3 && !spec.rgb) {
    jpeg.comp_info[0].h_samp_factor = spec.h;
    jpeg.comp_info[0].v_samp_factor = spec.v;
  }
  if (spec.density > 0) {
    jpeg.density_unit = 1;
    jpeg.X_density = jpeg.Y_density = static_cast<UINT16>(spec.density);
  }
  if (spec.progressive) jpeg_simple_progression(&jpeg);
  jpeg.restart_in_rows = spec.restart_rows;
  jpeg.arith_code = spec.arithmetic ? TRUE : FALSE;
}

}  // namespace

FileBytes jpeg_file(const Raster& raster, const JpegSpec& spec) {
  jpeg_error_mgr manager;
  jpeg_compress_struct jpeg{};
  jpeg.err = quiet(manager);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&jpeg, &memory, &bytes);
  set_parameters(jpeg, raster, spec);
  jpeg_start_compress(&jpeg, TRUE);
  for (const auto& [marker, data] : spec.markers)
    jpeg_write_marker(&jpeg, marker, reinterpret_cast<const JOCTET*>(data.data()), static_cast<unsigned>(data.size()));
  write_rows(jpeg, raster);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const std::unique_ptr<unsigned char, decltype(&std::free)> owned(memory, std::free);
  const auto* begin = reinterpret_cast<const std::byte*>(memory);
  return {begin, begin + bytes};
}

Raster read_jpeg(const FileBytes& file, bool gray) {
  Reader reader(file);
  jpeg_decompress_struct& jpeg = reader.jpeg;
  jpeg.out_color_space = gray || jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  Raster raster{jpeg.output_width, jpeg.output_height, static_cast<unsigned>(jpeg.output_components), 8, {}};
  std::vector<JSAMPLE> row(std::size_t{raster.width} * raster.channels);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW pointer = row.data();
    jpeg_read_scanlines(&jpeg, &pointer, 1);
    raster.samples.insert(raster.samples.end(), row.begin(), row.end());
  }
  return raster;
}

std::vector<std::int16_t> jpeg_coefficients(const FileBytes& file, int index) {
  Reader reader(file);
  jvirt_barray_ptr* arrays = jpeg_read_coefficients(&reader.jpeg);
  const jpeg_component_info& component = reader.jpeg.comp_info[index];
  std::vector<std::int16_t> all;
  for (JDIMENSION y = 0; y < component.height_in_blocks; ++y) {
    JBLOCKARRAY row =
        reader.jpeg.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&reader.jpeg), arrays[index], y, 1, FALSE);
    for (JDIMENSION x = 0; x < component.width_in_blocks; ++x) all.insert(all.end(), row[0][x], row[0][x] + DCTSIZE2);
  }
  return all;
}

std::vector<std::uint16_t> jpeg_quantization(const FileBytes& file, int index) {
  Reader reader(file);
  const JQUANT_TBL* table = reader.jpeg.quant_tbl_ptrs[reader.jpeg.comp_info[index].quant_tbl_no];
  return {table->quantval, table->quantval + DCTSIZE2};
}

std::vector<std::pair<int, std::string>> jpeg_markers(const FileBytes& file) {
  Reader reader(file);
  std::vector<std::pair<int, std::string>> markers;
  for (jpeg_saved_marker_ptr marker = reader.jpeg.marker_list; marker != nullptr; marker = marker->next)
    markers.emplace_back(marker->marker, std::string(reinterpret_cast<const char*>(marker->data), marker->data_length));
  return markers;
}

JpegShape jpeg_shape(const FileBytes& file) {
  Reader reader(file);
  const jpeg_decompress_struct& jpeg = reader.jpeg;
  return {jpeg.num_components,
          jpeg.comp_info[0].h_samp_factor,
          jpeg.comp_info[0].v_samp_factor,
          jpeg.progressive_mode != FALSE,
          static_cast<int>(jpeg.restart_interval),
          jpeg.X_density};
}

}  // namespace histod::test
