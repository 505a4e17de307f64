// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
// jpeglib.h needs FILE.
#include <array>
#include <string>

#include <jpeglib.h>

#include "compute/codec/guarded.hpp"
#include "compute/codec/internal.hpp"

namespace histod::compute::codec::jpeg {

/// What libjpeg's callbacks see; the error manager comes first, so that the library's pointer to it is one to this.
struct LibraryState {
  jpeg_error_mgr manager{};
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message{};
  Errc code{};        ///< of the first failure
  int scans_max = 0;  ///< while decoding

  LibraryState();
  LibraryState(const LibraryState&) = delete;
  LibraryState& operator=(const LibraryState&) = delete;
  std::unexpected<Error> failure() const { return fail(code, std::string("libjpeg: ") + message.data()); }
};

/// libjpeg's two objects; the destructors run in frames that no jump passes.
struct Decompressor {
  jpeg_decompress_struct object{};
  ~Decompressor() { jpeg_destroy_decompress(&object); }
};
struct Compressor {
  jpeg_compress_struct object{};
  ~Compressor() { jpeg_destroy_compress(&object); }
};

/// Creates the object, points it at `file` and reads its header. May jump, as all that follows may.
void open(jpeg_decompress_struct& decompress, LibraryState& state, Bytes file);
/// Jumps when the decoder passes state.scans_max.
void watch_scans(jpeg_decompress_struct& decompress, jpeg_progress_mgr& progress);

/// A destination in fixed memory; jumps when it is full.
struct Destination {
  jpeg_destination_mgr manager{};
  std::span<std::byte> memory;
  std::size_t size() const { return memory.size() - manager.free_in_buffer; }
};
void open(jpeg_compress_struct& compress, LibraryState& state, Destination& destination, std::span<std::byte> out);

}  // namespace histod::compute::codec::jpeg
