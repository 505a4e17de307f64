// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "compute/codec/parts.hpp"
#include "compute/codec/png_chunks.hpp"
#include "compute/codec/png_deflate.hpp"
#include "compute/codec/png_filter.hpp"
#include "compute/codec/png_metadata.hpp"
#include "compute/codec/png_small.hpp"

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_band_bytes = 512u << 10;  ///< more than enough to pay for a task; a photograph has many
constexpr std::size_t k_band_rows_min = 16;       ///< of very wide images: the two lines beside them stay small
constexpr std::size_t k_small_workers = 8;        ///< each has a workspace in the output's memory
constexpr std::size_t k_head_bytes = 8;           ///< of a chunk: length and type
constexpr std::size_t k_crc_bytes = 4;
constexpr std::size_t k_zlib_bytes = 2;
constexpr std::size_t k_adler_bytes = 4;
constexpr std::size_t k_ihdr_bytes = 13;
constexpr std::string_view k_signature{"\x89PNG\r\n\x1a\n", 8};

constexpr std::size_t chunk_bytes(std::size_t data) { return k_head_bytes + data + k_crc_bytes; }

void put_chunk(Output& out, std::string_view type, Bytes data) {
  out.put_number(static_cast<std::uint32_t>(data.size()), std::endian::big);
  const std::size_t begin = out.size();
  out.put(type);
  out.put(data);
  if (!out.full()) out.put_number(chunk_crc(0, out.written().subspan(begin)), std::endian::big);
}

/// How an image is cut. It depends on the image alone, so that the file is the same however many threads make it. Each
/// band has a slot of the output's memory. Its filtered rows lie at the slot's end and its chunk is made from the
/// slot's beginning, over them, which deflate_rows() allows for a lead; there, before, the two lines that are being
/// filtered have their place. So nothing else is allocated.
struct Bands {
  Bands(const ImageView& page, bool small)
      : height(page.height),
        line_bytes(page.row_bytes()),
        rows(std::min<std::size_t>(height, std::max(k_band_rows_min, k_band_bytes / (line_bytes + 1)))),
        count((height + rows - 1) / rows),
        raw_bytes(rows * (line_bytes + 1)),
        slot_bytes(k_head_bytes + k_zlib_bytes +
                   std::max(deflate_lead_bytes(raw_bytes), 2 * (k_bytes_per_pixel_max + line_bytes)) + raw_bytes +
                   k_crc_bytes),
        workers(small ? std::min(count, k_small_workers) : count),
        workspace_bytes(small ? small_workspace_bytes(raw_bytes) : 0) {}

  std::size_t memory_bytes() const { return count * slot_bytes + workers * workspace_bytes; }

  std::size_t height;
  std::size_t line_bytes;
  std::size_t rows;  ///< of each band but the last
  std::size_t count;
  std::size_t raw_bytes;
  std::size_t slot_bytes;
  std::size_t workers;          ///< at most
  std::size_t workspace_bytes;  ///< of each worker, behind the slots: what zlib needs
};

struct Band {
  std::size_t chunk_bytes = 0;
  std::size_t raw_bytes = 0;
  std::uint32_t adler = 0;
};

/// Writes the filtered rows from `first` on to `raw`; `lines` has room for two.
void filter_rows(const ImageView& page, const FullDepthRows& rows, std::size_t first, std::span<std::byte> raw,
                 std::byte* lines) {
  const std::size_t bytes = page.row_bytes();
  std::byte* above = lines + k_bytes_per_pixel_max;
  std::byte* line = above + bytes + k_bytes_per_pixel_max;
  std::memset(lines, 0, 2 * (bytes + k_bytes_per_pixel_max));
  const auto read_line = [&](std::size_t y, std::byte* to) {
    rows.copy_row(static_cast<std::uint32_t>(y), to);
    if (page.format.depth_bits == 16 && std::endian::native == std::endian::little) copy_swapped16(to, to, bytes / 2);
  };
  if (first > 0) read_line(first - 1, above);
  for (std::size_t at = 0; at < raw.size(); at += bytes + 1, ++first) {
    read_line(first, line);
    filter_row(line, above, bytes, page.format.bytes_per_pixel(), raw.data() + at);
    std::swap(line, above);
  }
}

/// Makes one band's IDAT chunk at the beginning of its slot; with a workspace, the smaller one of two.
Band encode_band(const ImageView& page, const FullDepthRows& rows, const Bands& bands, std::size_t index,
                 std::span<std::byte> slot, std::span<std::byte> workspace) {
  const std::size_t first = index * bands.rows;
  const bool last = index + 1 == bands.count;
  Band band;
  band.raw_bytes = std::min(bands.rows, bands.height - first) * (bands.line_bytes + 1);
  const std::span<std::byte> raw = slot.subspan(slot.size() - k_crc_bytes - band.raw_bytes, band.raw_bytes);
  filter_rows(page, rows, first, raw, slot.data());
  band.adler = isal_adler32(1, reinterpret_cast<const unsigned char*>(raw.data()), raw.size());
  std::byte* at = slot.data() + k_head_bytes;
  if (index == 0) {
    store(slot, k_head_bytes, std::uint16_t{0x7801}, std::endian::big);  // zlib: 32 KiB window, fastest
    at += k_zlib_bytes;
  }
  const Bytes small = workspace.empty() ? Bytes() : deflate_small(raw, last, workspace);
  const std::byte* end = deflate_rows(raw, last, at);
  if (!small.empty() && at + small.size() < end) {
    std::memcpy(at, small.data(), small.size());
    end = at + small.size();
  }
  const std::size_t data_bytes = static_cast<std::size_t>(end - slot.data()) - k_head_bytes;
  store(slot, 0, static_cast<std::uint32_t>(data_bytes), std::endian::big);
  std::memcpy(slot.data() + 4, "IDAT", 4);
  store(slot, k_head_bytes + data_bytes, chunk_crc(0, slot.subspan(4, 4 + data_bytes)), std::endian::big);
  band.chunk_bytes = codec::png::chunk_bytes(data_bytes);
  return band;
}

/// The pixels as IDAT chunks: one for each band, and one for the checksum of them all.
void put_pixels(const ImageView& page, const FullDepthRows& rows, const Bands& bands, Output& out, Arena& arena,
                const Grown& grown) {
  const std::span<std::byte> slots = out.rest().first(bands.memory_bytes());
  const std::span<std::byte> workspaces = slots.subspan(bands.count * bands.slot_bytes);
  std::vector<Band> made(bands.count);
  uLong adler = 1;
  // A band's place ends before its slot does: those that are still being made are not touched.
  InOrder in_file(bands.count, [&](std::size_t i) {
    std::byte* to = out.take(made[i].chunk_bytes);
    std::memmove(to, slots.data() + i * bands.slot_bytes, made[i].chunk_bytes);
    adler = adler32_combine(adler, made[i].adler, static_cast<z_off_t>(made[i].raw_bytes));
    if (grown && bands.count > 1) grown(out.size());
  });
  for_each_part(arena, bands.count, bands.workers, [&](std::size_t hand, std::uint64_t i) {
    made[i] = encode_band(page, rows, bands, i, slots.subspan(i * bands.slot_bytes, bands.slot_bytes),
                          workspaces.subspan(hand * bands.workspace_bytes, bands.workspace_bytes));
    in_file.made(i);
  });
  std::array<std::byte, k_adler_bytes> checksum;
  store(std::span<std::byte>(checksum), 0, static_cast<std::uint32_t>(adler), std::endian::big);
  put_chunk(out, "IDAT", checksum);
}

void put_header(const ImageView& page, Output& out) {
  std::array<std::byte, k_ihdr_bytes> data{};
  const unsigned color_type = (page.format.colors == 3 ? 2u : 0u) | (page.format.alpha ? 4u : 0u);
  store(std::span<std::byte>(data), 0, page.width, std::endian::big);
  store(std::span<std::byte>(data), 4, page.height, std::endian::big);
  data[8] = static_cast<std::byte>(page.format.depth_bits);
  data[9] = static_cast<std::byte>(color_type);
  out.put(k_signature);
  put_chunk(out, "IHDR", data);
}

void put_chunks(Output& out, std::span<const OwnedChunk> chunks, bool after_pixels) {
  for (const OwnedChunk& chunk : chunks)
    if (chunk.after_pixels == after_pixels) put_chunk(out, chunk.type, chunk.data());
}

}  // namespace

std::size_t encoded_bytes_max(const Image& image, const EncodeOptions& options) {
  const ImageView& page = image.pages[main_page(image.info)];
  const Bands bands(page, options.png_small);
  std::size_t bytes = k_signature.size() + chunk_bytes(k_ihdr_bytes) + bands.memory_bytes() +
                      chunk_bytes(k_adler_bytes) + chunk_bytes(0);
  for (const OwnedChunk& chunk : output_chunks(image, page.format)) bytes += chunk_bytes(chunk.data().size());
  return bytes;
}

Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown) {
  if (out.size() < png::encoded_bytes_max(image, options)) return output_full(out.size());
  const std::size_t main = main_page(image.info);
  const ImageView& page = image.pages[main];
  const std::vector<OwnedChunk> chunks = output_chunks(image, page.format);
  const FullDepthRows rows(page, image.info.pages[main].levels);
  Output output(out);
  put_header(page, output);
  put_chunks(output, chunks, false);
  put_pixels(page, rows, Bands(page, options.png_small), output, arena, grown);
  put_chunks(output, chunks, true);
  put_chunk(output, "IEND", {});
  assert(!output.full());
  return output.size();
}

}  // namespace histod::compute::codec::png
