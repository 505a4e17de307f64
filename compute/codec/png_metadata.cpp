// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_metadata.hpp"

#include <cmath>

#include <zlib.h>

#include "compute/codec/png_chunks.hpp"

namespace histod::compute::codec::png {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view k_xmp_keyword = "XML:com.adobe.xmp"sv;

/// Inflates at most `bytes_max`; empty when the data are broken or larger.
std::vector<std::byte> inflated(Bytes data, std::size_t bytes_max) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  std::vector<std::byte> out;
  int status = Z_OK;
  while (status == Z_OK && out.size() < bytes_max) {
    const std::size_t had = out.size();
    out.resize(std::min(std::max<std::size_t>(had * 2, 4096), bytes_max));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + had);
    stream.avail_out = static_cast<uInt>(out.size() - had);
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (out.size() == had && status == Z_OK) break;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END) out.clear();
  return out;
}

/// Position after the next zero byte at or after `at`; npos when there is none.
std::size_t after_zero(Bytes data, std::size_t at) {
  if (at > data.size()) return std::string_view::npos;
  const std::size_t zero = as_text(data).find('\0', at);
  return zero == std::string_view::npos ? zero : zero + 1;
}

std::vector<std::byte> copied(Bytes data) { return {data.begin(), data.end()}; }

std::vector<std::byte> icc_of(Bytes chunk) {
  const std::size_t method = after_zero(chunk, 0);
  if (method >= chunk.size() || chunk[method] != std::byte{0}) return {};
  return inflated(chunk.subspan(method + 1), k_converted_block_bytes_max);
}

std::vector<std::byte> xmp_of(Bytes chunk) {
  if (!starts_with(chunk, k_xmp_keyword)) return {};
  const std::size_t flags = after_zero(chunk, k_xmp_keyword.size());
  if (flags != k_xmp_keyword.size() + 1 || flags + 2 > chunk.size()) return {};
  const bool compressed = chunk[flags] == std::byte{1};
  const std::size_t translated = after_zero(chunk, flags + 2);
  const std::size_t text = after_zero(chunk, translated);
  if (text > chunk.size()) return {};
  return compressed ? inflated(chunk.subspan(text), k_converted_block_bytes_max) : copied(chunk.subspan(text));
}

std::optional<Resolution> resolution_of(Bytes chunk) {
  if (chunk.size() != 9 || chunk[8] != std::byte{1}) return std::nullopt;
  return Resolution{static_cast<double>(load_big<std::uint32_t>(chunk, 0)),
                    static_cast<double>(load_big<std::uint32_t>(chunk, 4))};
}

/// What equalization makes untrue, and what the output no longer matches.
bool kept(const Chunk& chunk, const Header& header, const PixelFormat& format) {
  const bool same_samples = header.pixel_format() == format && header.color_type != 3 && header.depth_bits >= 8;
  if (chunk.type == "hIST" || chunk.type == "sBIT") return false;
  if (chunk.type == "bKGD") return same_samples;
  if (chunk.type == "iCCP")
    return header.pixel_format().colors == format.colors || icc_fits(icc_of(chunk.data), format.colors);
  constexpr std::string_view k_known =
      "cHRM gAMA sRGB cICP mDCV cLLI pHYs sPLT eXIf tIME tEXt zTXt iTXt oFFs pCAL sCAL sTER gIFg gIFx";
  const bool safe_to_copy = (chunk.type[3] & 0x20) != 0;
  return safe_to_copy || k_known.find(chunk.type) != std::string_view::npos;
}

void append(std::vector<std::byte>& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

OwnedChunk made(std::string_view type, std::vector<std::byte> data) {
  return {.type = std::string(type), .borrowed = {}, .made = std::move(data), .after_pixels = false};
}

OwnedChunk icc_chunk(Bytes icc) {
  std::vector<std::byte> data;
  append(data, as_bytes("ICC profile\0\0"sv));
  const std::size_t prefix = data.size();
  uLongf bytes = compressBound(icc.size());
  data.resize(prefix + bytes);
  compress2(reinterpret_cast<Bytef*>(data.data() + prefix), &bytes, reinterpret_cast<const Bytef*>(icc.data()),
            icc.size(), 6);
  data.resize(prefix + bytes);
  return made("iCCP", std::move(data));
}

OwnedChunk xmp_chunk(Bytes xmp) {
  std::vector<std::byte> data;
  append(data, as_bytes(k_xmp_keyword));
  append(data, as_bytes("\0\0\0\0\0"sv));
  append(data, xmp);
  return made("iTXt", std::move(data));
}

OwnedChunk resolution_chunk(const Resolution& resolution) {
  std::vector<std::byte> data(9);
  Output out(data);
  const auto whole = [](double x) { return static_cast<std::uint32_t>(std::lround(std::clamp(x, 1.0, 2e9))); };
  out.put_number(whole(resolution.x_per_meter), std::endian::big);
  out.put_number(whole(resolution.y_per_meter), std::endian::big);
  out.put("\x01"sv);
  return made("pHYs", std::move(data));
}

std::vector<OwnedChunk> converted_chunks(const Image& image, const PixelFormat& format) {
  Metadata metadata = carried_metadata(image, format.colors);
  std::vector<OwnedChunk> chunks;
  if (!metadata.icc.empty()) chunks.push_back(icc_chunk(metadata.icc));
  if (metadata.resolution) chunks.push_back(resolution_chunk(*metadata.resolution));
  if (!metadata.exif.empty()) chunks.push_back(made("eXIf", std::move(metadata.exif)));
  if (!metadata.xmp.empty()) chunks.push_back(xmp_chunk(metadata.xmp));
  return chunks;
}

}  // namespace

std::vector<OwnedChunk> output_chunks(const Image& image, const PixelFormat& format) {
  if (image.info.format != FileFormat::png) return converted_chunks(image, format);
  std::vector<OwnedChunk> chunks;
  const auto header = read_chunks(image.file);
  if (!header) return chunks;
  for (const Chunk& chunk : header->ancillary) {
    if (!kept(chunk, *header, format)) continue;
    chunks.push_back({std::string(chunk.type), chunk.data, {}, chunk.after_pixels});
  }
  return chunks;
}

Metadata metadata(Bytes file) {
  Metadata found;
  const auto header = read_chunks(file);
  if (!header) return found;
  for (const Chunk& chunk : header->ancillary) {
    if (chunk.type == "iCCP") found.icc = icc_of(chunk.data);
    if (chunk.type == "eXIf") found.exif = copied(chunk.data);
    if (chunk.type == "pHYs") found.resolution = resolution_of(chunk.data);
    if (chunk.type == "iTXt" && found.xmp.empty()) found.xmp = xmp_of(chunk.data);
  }
  return found;
}

}  // namespace histod::compute::codec::png
