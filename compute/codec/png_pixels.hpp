// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>

#include <isa-l/igzip_lib.h>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

/// The chunks of a file that comes in pieces: hands out what lies in IDAT chunks, and checks the sums of critical ones.
class IdatStream {
 public:
  /// The next bytes of the file, from its first on; what came before must have been read to its end by next().
  void give(Bytes piece) { rest_ = piece; }
  /// Some more bytes of IDAT chunks; none when the piece is used up, at the end of the file, and after an error.
  Bytes next();
  bool ended() const { return state_ == State::ended; }
  const std::optional<Error>& error() const { return error_; }

 private:
  enum class State : std::uint8_t { signature, head, data, checksum, ended };
  enum class Phase : std::uint8_t { before, within, after };  ///< of the IDAT chunks
  static constexpr std::size_t k_head_bytes = 8;

  bool gather(std::size_t bytes);
  void begin_chunk();
  void end_chunk();
  Bytes take_data();
  void stop(std::string_view why);

  Bytes rest_;
  State state_ = State::signature;
  Phase phase_ = Phase::before;
  std::array<std::byte, k_head_bytes> gathered_;  ///< a head or a checksum that lies in two pieces, perhaps
  std::size_t gathered_bytes_ = 0;
  std::array<std::byte, 4> type_{};
  std::size_t data_bytes_ = 0;  ///< of the chunk, still to come
  std::uint32_t crc_ = 0;
  std::optional<Error> error_;
};

/// Pixels of a PNG that is not interlaced, of 8 or 16 bits, gray or RGB, with alpha or not and without tRNS, from its
/// file in pieces. Rows are inflated into one window while those of the window before are unfiltered into the page.
/// Takes at most k_window_bytes or a row, twice, and a row and 100 KiB more from malloc.
class PixelReader {
 public:
  static constexpr std::size_t k_window_bytes = 256u << 10;

  PixelReader(const ImageView& page, Arena& arena);

  /// The next bytes of the file, from its first on.
  Result<void> feed(Bytes piece);
  /// After the last piece. Errors: truncated, corrupt.
  Result<void> finish();

 private:
  struct Window {
    std::unique_ptr<std::byte[]> memory;
    std::size_t bytes = 0;  ///< how many of it are to be filled
    std::size_t filled = 0;
  };

  bool rows_inflated() const { return inflated_rows_ == page_.height; }
  void prepare(Window& window);
  void inflate_into(Window& window);
  void inflate_rest();
  bool take_input();
  void inflate(std::byte* to, std::size_t bytes);
  void unfilter(const Window& window);
  void stop(Errc code, std::string_view why);
  Result<void> outcome() const;

  const ImageView page_;
  Arena& arena_;
  const std::size_t line_bytes_;
  IdatStream stream_;
  std::unique_ptr<inflate_state> state_;
  std::array<Window, 2> windows_;
  std::size_t filling_ = 0;                   ///< which window
  bool waiting_ = false;                      ///< the other window is full
  std::uint32_t inflated_rows_ = 0;           ///< in full windows
  std::uint32_t finished_rows_ = 0;           ///< in the page
  std::unique_ptr<std::byte[]> above_first_;  ///< a row of zeros
  std::optional<Error> inflate_error_, unfilter_error_;
};

}  // namespace histod::compute::codec::png
