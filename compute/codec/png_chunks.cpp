// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_chunks.hpp"

#include <isa-l/crc.h>

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_signature_bytes = 8;
constexpr std::size_t k_chunk_head_bytes = 8;
constexpr std::size_t k_chunk_overhead_bytes = 12;
constexpr std::size_t k_ihdr_bytes = 13;
constexpr std::size_t k_chunks_max = 1'000'000;

bool is_type(std::string_view type) {
  return std::all_of(type.begin(), type.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

unsigned samples_per_pixel(unsigned color_type) {
  switch (color_type) {
    case 2:
      return 3;
    case 4:
      return 2;
    case 6:
      return 4;
    default:
      return 1;
  }
}

bool depth_fits(unsigned color_type, unsigned depth_bits) {
  const bool small = depth_bits == 1 || depth_bits == 2 || depth_bits == 4;
  switch (color_type) {
    case 0:
      return small || depth_bits == 8 || depth_bits == 16;
    case 3:
      return small || depth_bits == 8;
    case 2:
    case 4:
    case 6:
      return depth_bits == 8 || depth_bits == 16;
    default:
      return false;
  }
}

Result<void> read_ihdr(Bytes data, Header& header) {
  if (data.size() != k_ihdr_bytes) return fail(Errc::corrupt, "bytes of the IHDR chunk", data.size(), k_ihdr_bytes);
  header.width = load_big<std::uint32_t>(data, 0);
  header.height = load_big<std::uint32_t>(data, 4);
  header.depth_bits = std::to_integer<unsigned>(data[8]);
  header.color_type = std::to_integer<unsigned>(data[9]);
  header.interlaced = std::to_integer<unsigned>(data[12]) == 1;
  if (!depth_fits(header.color_type, header.depth_bits))
    return fail(Errc::corrupt, "no PNG has this bit depth with its colour type", header.depth_bits);
  if (data[10] != std::byte{0} || data[11] != std::byte{0} || std::to_integer<unsigned>(data[12]) > 1)
    return fail(Errc::unsupported_feature, "compression, filter or interlace method of the PNG is not known");
  header.stored_bits = std::size_t{samples_per_pixel(header.color_type)} * header.depth_bits;
  return {};
}

struct Walk {
  Header header;
  bool palette = false;
  bool pixels = false;
};

Result<void> take_ancillary(Walk& walk, const Chunk& chunk, std::uint32_t crc) {
  if (chunk.type == "acTL" || chunk.type == "fcTL" || chunk.type == "fdAT")
    return fail(Errc::unsupported_feature, "the PNG is an animation");
  const Bytes type_and_data(chunk.data.data() - 4, chunk.data.size() + 4);
  if (chunk_crc(0, type_and_data) != crc) return fail(Errc::corrupt, "the checksum of a PNG chunk is wrong");
  if (chunk.type == "tRNS") {
    if (walk.header.color_type == 4 || walk.header.color_type == 6)
      return fail(Errc::corrupt, "the PNG has an alpha channel and a tRNS chunk");
    walk.header.transparency = true;
    return {};
  }
  if (walk.header.ancillary.size() >= k_chunks_max)
    return fail(Errc::ancillary_over_limit, "ancillary chunks of the PNG", k_chunks_max + 1, k_chunks_max);
  walk.header.ancillary.push_back(chunk);
  return {};
}

Result<void> take_chunk(Walk& walk, const Chunk& chunk, std::uint32_t crc) {
  if (chunk.type == "IDAT") {
    walk.pixels = true;
    if (walk.header.color_type == 3 && !walk.palette) return fail(Errc::corrupt, "the PNG has no palette");
    return {};
  }
  if (chunk.type == "PLTE") {
    walk.palette = true;
    return {};
  }
  const bool ancillary = (chunk.type[0] & 0x20) != 0;
  if (!ancillary) return fail(Errc::unsupported_feature, "the PNG has a critical chunk that is not known");
  return take_ancillary(walk, chunk, crc);
}

Result<Header> walk_chunks(Bytes file, bool to_pixels) {
  Walk walk;
  std::size_t at = k_signature_bytes;
  for (;;) {
    const bool first = at == k_signature_bytes;
    if (to_pixels && !first && file.size() - at >= k_chunk_head_bytes && as_text(file.subspan(at + 4, 4)) == "IDAT")
      return std::move(walk.header);
    if (file.size() - at < k_chunk_overhead_bytes) return fail(Errc::truncated, "the PNG ends before its IEND chunk");
    const std::size_t length = load_big<std::uint32_t>(file, at);
    const std::string_view type = as_text(file.subspan(at + 4, 4));
    if (!is_type(type)) return fail(Errc::corrupt, "the PNG has a chunk whose type is not four letters");
    if (length > 0x7fffffff)
      return fail(Errc::corrupt, "the PNG has a chunk longer than any may be", length, 0x7fffffff);
    if (file.size() - at - k_chunk_overhead_bytes < length) return fail(Errc::truncated, "the PNG ends inside a chunk");
    const Chunk chunk{type, file.subspan(at + 8, length), walk.pixels};
    if (first != (type == "IHDR")) return fail(Errc::corrupt, "the IHDR chunk is not the first one of the PNG");
    if (type == "IEND") break;
    const std::uint32_t crc = load_big<std::uint32_t>(file, at + 8 + length);
    const auto done = first ? read_ihdr(chunk.data, walk.header) : take_chunk(walk, chunk, crc);
    if (!done) return std::unexpected(done.error());
    at += k_chunk_overhead_bytes + length;
  }
  if (!walk.pixels) return fail(Errc::corrupt, "the PNG has no pixels");
  return std::move(walk.header);
}

}  // namespace

std::uint32_t chunk_crc(std::uint32_t crc, Bytes bytes) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

bool Header::plain() const { return !interlaced && !transparency && color_type != 3 && depth_bits >= 8; }

PixelFormat Header::pixel_format() const {
  const bool alpha = transparency || color_type == 4 || color_type == 6;
  const bool gray = color_type == 0 || color_type == 4;
  return {.colors = static_cast<std::uint8_t>(gray ? 1 : 3),
          .extras = static_cast<std::uint8_t>(alpha),
          .alpha = alpha,
          .depth_bits = static_cast<std::uint8_t>(depth_bits == 16 ? 16 : 8)};
}

Result<Header> read_chunks(Bytes file) { return walk_chunks(file, false); }
Result<Header> read_chunks_to_pixels(Bytes beginning) { return walk_chunks(beginning, true); }

}  // namespace histod::compute::codec::png
