// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include <png.h>

#include "compute/codec/guarded.hpp"
#include "compute/codec/png_chunks.hpp"
#include "compute/codec/png_pixels.hpp"

namespace histod::compute::codec::png {
namespace {

/// What libpng's callbacks see. Its text is fixed in size: an error callback must not allocate and jump.
struct LibraryState {
  std::jmp_buf jump;
  std::array<char, 96> message{};
  Bytes input;  ///< what is not read yet
  bool input_ended = false;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* state = static_cast<LibraryState*>(png_get_error_ptr(png));
  const std::string_view text(message);
  std::copy_n(text.begin(), std::min(text.size(), state->message.size() - 1), state->message.begin());
  std::longjmp(state->jump, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_input(png_structp png, png_bytep to, std::size_t bytes) {
  auto* state = static_cast<LibraryState*>(png_get_io_ptr(png));
  if (bytes > state->input.size()) {
    state->input_ended = true;
    png_error(png, "the file ended");
  }
  std::memcpy(to, state->input.data(), bytes);
  state->input = state->input.subspan(bytes);
}

/// libpng's reader; the destructor runs in a frame that no jump passes.
struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void read_rows(const Reader& reader, const ImageView& page, png_bytepp rows, const Limits& limits) {
  png_set_read_fn(reader.png, png_get_error_ptr(reader.png), read_input);
  png_set_user_limits(reader.png, limits.dimension, limits.dimension);
  // Only IHDR, PLTE, tRNS, IDAT and IEND concern pixels; all the rest goes past libpng.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_benign_errors(reader.png, 0);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);
  if (page.format.depth_bits == 16 && std::endian::native == std::endian::little) png_set_swap(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  if (png_get_rowbytes(reader.png, reader.info) != page.row_bytes())
    png_error(reader.png, "the header contradicts itself");
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
}

std::unexpected<Error> library_failure(const LibraryState& state) {
  const Errc code = state.input_ended ? Errc::truncated : Errc::corrupt;
  return fail(code, std::string("libpng: ") + state.message.data());
}

Result<void> decode_with_library(Bytes file, const ImageView& page, const Limits& limits) {
  LibraryState state;
  state.input = file;
  std::vector<png_bytep> rows(page.height);
  for (std::uint32_t y = 0; y < page.height; ++y) rows[y] = reinterpret_cast<png_bytep>(page.row(y));
  Reader reader;
  const bool done = guarded(state.jump, [&] {
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    if (reader.png == nullptr) std::longjmp(state.jump, 1);
    reader.info = png_create_info_struct(reader.png);
    read_rows(reader, page, rows.data(), limits);
  });
  if (!done) return library_failure(state);
  return {};
}

Result<FileInfo> info_of(const Header& header, std::uint64_t file_bytes, const Limits& limits) {
  LimitCheck check(limits, file_bytes);
  FileInfo info{.format = FileFormat::png};
  info.pages.push_back({.width = header.width, .height = header.height, .format = header.pixel_format()});
  const std::uint64_t stored_bytes = (header.width * header.stored_bits + 7) / 8 * header.height;
  if (auto done = check.add_page(info.pages[0], stored_bytes); !done) return std::unexpected(done.error());
  std::uint64_t ancillary_bytes = 0;
  for (const Chunk& chunk : header.ancillary) ancillary_bytes += chunk.data.size();
  if (auto done = check.add_ancillary(ancillary_bytes); !done) return std::unexpected(done.error());
  lay_out(info);
  // libpng's way: zlib's state, a few rows, the row pointers, chunks. PixelReader takes less.
  const std::size_t row_bytes = info.pages[0].width * std::size_t{8} + 64;
  info.scratch_bytes = (768u << 10) + 8 * row_bytes + header.height * sizeof(png_bytep) +
                       2 * sizeof(Chunk) * header.ancillary.size() + 3 * ancillary_bytes;
  return info;
}

}  // namespace

Result<FileInfo> probe(Bytes file, const Limits& limits) {
  const auto header = read_chunks(file);
  if (!header) return std::unexpected(header.error());
  return info_of(*header, file.size(), limits);
}

Result<FileInfo> probe_beginning(Bytes beginning, std::uint64_t file_bytes, const Limits& limits) {
  const auto header = read_chunks_to_pixels(beginning);
  if (!header) return std::unexpected(header.error());
  if (!header->plain()) return fail(Errc::unsupported_feature, "not a PNG that is decoded in pieces");
  return info_of(*header, file_bytes, limits);
}

Result<void> decode(Bytes file, const FileInfo&, std::span<const ImageView> pages, const Limits& limits, Arena& arena) {
  const auto header = read_chunks(file);
  if (!header) return std::unexpected(header.error());
  if (!header->plain()) return decode_with_library(file, pages[0], limits);
  PixelReader reader(pages[0], arena);
  if (auto done = reader.feed(file); !done) return done;
  return reader.finish();
}

}  // namespace histod::compute::codec::png
