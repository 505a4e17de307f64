// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "compute/codec/jpeg_encode.hpp"
#include "compute/codec/jpeg_size.hpp"

/// Luma equalization of a YCbCr JPEG without touching its colours: the new Y plane is coded as a gray JPEG with the
/// quantization table that the input uses for Y, and the coefficients of the two files are joined.
namespace histod::compute::codec::jpeg {
namespace {

void write_gray(jpeg_compress_struct& gray, const JQUANT_TBL& table, const ImageView& page) {
  gray.image_width = page.width;
  gray.image_height = page.height;
  gray.input_components = 1;
  gray.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&gray);
  std::copy(std::begin(table.quantval), std::end(table.quantval), std::begin(gray.quant_tbl_ptrs[0]->quantval));
  gray.dct_method = JDCT_ISLOW;
  jpeg_start_compress(&gray, TRUE);
  while (gray.next_scanline < gray.image_height) {
    JSAMPROW row = reinterpret_cast<JSAMPROW>(page.row(gray.next_scanline));
    jpeg_write_scanlines(&gray, &row, 1);
  }
  jpeg_finish_compress(&gray);
}

/// No scan has held the first component.
[[noreturn]] void stop_at_missing_luma(LibraryState& state) {
  state.code = Errc::corrupt;
  std::string_view("the file has no luma").copy(state.message.data(), state.message.size() - 1);
  std::longjmp(state.jump, 1);
}

/// Padding blocks at the edges of partial MCUs need no copy: the transcoder makes its own.
void copy_blocks(jpeg_decompress_struct& from, jvirt_barray_ptr from_array, jpeg_decompress_struct& to,
                 jvirt_barray_ptr to_array) {
  const jpeg_component_info& component = to.comp_info[0];
  for (JDIMENSION y = 0; y < component.height_in_blocks; ++y) {
    JBLOCKARRAY source = from.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&from), from_array, y, 1, FALSE);
    JBLOCKARRAY target = to.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&to), to_array, y, 1, TRUE);
    std::memcpy(target[0], source[0], component.width_in_blocks * sizeof(JBLOCK));
  }
}

void write_joined(jpeg_compress_struct& joined, jpeg_decompress_struct& source, jvirt_barray_ptr* coefficients,
                  unsigned restart_interval, std::span<const OwnedSegment> segments) {
  jpeg_copy_critical_parameters(&source, &joined);
  joined.optimize_coding = TRUE;
  joined.restart_interval = restart_interval;
  one_scan_each(joined);
  if (source.progressive_mode && joined.scan_info == nullptr) jpeg_simple_progression(&joined);
  joined.write_JFIF_header = FALSE;
  joined.write_Adobe_marker = FALSE;
  jpeg_write_coefficients(&joined, coefficients);
  write_segments(joined, segments);
  jpeg_finish_compress(&joined);
}

}  // namespace

Result<std::size_t> encode_luma(const Image& image, std::span<std::byte> out, Arena& arena) {
  if (const auto* kept = dynamic_cast<const KeptScan*>(image.kept.get()))
    return encode_luma_bands(image, *kept, out, arena);
  const ImageView& page = image.pages[0];
  const std::vector<OwnedSegment> segments = output_segments(image, page.format);
  const std::size_t gray_bytes_max = pixel_data_bytes_max(luma_samples(page.width, page.height));
  const auto gray_memory = std::make_unique_for_overwrite<std::byte[]>(gray_bytes_max);
  LibraryState state;
  Decompressor source;
  Decompressor gray_reader;
  Compressor gray_writer;
  Compressor joined;
  Destination gray_destination;
  Destination destination;
  const bool done = guarded(state.jump, [&] {
    open(source.object, state, image.file);
    const unsigned restart_interval = source.object.restart_interval;  // a later scan may change it
    jvirt_barray_ptr* coefficients = jpeg_read_coefficients(&source.object);
    const JQUANT_TBL* table = source.object.comp_info[0].quant_table;
    if (table == nullptr) stop_at_missing_luma(state);
    open(gray_writer.object, state, gray_destination, {gray_memory.get(), gray_bytes_max});
    write_gray(gray_writer.object, *table, page);
    open(gray_reader.object, state, {gray_memory.get(), gray_destination.size()});
    jvirt_barray_ptr* gray = jpeg_read_coefficients(&gray_reader.object);
    copy_blocks(gray_reader.object, gray[0], source.object, coefficients[0]);
    open(joined.object, state, destination, out);
    write_joined(joined.object, source.object, coefficients, restart_interval, segments);
  });
  if (!done && state.code == Errc::output_full) return output_full(out.size());
  if (!done) return state.failure();
  return destination.size();
}

}  // namespace histod::compute::codec::jpeg
