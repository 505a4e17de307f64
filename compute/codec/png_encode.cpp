// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>

#include <zlib.h>

#include "compute/codec/png_chunks.hpp"
#include "compute/codec/png_library.hpp"
#include "compute/codec/png_metadata.hpp"

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_idat_bytes = 64u << 10;
constexpr int k_deflate_level = 1;

void write_output(png_structp png, png_bytep bytes, std::size_t count) {
  auto* state = static_cast<LibraryState*>(png_get_io_ptr(png));
  if (!state->output->put(Bytes(reinterpret_cast<const std::byte*>(bytes), count))) png_error(png, "output full");
}

void flush_output(png_structp) {}

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

int color_type(const PixelFormat& format) {
  return (format.colors == 3 ? PNG_COLOR_MASK_COLOR : 0) | (format.alpha ? PNG_COLOR_MASK_ALPHA : 0);
}

void write_chunks(png_structp png, std::span<const OwnedChunk> chunks, bool after_pixels) {
  for (const OwnedChunk& chunk : chunks) {
    if (chunk.after_pixels != after_pixels) continue;
    const Bytes data = chunk.data();
    png_write_chunk(png, reinterpret_cast<png_const_bytep>(chunk.type.data()),
                    reinterpret_cast<png_const_bytep>(data.data()), data.size());
  }
}

void write_image(const Writer& writer, const ImageView& page, std::span<const OwnedChunk> chunks, FullDepthRows& rows) {
  png_set_write_fn(writer.png, png_get_error_ptr(writer.png), write_output, flush_output);
  png_set_user_limits(writer.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_buffer_size(writer.png, k_idat_bytes);
  png_set_compression_level(writer.png, k_deflate_level);
  png_set_filter(writer.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB | PNG_FILTER_UP);
  png_set_IHDR(writer.png, writer.info, page.width, page.height, page.format.depth_bits, color_type(page.format),
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  png_write_info(writer.png, writer.info);
  write_chunks(writer.png, chunks, false);
  if (page.format.depth_bits == 16 && std::endian::native == std::endian::little) png_set_swap(writer.png);
  for (std::uint32_t y = 0; y < page.height; ++y)
    png_write_row(writer.png, reinterpret_cast<png_const_bytep>(rows.row(y)));
  write_chunks(writer.png, chunks, true);
  png_write_end(writer.png, nullptr);
}

std::size_t deflate_bytes_max(std::size_t raw) {
  // zlib's own bound for streams of any window and memory level: libpng shrinks the window for small images.
  return raw + ((raw + 7) >> 3) + ((raw + 63) >> 6) + 64;
}

}  // namespace

std::size_t encoded_bytes_max(const Image& image) {
  const ImageView& page = image.pages[main_page(image.info)];
  const std::size_t deflated = deflate_bytes_max(page.height * (page.row_bytes() + 1));
  std::size_t bytes = 8 + 25 + 12 + deflated + 12 * (deflated / k_idat_bytes + 2);
  for (const OwnedChunk& chunk : output_chunks(image, page.format)) bytes += 12 + chunk.data().size();
  return bytes;
}

Result<std::size_t> encode(const Image& image, std::span<std::byte> out) {
  const ImageView& page = image.pages[main_page(image.info)];
  const std::vector<OwnedChunk> chunks = output_chunks(image, page.format);
  FullDepthRows rows(page, image.info.pages[main_page(image.info)].levels);
  Output output(out);
  LibraryState state;
  state.output = &output;
  Writer writer;
  const bool done = guarded(state.jump, [&] {
    writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    if (writer.png == nullptr) std::longjmp(state.jump, 1);
    writer.info = png_create_info_struct(writer.png);
    write_image(writer, page, chunks, rows);
  });
  if (output.full()) return output_full(out.size());
  if (!done) return fail(Errc::bad_option, std::string("libpng: ") + state.message.data());
  return output.size();
}

}  // namespace histod::compute::codec::png
