// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <utility>

#include "net/copy.hpp"
#include "net/http/chunked.hpp"
#include "net/http/exchange.hpp"

namespace histod::net::http {

namespace {

constexpr int k_interim_answers_max = 8;
constexpr std::size_t k_chunk_header_bytes = 256;
/// Less room than this behind a chunked body is not worth a read.
constexpr std::size_t k_read_bytes_min = 4 * 1024;

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool begins_like_an_answer(std::string_view data) {
  constexpr std::string_view k_begin = "HTTP/1.";
  return data.starts_with(k_begin.substr(0, data.size()));
}

}  // namespace

Exchange::Stepping Exchange::receive_answer() {
  auto waiting = await_first_byte();
  if (!co_await std::move(waiting)) co_return false;
  lease_ = client_->pool.lease(BufferPool::k_granule_bytes);
  if (!lease_) {
    co_return fail(Kind::no_memory, "no memory for the answer's header section", BufferPool::k_granule_bytes,
                   client_->pool.stats().budget_bytes);
  }
  if (std::exchange(has_early_, false)) lease_.data()[filled_++] = early_;
  for (int interim = 0;; ++interim) {
    auto receiving = receive_head();
    if (!co_await std::move(receiving)) co_return false;
    if (head_.status >= 200) break;
    if (head_.status == 101) co_return fail(Kind::protocol, "another protocol, which nobody asked for", 101);
    if (interim == k_interim_answers_max)
      co_return fail(Kind::protocol, "too many interim answers", interim + 1ull, k_interim_answers_max);
    filled_ -= head_bytes_;
    move_bytes(lease_.data(), lease_.data() + head_bytes_, filled_, client_->stats.copied_bytes);
  }
  auto receiving = receive_body();
  co_return co_await std::move(receiving);
}

/// The wait for another's work holds no memory of the pool.
Exchange::Stepping Exchange::await_first_byte() {
  arm_stall();
  boost::system::error_code failed;
  if (stream_->tls()) {
    auto reading = stream_->read_some({&early_, 1}, nullptr);
    const auto [error, bytes] = co_await std::move(reading);
    failed = error;
    has_early_ = bytes > 0;
    client_->stats.received_bytes.add(bytes);
    answer_began_ = has_early_;
  } else {
    auto waiting = stream_->wait_readable();
    const auto [error] = co_await std::move(waiting);
    failed = error;
  }
  if (stopped()) co_return fail_stopped();
  co_return !failed || fail_ended(failed);
}

Exchange::Stepping Exchange::receive_head() {
  for (std::size_t scanned = 0;;) {
    const std::string_view data = text(lease_.bytes().first(filled_));
    if (!begins_like_an_answer(data)) co_return fail(Kind::protocol, "the answer is not HTTP/1.1");
    const auto end = find_header_end(data, scanned, client_->guard_limits());
    if (!end) co_return fail(Kind::protocol, end.error().detail, end.error().value, end.error().limit);
    if (*end > 0) co_return parse_head(*end);
    auto receiving = receive_some(lease_.bytes().subspan(filled_));
    if (!co_await std::move(receiving)) co_return false;
  }
}

bool Exchange::parse_head(std::size_t section_bytes) {
  auto parsed = parse_answer_head(text(lease_.bytes().first(section_bytes)), client_->guard_limits(), fields_);
  if (!parsed) return fail(Kind::protocol, parsed.error().detail, parsed.error().value, parsed.error().limit);
  head_ = parsed->guarded;
  head_bytes_ = section_bytes;
  if (!parsed->keep_alive) close_after_ = true;
  return true;
}

/// A body that ends with the connection is refused: nobody could tell it from one that broke off.
Exchange::Stepping Exchange::receive_body() {
  const bool bodiless = request_.method == "HEAD" || head_.status == 204 || head_.status == 304;
  const std::uint64_t bytes = bodiless ? 0 : head_.content_length.value_or(0);
  const std::uint64_t bytes_max = request_.response_bytes_max;
  if (bytes > bytes_max) co_return fail(Kind::protocol, "the answer is too large", bytes, bytes_max);
  if (!bodiless && !head_.chunked && !head_.content_length)
    co_return fail(Kind::protocol, "an answer with neither Content-Length nor chunks");
  auto receiving = head_.chunked && !bodiless ? receive_chunked_body() : receive_sized_body(bytes);
  co_return co_await std::move(receiving);
}

/// What comes behind the answer was not asked for: the connection goes with it.
Exchange::Stepping Exchange::receive_sized_body(std::size_t bytes) {
  const std::size_t total = head_bytes_ + bytes;
  if (filled_ > total) close_after_ = true;
  if (total > lease_.size() && !grow(total)) co_return false;
  while (filled_ < total) {
    auto receiving = receive_some(lease_.bytes().subspan(filled_, total - filled_));
    if (!co_await std::move(receiving)) co_return false;
  }
  body_bytes_ = bytes;
  lease_.shrink(total);
  co_return true;
}

Exchange::Stepping Exchange::receive_chunked_body() {
  const std::uint64_t bytes_max = request_.response_bytes_max;
  ChunkedDecoder decoder({.chunk_header_bytes = k_chunk_header_bytes, .trailer_bytes = client_->options.header_bytes});
  for (;;) {
    // What is decoded lies at the front; what has just been received lies right behind it.
    const std::size_t raw_from = head_bytes_ + body_bytes_;
    std::byte* const raw = lease_.data() + raw_from;
    const auto result = decoder.decode({raw, filled_ - raw_from}, raw, client_->stats.copied_bytes);
    body_bytes_ += result.produced;
    if (body_bytes_ > bytes_max) co_return fail(Kind::protocol, "the answer is too large", body_bytes_, bytes_max);
    if (result.status == ChunkedDecoder::Status::done) {
      if (raw_from + result.consumed < filled_) close_after_ = true;
      lease_.shrink(head_bytes_ + body_bytes_);
      co_return true;
    }
    if (result.status != ChunkedDecoder::Status::more) co_return fail(Kind::protocol, "broken chunks");
    filled_ = head_bytes_ + body_bytes_;
    const std::size_t room_max = bytes_max < client_->pool.stats().budget_bytes
                                     ? head_bytes_ + bytes_max + BufferPool::k_granule_bytes
                                     : client_->pool.stats().budget_bytes;
    if (lease_.size() - filled_ < k_read_bytes_min && !grow(std::min(2 * lease_.size(), room_max))) co_return false;
    auto receiving = receive_some(lease_.bytes().subspan(filled_));
    if (!co_await std::move(receiving)) co_return false;
  }
}

/// In place where the pool has room behind; else what has come moves once, at most a header section's worth for a body
/// of known length, and is counted.
bool Exchange::grow(std::size_t bytes) {
  const bool possible = bytes > lease_.size() && client_->pool.fits_ever(bytes);
  if (possible && lease_.extend(bytes)) return true;
  Lease larger;
  if (possible) larger = client_->pool.lease(bytes);
  if (!larger) return fail(Kind::no_memory, "no memory for the answer", bytes, client_->pool.stats().budget_bytes);
  move_bytes(larger.data(), lease_.data(), filled_, client_->stats.copied_bytes);
  lease_ = std::move(larger);
  return parse_head(head_bytes_);  // its views follow
}

Exchange::Stepping Exchange::receive_some(std::span<std::byte> into) {
  assert(!into.empty());
  arm_stall();
  auto reading = stream_->read_some(into, client_->options.registration);
  const auto [error, bytes] = co_await std::move(reading);
  if (stopped()) co_return fail_stopped();
  if (error) co_return fail_ended(error);
  answer_began_ = true;
  filled_ += bytes;
  client_->stats.received_bytes.add(bytes);
  co_return true;
}

bool Exchange::fail_ended(const boost::system::error_code& error) {
  std::string what =
      answer_began_ ? "the connection ended in the middle of the answer: " : "the connection ended without an answer: ";
  return fail(Kind::closed, what + error.message(), filled_);
}

}  // namespace histod::net::http
