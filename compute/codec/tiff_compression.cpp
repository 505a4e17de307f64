// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_compression.hpp"

#include <limits>

#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "compute/codec/png_deflate.hpp"
#include "compute/codec/zlib_deflate.hpp"

namespace histod::compute::codec::tiff {
namespace {

constexpr int k_deflate_level = 3;
constexpr std::size_t k_zlib_bytes = 6;  ///< two before, and the checksum

std::uint32_t to_uint32(std::size_t bytes) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
}

Result<void> inflate_chunk(Bytes chunk, std::span<std::byte> out) {
  if (out.size() > std::numeric_limits<std::uint32_t>::max())
    return fail(Errc::unsupported_feature, "a deflated strip or tile of the TIFF has more than 4 GiB of samples");
  inflate_state state;
  isal_inflate_init(&state);
  state.crc_flag = ISAL_ZLIB;
  state.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(chunk.data()));  // it only reads
  state.avail_in = to_uint32(chunk.size());
  state.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  state.avail_out = to_uint32(out.size());
  const int result = isal_inflate_stateless(&state);
  if (result < 0 || result == ISAL_NEED_DICT)
    return fail(Errc::corrupt, "a deflated strip or tile of the TIFF is broken");
  if (state.avail_out != 0) return fail(Errc::corrupt, "a deflated strip or tile of the TIFF is too short");
  return {};
}

void deflate_runs(Bytes chunk, Output& out) {
  out.put_number(std::uint16_t{0x7801}, std::endian::big);  // zlib: 32 KiB window, fastest
  std::byte* const begin = out.rest().data();
  out.take(static_cast<std::size_t>(png::deflate_rows(chunk, true, begin) - begin));
  out.put_number(isal_adler32(1, reinterpret_cast<const unsigned char*>(chunk.data()), chunk.size()), std::endian::big);
}

void deflate_chunk(Bytes chunk, const DeflateBy& by, Output& out) {
  if (!by.search) return deflate_runs(chunk, out);
  const std::size_t bytes = zlib_deflate(chunk, {.level = k_deflate_level}, true, by.state, out.rest());
  out.take(bytes != 0 ? bytes : out.rest().size() + 1);
}

Result<void> unpack_bits(Bytes chunk, std::span<std::byte> out) {
  std::size_t at = 0;
  std::size_t done = 0;
  while (done < out.size()) {
    if (at >= chunk.size())
      return fail(Errc::corrupt, "a PackBits strip or tile of the TIFF is too short", done, out.size());
    const unsigned head = std::to_integer<unsigned>(chunk[at++]);
    if (head == 128) continue;
    const bool run = head > 128;
    const std::size_t count = std::min<std::size_t>(run ? 257 - head : head + 1, out.size() - done);
    const std::size_t need = run ? 1 : count;
    if (need > chunk.size() - at)
      return fail(Errc::corrupt, "a PackBits strip or tile of the TIFF is too short", done, out.size());
    if (run)
      std::memset(out.data() + done, std::to_integer<int>(chunk[at]), count);
    else
      std::memcpy(out.data() + done, chunk.data() + at, count);
    at += need;
    done += count;
  }
  return {};
}

constexpr std::size_t k_packet_max = 128;

std::size_t run_at(Bytes row, std::size_t at) {
  std::size_t end = at + 1;
  while (end < row.size() && end - at < k_packet_max && row[end] == row[at]) ++end;
  return end - at;
}

void put_literal(Bytes literal, Output& out) {
  for (std::size_t at = 0; at < literal.size(); at += k_packet_max) {
    const Bytes packet = literal.subspan(at, std::min(k_packet_max, literal.size() - at));
    out.put_number(static_cast<std::uint8_t>(packet.size() - 1), std::endian::native);
    out.put(packet);
  }
}

void pack_row(Bytes row, Output& out) {
  std::size_t literal = 0;
  std::size_t at = 0;
  while (at < row.size()) {
    const std::size_t run = run_at(row, at);
    if (run >= 3) {
      put_literal(row.subspan(literal, at - literal), out);
      out.put_number(static_cast<std::uint8_t>(257 - run), std::endian::native);
      out.put(row.subspan(at, 1));
      literal = at + run;
    }
    at += run;
  }
  put_literal(row.subspan(literal), out);
}

}  // namespace

std::optional<Coding> coding_of(std::uint64_t compression_tag) {
  for (const Coding coding : {Coding::none, Coding::lzw, Coding::deflate, Coding::old_deflate, Coding::packbits})
    if (compression_tag == static_cast<std::uint64_t>(coding)) return coding;
  return std::nullopt;
}

bool deflates(Coding coding) { return coding == Coding::deflate || coding == Coding::old_deflate; }

Result<void> decompress(Coding coding, Bytes chunk, std::span<std::byte> out) {
  switch (coding) {
    case Coding::none:
      std::memcpy(out.data(), chunk.data(), out.size());
      return {};
    case Coding::lzw:
      return lzw::decompress(chunk, out);
    case Coding::packbits:
      return unpack_bits(chunk, out);
    default:
      return inflate_chunk(chunk, out);
  }
}

void compress(Coding coding, Bytes chunk, std::size_t row_bytes, const DeflateBy& by, Output& out) {
  switch (coding) {
    case Coding::none:
      out.put(chunk);
      return;
    case Coding::lzw:
      lzw::compress(chunk, out);
      return;
    case Coding::packbits:
      for (std::size_t at = 0; at < chunk.size(); at += row_bytes) pack_row(chunk.subspan(at, row_bytes), out);
      return;
    default:
      deflate_chunk(chunk, by, out);
      return;
  }
}

std::size_t compressed_bytes_max(Coding coding, std::size_t rows, std::size_t row_bytes) {
  const std::size_t bytes = rows * row_bytes;
  switch (coding) {
    case Coding::none:
      return bytes;
    // At most 12 bits for each byte, a clear code for each 3 836 others, the first and last codes, and a whole word.
    case Coding::lzw:
      return bytes + bytes / 2 + bytes / 2048 + 24;
    case Coding::packbits:
      return bytes + rows * ((row_bytes + k_packet_max - 1) / k_packet_max);
    default:
      return std::max<std::size_t>(compressBound(bytes), k_zlib_bytes + png::deflate_bytes_max(bytes));
  }
}

}  // namespace histod::compute::codec::tiff
