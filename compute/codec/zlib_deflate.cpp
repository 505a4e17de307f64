// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/zlib_deflate.hpp"

#include <limits>

#include <zlib.h>

namespace histod::compute::codec {
namespace {

constexpr std::size_t k_alignment_bytes = 16;

voidpf take(voidpf opaque, uInt items, uInt bytes) {
  auto* memory = static_cast<Output*>(opaque);
  const std::size_t wanted = std::size_t{items} * bytes;
  return memory->take((wanted + k_alignment_bytes - 1) / k_alignment_bytes * k_alignment_bytes);
}

void give_back(voidpf, voidpf) {}

/// zlib counts in 32 bits.
void refill(uInt& available, std::size_t& rest) {
  if (available != 0) return;
  available = static_cast<uInt>(std::min<std::size_t>(rest, std::numeric_limits<uInt>::max()));
  rest -= available;
}

}  // namespace

std::size_t zlib_deflate(Bytes raw, const ZlibSettings& settings, bool last, std::span<std::byte> state,
                         std::span<std::byte> out) {
  const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(state.data()) % k_alignment_bytes;
  Output memory(state.subspan((k_alignment_bytes - misplaced) % k_alignment_bytes));
  z_stream stream{};
  stream.zalloc = take;
  stream.zfree = give_back;
  stream.opaque = &memory;
  if (deflateInit2(&stream, settings.level, Z_DEFLATED, settings.window_bits, settings.memory_level,
                   settings.strategy) != Z_OK)
    return 0;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(raw.data()));  // it only reads
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  std::size_t in_rest = raw.size(), out_rest = out.size();
  int result = Z_OK;
  bool whole = false;
  while (result == Z_OK && !whole) {
    refill(stream.avail_in, in_rest);
    refill(stream.avail_out, out_rest);
    result = deflate(&stream, in_rest > 0 ? Z_NO_FLUSH : last ? Z_FINISH : Z_FULL_FLUSH);
    whole = last ? result == Z_STREAM_END : in_rest == 0 && stream.avail_in == 0 && stream.avail_out > 0;
  }
  deflateEnd(&stream);
  return whole ? out.size() - out_rest - stream.avail_out : 0;
}

}  // namespace histod::compute::codec
