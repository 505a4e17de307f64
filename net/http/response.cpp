// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <charconv>

#include "net/http/connection.hpp"
#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

constexpr std::chrono::seconds k_linger{1};
constexpr std::size_t k_linger_bytes = 256 * 1024;

asio::const_buffer body_buffer(const Response& response) {
  struct Buffer {
    asio::const_buffer operator()(std::monostate) const { return {}; }
    asio::const_buffer operator()(const std::string& text) const { return {text.data(), text.size()}; }
    asio::const_buffer operator()(std::span<const std::byte> bytes) const { return {bytes.data(), bytes.size()}; }
    asio::const_buffer operator()(const LeasedBytes& leased) const {
      assert(leased.offset <= leased.lease.size() && leased.size <= leased.lease.size() - leased.offset);
      return {leased.lease.data() + leased.offset, leased.size};
    }
    asio::const_buffer operator()(const StreamedBody&) const { return {}; }
  };
  return std::visit(Buffer(), response.body);
}

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool has_no_content(unsigned status) { return status < 200 || status == 204 || status == 304; }

void append_number(std::string& out, std::uint64_t number, int base = 10) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number, base).ptr);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  assert(is_token(name) && is_one_line(value));
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_framing(std::string& out, const Response& response) {
  const auto* streamed = std::get_if<StreamedBody>(&response.body);
  if (!streamed || (*streamed)->length()) {
    out.append("Content-Length: ");
    append_number(out, response.body_bytes());
    out.append("\r\n");
    return;
  }
  append_field(out, "Transfer-Encoding", "chunked");
  const std::string_view trailer = (*streamed)->trailer_name();
  if (!trailer.empty()) append_field(out, "Trailer", trailer);
}

}  // namespace

void Connection::compose_head(const Response& response, bool close) {
  assert(response.status >= 200 && response.status <= 999);
  out_.assign("HTTP/1.1 ");
  append_number(out_, response.status);
  out_.append(" ").append(reason_phrase(response.status)).append("\r\n");
  append_field(out_, "Date", server_.date());
  if (!response.content_type.empty()) append_field(out_, "Content-Type", response.content_type);
  if (!has_no_content(response.status)) append_framing(out_, response);
  if (close) {
    append_field(out_, "Connection", "close");
  } else if (is_http_1_0_) {
    append_field(out_, "Connection", "keep-alive");
  }
  for (const auto& [name, value] : response.fields) append_field(out_, name, value);
  out_.append(response.more_fields);
  out_.append("\r\n");
}

Connection::Stepping Connection::write_response(const Response& response, bool close) {
  const bool bodiless = is_head_request_ || has_no_content(response.status);
  const auto* streamed = std::get_if<StreamedBody>(&response.body);
  set_in_flight(bodiless ? 0 : response.body_bytes());
  count_response(response.status);
  if (streamed && !bodiless) {
    auto writing = write_streamed(response, close, **streamed);
    co_return co_await std::move(writing);
  }
  compose_head(response, close);
  const asio::const_buffer body = bodiless ? asio::const_buffer() : body_buffer(response);
  auto writing = write_all({asio::const_buffer(out_.data(), out_.size()), body});
  co_return co_await std::move(writing);
}

/// Sends what is ready, the head with the first of it, and waits for more when there is none.
Connection::Stepping Connection::write_streamed(const Response& response, bool close, BodySource& source) {
  streaming_ = true;
  while (is_http_1_0_ && !source.length() && !source.failed()) {
    source.ready(source.bytes().size());
    auto waiting = await_growth();
    if (const Step step = co_await std::move(waiting); step != Step::ok) co_return step;
  }
  const bool in_chunks = !source.length();
  compose_head(response, close);
  for (std::size_t sent = 0; source.length() != sent;) {
    const std::size_t ready = source.ready(sent);
    if (ready > sent) {
      if (in_chunks) {
        append_number(out_, ready - sent, 16);
        out_.append("\r\n");
      }
      auto writing = write_all({asio::const_buffer(out_.data(), out_.size()),
                                asio::const_buffer(source.bytes().data() + sent, ready - sent)});
      if (const Step step = co_await std::move(writing); step != Step::ok) co_return step;
      sent = ready;
      out_.assign(in_chunks ? "\r\n" : "");
    } else if (source.failed()) {
      co_return Step::closed;
    } else {
      auto waiting = await_growth();
      if (const Step step = co_await std::move(waiting); step != Step::ok) co_return step;
    }
  }
  streaming_ = false;
  if (in_chunks) append_last_chunk(source);
  auto writing = write_all({asio::const_buffer(out_.data(), out_.size()), asio::const_buffer()});
  co_return co_await std::move(writing);
}

Connection::Stepping Connection::await_growth() {
  disarm();
  auto waiting = event_.wait();
  co_await std::move(waiting);
  co_return stopped() ? Step::closed : Step::ok;
}

void Connection::append_last_chunk(const BodySource& source) {
  out_.append("0\r\n");
  if (!source.trailer_name().empty()) append_field(out_, source.trailer_name(), source.trailer_value());
  out_.append("\r\n");
}

Connection::Stepping Connection::write_all(Stream::Buffers buffers) {
  while (buffers[0].size() + buffers[1].size() > 0) {
    arm_in(server_.limits.stall_timeout);
    auto writing = stream_->write_some(buffers);
    const auto [error, bytes] = co_await std::move(writing);
    if (timed_out_) server_.stats.timeouts_write.add();
    if (error || stopped()) co_return Step::closed;
    server_.stats.sent_bytes.add(bytes);
    const std::size_t of_head = std::min(bytes, buffers[0].size());
    buffers[0] += of_head;
    buffers[1] += bytes - of_head;
  }
  co_return Step::ok;
}

void Connection::count_response(unsigned status) {
  Stats& stats = server_.stats;
  if (status < 300) stats.responses_2xx.add();
  if (status >= 400 && status < 500) stats.responses_4xx.add();
  if (status >= 500) stats.responses_5xx.add();
}

/// Closing with unread input makes the kernel send a reset, which may overtake the response: the client is given a
/// while to read it and to close, and what it sends meanwhile is dropped.
asio::awaitable<void> Connection::linger() {
  arm_in(k_linger);
  if (stream_->tls()) {
    auto shutting_down = stream_->shutdown_tls();
    co_await std::move(shutting_down);
  }
  boost::system::error_code ignored;
  stream_->socket().shutdown(tcp::socket::shutdown_send, ignored);
  std::size_t discarded = 0;
  while (unread_input_ && discarded < k_linger_bytes && !stopped()) {
    auto waiting = stream_->wait_readable();
    const auto [error] = co_await std::move(waiting);
    if (error || stopped()) co_return;
    const long bytes = stream_->discard(k_linger_bytes - discarded);
    if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) co_return;
    if (bytes > 0) discarded += static_cast<std::size_t>(bytes);
  }
}

}  // namespace histod::net::http
