// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/stats.hpp"

namespace histod::net::http {

/// Decodes a chunked body (RFC 9112, 7.1) piece by piece and in place. Chunk extensions and trailers are checked,
/// dropped and bounded. Line ends are CRLF and nothing else; sizes are hexadecimal digits and nothing else.
class ChunkedDecoder {
 public:
  enum class Status : std::uint8_t { more, done, malformed, line_too_long, trailer_too_long };

  struct Result {
    Status status = Status::more;
    std::size_t consumed = 0;  ///< of `in`; all of it unless done or refused
    std::size_t produced = 0;  ///< payload bytes written to `out`
  };

  struct Limits {
    std::size_t chunk_header_bytes = 256;  ///< one chunk header with its extensions
    std::size_t trailer_bytes = 8 * 1024;  ///< all trailer fields together
  };

  explicit ChunkedDecoder(const Limits& limits) : limits_(limits) {}

  /// `out` may be `in.data()` or before it, and must have room for `in.size()` bytes.
  Result decode(std::span<const std::byte> in, std::byte* out, Counter& copied_bytes);

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer,
    trailer_lf,
    end_lf,
    done
  };

  Status step(char c);
  Status step_size(char c);
  Status step_trailer(char c);
  Status expect_lf(char c, State next);

  Limits limits_;
  State state_ = State::size_first;
  std::uint64_t chunk_left_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace histod::net::http
