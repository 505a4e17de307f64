// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_library.hpp"

#include <jerror.h>

namespace histod::compute::codec::jpeg {
namespace {

LibraryState& state_of(j_common_ptr library) { return *reinterpret_cast<LibraryState*>(library->err); }

Errc code_of_error(int message) {
  switch (message) {
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
      return Errc::bytes_over_limit;
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY:
      return Errc::truncated;
    case JERR_BUFFER_SIZE:
      return Errc::output_full;
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
      return Errc::unsupported_feature;
    default:
      return Errc::corrupt;
  }
}

[[noreturn]] void stop(j_common_ptr library, Errc code) {
  LibraryState& state = state_of(library);
  state.code = code;
  library->err->format_message(library, state.message.data());
  std::longjmp(state.jump, 1);
}

void on_error(j_common_ptr library) { stop(library, code_of_error(library->err->msg_code)); }

/// libjpeg only warns of broken data, and fills up with gray: here they are errors.
void on_message(j_common_ptr library, int level) {
  if (level >= 0) return;
  switch (library->err->msg_code) {
    case JWRN_JPEG_EOF:
      stop(library, Errc::truncated);
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
      stop(library, Errc::corrupt);
    default:
      return;  // a version or marker that is unusual, or padding before a marker
  }
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr library) {
  const auto* decompress = reinterpret_cast<j_decompress_ptr>(library);
  if (decompress->input_scan_number > state_of(library).scans_max) stop(library, Errc::scans_over_limit);
}

void nothing(j_compress_ptr) {}

boolean no_room(j_compress_ptr compress) {
  compress->err->msg_code = JERR_BUFFER_SIZE;
  compress->err->error_exit(reinterpret_cast<j_common_ptr>(compress));
  return FALSE;
}

}  // namespace

LibraryState::LibraryState() {
  jpeg_std_error(&manager);
  manager.error_exit = on_error;
  manager.emit_message = on_message;
  manager.output_message = on_output;
}

void open(jpeg_decompress_struct& decompress, LibraryState& state, Bytes file) {
  decompress.err = &state.manager;
  jpeg_create_decompress(&decompress);
  jpeg_mem_src(&decompress, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&decompress, TRUE);
}

void watch_scans(jpeg_decompress_struct& decompress, jpeg_progress_mgr& progress) {
  progress.progress_monitor = on_progress;
  decompress.progress = &progress;
}

void open(jpeg_compress_struct& compress, LibraryState& state, Destination& destination, std::span<std::byte> out) {
  compress.err = &state.manager;
  jpeg_create_compress(&compress);
  destination.memory = out;
  destination.manager.next_output_byte = reinterpret_cast<JOCTET*>(out.data());
  destination.manager.free_in_buffer = out.size();
  destination.manager.init_destination = nothing;
  destination.manager.empty_output_buffer = no_room;
  destination.manager.term_destination = nothing;
  compress.dest = &destination.manager;
}

}  // namespace histod::compute::codec::jpeg
