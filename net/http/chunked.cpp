// SPDX-License-Identifier: Apache-2.0
#include "net/http/chunked.hpp"

#include <algorithm>
#include <cassert>

#include "net/copy.hpp"
#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

/// 60 bits: no chunk is that long, and no sum of lengths overflows on the way to being refused.
constexpr std::uint64_t k_chunk_bytes_max = (1ull << 60) - 1;

bool is_text(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

ChunkedDecoder::Result ChunkedDecoder::decode(std::span<const std::byte> in, std::byte* out, Counter& copied_bytes) {
  assert(state_ != State::done);
  Result result;
  while (result.consumed < in.size()) {
    if (state_ == State::data) {
      const std::size_t bytes = std::min<std::uint64_t>(chunk_left_, in.size() - result.consumed);
      move_bytes(out + result.produced, in.data() + result.consumed, bytes, copied_bytes);
      result.consumed += bytes;
      result.produced += bytes;
      chunk_left_ -= bytes;
      if (chunk_left_ == 0) state_ = State::data_cr;
      continue;
    }
    result.status = step(static_cast<char>(in[result.consumed]));
    if (result.status != Status::more && result.status != Status::done) return result;
    ++result.consumed;
    if (result.status == Status::done) return result;
  }
  return result;
}

ChunkedDecoder::Status ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::size_first:
    case State::size:
    case State::extension:
      return step_size(c);
    case State::size_lf:
      return expect_lf(c, chunk_left_ > 0 ? State::data : State::trailer_first);
    case State::data_cr:
      state_ = State::data_lf;
      return c == '\r' ? Status::more : Status::malformed;
    case State::data_lf:
      line_bytes_ = 0;
      return expect_lf(c, State::size_first);
    case State::end_lf:
      return expect_lf(c, State::done) == Status::more ? Status::done : Status::malformed;
    default:
      return step_trailer(c);
  }
}

ChunkedDecoder::Status ChunkedDecoder::expect_lf(char c, State next) {
  state_ = next;
  return c == '\n' ? Status::more : Status::malformed;
}

ChunkedDecoder::Status ChunkedDecoder::step_size(char c) {
  if (++line_bytes_ > limits_.chunk_header_bytes) return Status::line_too_long;
  const int digit = hex_value(c);
  if (state_ != State::extension && digit >= 0) {
    if (chunk_left_ > k_chunk_bytes_max >> 4) return Status::malformed;
    chunk_left_ = chunk_left_ << 4 | static_cast<std::uint64_t>(digit);
    state_ = State::size;
    return Status::more;
  }
  if (state_ == State::size_first) return Status::malformed;
  if (c == '\r') {
    state_ = State::size_lf;
    return Status::more;
  }
  // White space before the ';' is what some parsers skip and others take for the end of the number: refused.
  if (state_ == State::size && c != ';') return Status::malformed;
  state_ = State::extension;
  return is_text(c) ? Status::more : Status::malformed;
}

ChunkedDecoder::Status ChunkedDecoder::step_trailer(char c) {
  if (++trailer_bytes_ > limits_.trailer_bytes) return Status::trailer_too_long;
  if (state_ == State::trailer_lf) return expect_lf(c, State::trailer_first);
  if (c == '\r') {
    state_ = state_ == State::trailer_first ? State::end_lf : State::trailer_lf;
    return Status::more;
  }
  const bool good = state_ == State::trailer_first ? is_token_char(c) : is_text(c);
  state_ = State::trailer;
  return good ? Status::more : Status::malformed;
}

}  // namespace histod::net::http
