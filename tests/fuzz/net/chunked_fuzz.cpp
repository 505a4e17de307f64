// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/http/chunked.hpp"

// The first byte says in how large pieces the body arrives. In pieces and at once must give the same.

namespace {

using histod::net::Counter;
using histod::net::http::ChunkedDecoder;

struct Decoded {
  ChunkedDecoder::Status status = ChunkedDecoder::Status::more;
  std::size_t consumed = 0;
  std::vector<std::byte> body;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(const std::uint8_t* bytes, std::size_t size, std::size_t piece) {
  ChunkedDecoder decoder({.chunk_header_bytes = 64, .trailer_bytes = 128});
  Counter copied;
  Decoded out;
  out.body.assign(reinterpret_cast<const std::byte*>(bytes), reinterpret_cast<const std::byte*>(bytes) + size);
  std::size_t produced = 0;
  while (out.consumed < size && out.status == ChunkedDecoder::Status::more) {
    const std::size_t take = std::min(piece, size - out.consumed);
    const auto result = decoder.decode({out.body.data() + out.consumed, take}, out.body.data() + produced, copied);
    if (result.consumed > take || result.produced > result.consumed) std::abort();
    if (result.status == ChunkedDecoder::Status::more && result.consumed != take) std::abort();
    out.consumed += result.consumed;
    produced += result.produced;
    out.status = result.status;
  }
  out.body.resize(produced);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const Decoded whole = decode(bytes + 1, size - 1, size);
  const Decoded pieces = decode(bytes + 1, size - 1, 1u + bytes[0]);
  if (!(whole == pieces)) std::abort();
  return 0;
}
