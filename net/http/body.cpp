// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>

#include "net/copy.hpp"
#include "net/http/chunked.hpp"
#include "net/http/connection.hpp"

namespace histod::net::http {

namespace {

/// Less room than this behind a chunked body is not worth a read.
constexpr std::size_t k_read_bytes_min = 4 * 1024;

std::string_view shifted(std::string_view view, const std::byte* from, const std::byte* to) {
  if (view.data() == nullptr) return view;
  const auto offset = reinterpret_cast<const std::byte*>(view.data()) - from;
  return {reinterpret_cast<const char*>(to + offset), view.size()};
}

}  // namespace

Connection::Stepping Connection::receive_body() {
  const std::uint64_t bytes = head_.content_length.value_or(0);
  if (!head_.chunked && bytes == 0) {
    keep_leftover(head_bytes_);
    co_return Step::ok;
  }
  auto receiving = head_.chunked ? receive_chunked_body() : receive_sized_body(bytes);
  co_return co_await std::move(receiving);
}

Connection::Stepping Connection::receive_sized_body(std::uint64_t bytes) {
  const std::size_t total = head_bytes_ + bytes;
  if (total > lease_.size()) {
    auto growing = grow(total);
    if (const Step step = co_await std::move(growing); step != Step::ok) co_return step;
  }
  set_in_flight(bytes);
  auto continuing = send_continue();
  if (const Step step = co_await std::move(continuing); step != Step::ok) co_return step;
  body_from_ = Clock::now();
  while (filled_ < total) {
    arm_body_deadline(filled_ - head_bytes_);
    auto receiving = receive_some(lease_.bytes().subspan(filled_, total - filled_));
    if (const Step step = co_await std::move(receiving); step != Step::ok) co_return step;
    if (watcher_) watcher_->received(lease_.bytes().subspan(head_bytes_, filled_ - head_bytes_));
  }
  body_bytes_ = bytes;
  keep_leftover(total);
  co_return Step::ok;
}

Connection::Stepping Connection::receive_chunked_body() {
  ChunkedDecoder decoder(
      {.chunk_header_bytes = server_.limits.chunk_header_bytes, .trailer_bytes = server_.limits.header_bytes});
  auto continuing = send_continue();
  if (const Step step = co_await std::move(continuing); step != Step::ok) co_return step;
  body_from_ = Clock::now();
  for (;;) {
    // What is decoded lies at the front; what has just been received lies right behind it.
    const std::size_t raw_from = head_bytes_ + body_bytes_;
    std::byte* const raw = lease_.data() + raw_from;
    const auto result = decoder.decode({raw, filled_ - raw_from}, raw, server_.stats.copied_bytes);
    body_bytes_ += result.produced;
    if (body_bytes_ > body_bytes_max_) {
      co_return refuse(413, "too-large", "the body is too large", body_bytes_, body_bytes_max_);
    }
    if (result.status == ChunkedDecoder::Status::done) {
      keep_leftover(raw_from + result.consumed);
      lease_.shrink(head_bytes_ + body_bytes_);
      co_return Step::ok;
    }
    if (result.status != ChunkedDecoder::Status::more) co_return refuse(400, "framing", "broken chunked body", 0, 0);
    filled_ = head_bytes_ + body_bytes_;
    set_in_flight(body_bytes_);
    if (lease_.size() - filled_ < k_read_bytes_min) {
      const std::size_t bytes_max = head_bytes_ + body_bytes_max_ + BufferPool::k_granule_bytes;
      auto growing = grow(std::min(2 * lease_.size(), bytes_max));
      if (const Step step = co_await std::move(growing); step != Step::ok) co_return step;
    }
    arm_body_deadline(body_bytes_);
    auto receiving = receive_some(lease_.bytes().subspan(filled_));
    if (const Step step = co_await std::move(receiving); step != Step::ok) co_return step;
  }
}

Connection::Stepping Connection::grow(std::size_t bytes) {
  if (lease_.extend(bytes, Use::input)) co_return Step::ok;
  if (!server_.pool.fits_ever(bytes)) {
    co_return refuse(413, "too-large", "the body is larger than all of the memory for bodies", bytes,
                     server_.pool.stats().budget_bytes);
  }
  Lease larger;
  auto acquiring = acquire(bytes, Use::input, larger);
  if (const Step step = co_await std::move(acquiring); step != Step::ok) co_return step;
  move_to(std::move(larger));
  co_return Step::ok;
}

Connection::Stepping Connection::acquire(std::size_t bytes, Use use, Lease& lease) {
  // A header section overtakes: its one granule starves nobody, and a full node still says how it is.
  const bool first = use == Use::work || server_.memory_waits.empty();
  if (first) lease = server_.pool.lease(bytes, use);
  if (lease) co_return Step::ok;
  server_.stats.memory_waits.add();
  MemoryWait wait{.bytes = bytes, .use = use, .event = &event_, .lease = {}};
  server_.memory_waits.insert(first ? server_.memory_waits.begin() : server_.memory_waits.end(), &wait);
  arm_in(server_.limits.memory_wait);
  while (!wait.lease && !stopped()) {
    auto waiting = event_.wait();
    co_await std::move(waiting);
  }
  if (!wait.lease) {
    std::erase(server_.memory_waits, &wait);
    server_.serve_memory_waits();
    if (aborted_) co_return Step::closed;
    co_return refuse(503, "overloaded", "no memory for the request came free in time", bytes,
                     server_.pool.stats().budget_bytes);
  }
  lease = std::move(wait.lease);
  co_return Step::ok;
}

void Connection::move_to(Lease lease) {
  const std::byte* const from = lease_.data();
  const std::byte* const to = lease.data();
  move_bytes(lease.data(), from, filled_, server_.stats.copied_bytes);
  for (std::string_view* view : {&head_.method, &head_.target, &head_.path, &head_.query}) {
    *view = shifted(*view, from, to);
  }
  for (Field& field : fields_) field = {shifted(field.name, from, to), shifted(field.value, from, to)};
  lease_ = std::move(lease);
}

/// Moves what came behind the request out of its lease, which goes with the request. Without memory for it the
/// connection closes after the response, and the client sends what is unanswered again.
void Connection::keep_leftover(std::size_t from) {
  const std::size_t bytes = filled_ - from;
  if (bytes == 0) return;
  next_lease_ = server_.pool.lease(std::max(bytes, BufferPool::k_granule_bytes));
  if (!next_lease_) {
    unread_input_ = true;
    return;
  }
  move_bytes(next_lease_.data(), lease_.data() + from, bytes, server_.stats.copied_bytes);
  next_filled_ = bytes;
}

Connection::Stepping Connection::receive_some(std::span<std::byte> into) {
  assert(!into.empty());
  auto reading = stream_->read_some(into, server_.registration);
  const auto [error, bytes] = co_await std::move(reading);
  if (aborted_) co_return Step::closed;
  if (timed_out_) co_return refuse_late();
  if (error) co_return Step::closed;
  filled_ += bytes;
  server_.stats.received_bytes.add(bytes);
  co_return Step::ok;
}

Connection::Step Connection::refuse_late() {
  if (has_head_) {
    server_.stats.timeouts_body.add();
    return refuse(408, "timeout", "the body came too slowly", filled_ - head_bytes_, head_.content_length.value_or(0));
  }
  server_.stats.timeouts_header.add();
  if (filled_ == 0) return Step::closed;
  const auto limit_ms = static_cast<std::uint64_t>(server_.limits.header_timeout.count());
  return refuse(408, "timeout", "the header section did not come in time (ms)", 0, limit_ms);
}

/// No progress for stall_timeout, or, after a grace of the same length, less than the least rate on average.
void Connection::arm_body_deadline(std::uint64_t body_bytes) {
  const auto now = Clock::now();
  const auto grace = Clock::duration(server_.limits.stall_timeout);
  const auto rate = static_cast<double>(server_.limits.body_rate_min_bytes_per_s);
  const std::chrono::duration<double> earned(rate > 0 ? static_cast<double>(body_bytes) / rate : 1e6);
  arm(std::min(now + grace, body_from_ + std::max(grace, std::chrono::duration_cast<Clock::duration>(earned))));
}

Connection::Stepping Connection::send_continue() {
  if (!expect_continue_ || filled_ > head_bytes_) co_return Step::ok;
  static constexpr std::string_view k_continue = "HTTP/1.1 100 Continue\r\n\r\n";
  auto writing = write_all({asio::const_buffer(k_continue.data(), k_continue.size()), asio::const_buffer()});
  co_return co_await std::move(writing);
}

/// The load that the acceptor weighs: a body from its announcement on, then the response until it is sent.
void Connection::set_in_flight(std::uint64_t bytes) {
  server_.bytes_in_flight.add(bytes - in_flight_bytes_);
  in_flight_bytes_ = bytes;
}

}  // namespace histod::net::http
