// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_pixels.hpp"

#include <string>
#include <utility>

#include <isa-l/crc.h>

#include "compute/codec/png_chunks.hpp"
#include "compute/codec/png_unfilter.hpp"

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_signature_bytes = 8;
constexpr std::size_t k_checksum_bytes = 4;

/// Rows of a window; the last one may have fewer.
std::size_t window_rows(const ImageView& page) {
  return std::clamp<std::size_t>(PixelReader::k_window_bytes / (page.row_bytes() + 1), 1, page.height);
}

}  // namespace

void IdatStream::stop(std::string_view why) {
  error_ = Error{make_error_code(Errc::corrupt), std::string(why)};
  rest_ = {};
}

/// Whether that many bytes lie in gathered_ now.
bool IdatStream::gather(std::size_t bytes) {
  const std::size_t part = std::min(bytes - gathered_bytes_, rest_.size());
  std::copy_n(rest_.begin(), part, gathered_.begin() + static_cast<std::ptrdiff_t>(gathered_bytes_));
  gathered_bytes_ += part;
  rest_ = rest_.subspan(part);
  if (gathered_bytes_ < bytes) return false;
  gathered_bytes_ = 0;
  return true;
}

void IdatStream::begin_chunk() {
  data_bytes_ = load_big<std::uint32_t>(gathered_, 0);
  std::copy_n(gathered_.begin() + 4, type_.size(), type_.begin());
  crc_ = chunk_crc(0, type_);
  state_ = State::data;
  if (as_text(type_) == "IDAT") {
    if (phase_ == Phase::after) return stop("the IDAT chunks of the PNG do not follow one another");
    phase_ = Phase::within;
  } else if (phase_ == Phase::within) {
    phase_ = Phase::after;
  }
}

void IdatStream::end_chunk() {
  const bool critical = (type_[0] & std::byte{0x20}) == std::byte{0};
  if (critical && load_big<std::uint32_t>(gathered_, 0) != crc_) return stop("the checksum of a PNG chunk is wrong");
  state_ = as_text(type_) == "IEND" ? State::ended : State::head;
}

Bytes IdatStream::take_data() {
  const Bytes data = rest_.first(std::min(data_bytes_, rest_.size()));
  rest_ = rest_.subspan(data.size());
  data_bytes_ -= data.size();
  crc_ = chunk_crc(crc_, data);
  if (data_bytes_ == 0) state_ = State::checksum;
  return as_text(type_) == "IDAT" ? data : Bytes();
}

Bytes IdatStream::next() {
  while (!error_ && !ended() && (!rest_.empty() || (state_ == State::data && data_bytes_ == 0))) {
    switch (state_) {
      case State::signature:
        if (gather(k_signature_bytes)) state_ = State::head;
        break;
      case State::head:
        if (gather(k_head_bytes)) begin_chunk();
        break;
      case State::data:
        if (const Bytes data = take_data(); !data.empty()) return data;
        break;
      default:
        if (gather(k_checksum_bytes)) end_chunk();
        break;
    }
  }
  return {};
}

PixelReader::PixelReader(const ImageView& page, Arena& arena)
    : page_(page),
      arena_(arena),
      line_bytes_(page.row_bytes()),
      state_(std::make_unique_for_overwrite<inflate_state>()),
      above_first_(std::make_unique<std::byte[]>(page.row_bytes())) {
  isal_inflate_init(state_.get());
  state_->crc_flag = ISAL_ZLIB;
  state_->next_in = nullptr;
  state_->avail_in = 0;
  prepare(windows_[0]);
}

void PixelReader::stop(Errc code, std::string_view why) {
  if (!inflate_error_) inflate_error_ = Error{make_error_code(code), std::string(why)};
}

/// For the rows that are not in a window yet.
void PixelReader::prepare(Window& window) {
  const std::size_t rows = window_rows(page_);
  if (!window.memory) window.memory = std::make_unique_for_overwrite<std::byte[]>(rows * (line_bytes_ + 1));
  window.bytes = std::min<std::size_t>(rows, page_.height - inflated_rows_) * (line_bytes_ + 1);
  window.filled = 0;
}

bool PixelReader::take_input() {
  if (state_->avail_in > 0) return true;
  const Bytes data = stream_.next();
  if (stream_.error()) inflate_error_ = stream_.error();
  state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(data.data()));  // it only reads
  state_->avail_in = static_cast<std::uint32_t>(data.size());
  return !data.empty();
}

void PixelReader::inflate(std::byte* to, std::size_t bytes) {
  state_->next_out = reinterpret_cast<std::uint8_t*>(to);
  state_->avail_out = static_cast<std::uint32_t>(bytes);
  const int result = isal_inflate(state_.get());
  if (result == ISAL_INCORRECT_CHECKSUM)
    stop(Errc::corrupt, "the checksum of the PNG's compressed pixels is wrong");
  else if (result < 0 || result == ISAL_NEED_DICT)
    stop(Errc::corrupt, "the compressed pixels of the PNG are damaged");
}

void PixelReader::inflate_into(Window& window) {
  while (window.filled < window.bytes && !inflate_error_) {
    // What is inflated already, beyond the last window, needs no input.
    const bool input = take_input();
    if (inflate_error_) return;
    const std::size_t room = window.bytes - window.filled;
    inflate(window.memory.get() + window.filled, room);
    const std::size_t made = room - state_->avail_out;
    window.filled += made;
    if (made == 0 && state_->block_state == ISAL_BLOCK_FINISH)
      return stop(Errc::corrupt, "the compressed pixels of the PNG end before its last row");
    if (made == 0 && !input) return;
  }
}

/// Behind the last row: the end of the compressed stream, and the chunks after it.
void PixelReader::inflate_rest() {
  std::byte surplus{};
  while (!inflate_error_ && state_->block_state != ISAL_BLOCK_FINISH) {
    const bool input = take_input();
    if (inflate_error_) return;
    inflate(&surplus, 1);
    if (state_->avail_out == 0) return stop(Errc::corrupt, "the compressed pixels of the PNG go on after its last row");
    if (!input) return;
  }
  // ISA-L may hold a few bytes already.
  if (!inflate_error_ && (take_input() || state_->read_in_length >= 8))
    stop(Errc::corrupt, "the PNG has data after its compressed pixels");
}

void PixelReader::unfilter(const Window& window) {
  const std::uint32_t first = finished_rows_;
  const std::byte* above = first == 0 ? above_first_.get() : page_.row(first - 1);
  const Bytes lines(window.memory.get(), window.bytes);
  const std::size_t rows =
      unfilter_rows(lines, above, line_bytes_, page_.format.bytes_per_pixel(), page_.row(first), page_.stride_bytes);
  finished_rows_ += static_cast<std::uint32_t>(rows);
  const std::size_t at = rows * (line_bytes_ + 1);
  if (at < lines.size()) {
    unfilter_error_ = Error{make_error_code(Errc::corrupt), "a row of the PNG has a filter that does not exist",
                            std::to_integer<std::uint64_t>(lines[at]), 4};
    return;
  }
  if (page_.format.depth_bits != 16 || std::endian::native != std::endian::little) return;
  // The row below is predicted from the bytes in the file's order: the last one waits for the next window.
  const std::uint32_t swapped_end = finished_rows_ == page_.height ? finished_rows_ : finished_rows_ - 1;
  for (std::uint32_t y = first == 0 ? 0 : first - 1; y < swapped_end; ++y)
    copy_swapped16(page_.row(y), page_.row(y), line_bytes_ / 2);
}

Result<void> PixelReader::outcome() const {
  if (unfilter_error_) return std::unexpected(*unfilter_error_);
  if (inflate_error_) return std::unexpected(*inflate_error_);
  return {};
}

Result<void> PixelReader::feed(Bytes piece) {
  stream_.give(piece);
  while (outcome()) {
    Window& filling = windows_[filling_];
    const Window& full = windows_[1 - filling_];
    const bool had_rows = !rows_inflated();
    arena_.parallel_for(waiting_ ? 2 : 1, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t part = begin; part < end; ++part) {
        if (part == 1)
          unfilter(full);
        else if (had_rows)
          inflate_into(filling);
        else
          inflate_rest();
      }
    });
    const bool had_waiting = std::exchange(waiting_, false);
    if (had_rows && filling.filled == filling.bytes) {
      inflated_rows_ += static_cast<std::uint32_t>(filling.bytes / (line_bytes_ + 1));
      waiting_ = true;
      filling_ = 1 - filling_;
      if (!rows_inflated()) prepare(windows_[filling_]);
    } else if (!had_waiting) {
      break;
    }
  }
  return outcome();
}

Result<void> PixelReader::finish() {
  if (auto done = outcome(); !done) return done;
  if (!stream_.ended()) return fail(Errc::truncated, "the PNG ends before its IEND chunk");
  if (finished_rows_ < page_.height || state_->block_state != ISAL_BLOCK_FINISH)
    return fail(Errc::corrupt, "the IDAT chunks of the PNG end before its last row does, finished rows", finished_rows_,
                page_.height);
  return {};
}

}  // namespace histod::compute::codec::png
