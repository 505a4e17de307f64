// SPDX-License-Identifier: Apache-2.0
#include "net/http/websocket_session.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "net/http/websocket_layer.hpp"

namespace histod::net::http {

namespace {

namespace websocket = boost::beast::websocket;

constexpr std::uint16_t k_going_away = 1001;
constexpr std::uint16_t k_bad_payload = 1007;
constexpr std::size_t k_reason_bytes_max = 123;

bool may_be_sent(std::uint16_t code) {
  return code >= 1000 && code <= 4999 && (code < 1004 || code > 1006) && code != 1015;
}

/// The request again, as far as Beast answers it: the head itself went with its lease.
boost::beast::http::request<boost::beast::http::empty_body> upgrade_request(const std::string& key) {
  using boost::beast::http::field;
  boost::beast::http::request<boost::beast::http::empty_body> request(boost::beast::http::verb::get, "/", 11);
  request.set(field::host, "-");
  request.set(field::connection, "upgrade");
  request.set(field::upgrade, "websocket");
  request.set(field::sec_websocket_version, "13");
  request.set(field::sec_websocket_key, key);
  return request;
}

}  // namespace

struct WebSocketSession::Beast {
  Beast(Stream& below, Upgrade upgrade, Counter& copied_bytes)
      : stream(below, std::move(upgrade.early), upgrade.early_bytes, copied_bytes) {}
  websocket::stream<WebSocketLayer, false> stream;  ///< without permessage-deflate
};

WebSocketSession::WebSocketSession(ServerState& server, Stream& stream, Response response, Upgrade upgrade)
    : server_(server),
      response_(std::move(response)),
      handler_(std::move(response_.websocket)),
      options_(handler_->options()),
      key_(std::move(upgrade.key)),
      beast_(std::make_unique<Beast>(stream, std::move(upgrade), server.stats.copied_bytes)),
      timer_(server.io),
      event_(server.io) {
  // A length with the highest bit set, which Beast 1.81 does not look at, is over any limit.
  assert(options_.message_bytes_max > 0);
  auto& ws = beast_->stream;
  ws.read_message_max(options_.message_bytes_max);
  ws.auto_fragment(false);
  ws.text(true);
  ws.control_callback([this](websocket::frame_type, boost::beast::string_view) { heard(); });
}

WebSocketSession::~WebSocketSession() { assert(operations_ == 0); }

asio::awaitable<void> WebSocketSession::run() {
  auto shaking = handshake();
  open_ = co_await std::move(shaking);
  if (open_) {
    Stats& stats = server_.stats;
    stats.websockets_opened.add();
    stats.websockets_open.add();
    handler_->opened(*this);
    if (draining_) close_as(WebSocketEnd::drained, k_going_away, "the server ends");
    auto receiving = receive();
    co_await std::move(receiving);
    stats.websockets_open.sub();
    stats.websockets_closed[static_cast<std::size_t>(*end_)].add();
  }
  over_ = true;
  timer_.cancel();
  while (operations_ > 0) {
    auto waiting = event_.wait();
    co_await std::move(waiting);
  }
  if (std::exchange(open_, false)) handler_->closed(*end_);
}

asio::awaitable<bool> WebSocketSession::handshake() {
  auto request = upgrade_request(key_);
  beast_->stream.set_option(websocket::stream_base::decorator([this](websocket::response_type& response) {
    response.set(boost::beast::http::field::server, "histod");
    const std::string_view date = server_.date();
    response.set(boost::beast::http::field::date, boost::beast::string_view(date.data(), date.size()));
    if (!options_.subprotocol.empty()) {
      response.set(boost::beast::http::field::sec_websocket_protocol, options_.subprotocol);
    }
    for (const auto& [name, value] : response_.fields) response.insert(name, value);
  }));
  send_until_ = Clock::now() + options_.send_timeout;
  arm(send_until_);
  auto accepting = beast_->stream.async_accept(request, k_await);
  const auto [error] = co_await std::move(accepting);
  send_until_ = Clock::time_point::max();
  response_ = Response();
  key_ = std::string();
  heard_at_ = pinged_at_ = Clock::now();
  co_return !error && !cut_;
}

/// Until the connection is of no more use; then end_ says why.
asio::awaitable<void> WebSocketSession::receive() {
  auto& ws = beast_->stream;
  for (;;) {
    arm(next_deadline());
    auto reading = ws.async_read_some(asio::buffer(received_), k_await);
    const auto [error, bytes] = co_await std::move(reading);
    if (closing_ && error == asio::error::operation_aborted) co_return;
    if (error) co_return end_by_read(error);
    heard();
    server_.stats.received_bytes.add(bytes);
    if (!closing_ && !deliver(bytes)) close_as(WebSocketEnd::protocol, k_bad_payload, "no UTF-8");
  }
}

void WebSocketSession::end_by_read(const Error& error) {
  const bool from_beast = error.category() == make_error_code(websocket::error::closed).category();
  // A message may still be on its way, and nobody else waits for it.
  if (!from_beast) return end(WebSocketEnd::lost);
  if (!end_) end_ = error == websocket::error::closed ? WebSocketEnd::by_peer : WebSocketEnd::protocol;
}

/// False: a text that is none.
bool WebSocketSession::deliver(std::size_t bytes) {
  const auto& ws = beast_->stream;
  const std::string_view piece(received_.data(), bytes);
  if (!ws.is_message_done() || !message_.empty()) message_.append(piece);
  if (!ws.is_message_done()) return true;
  const std::string whole = std::exchange(message_, std::string());
  const std::string_view payload = whole.empty() ? piece : std::string_view(whole);
  // Beast looks at each byte as it comes, but not for the end of a character in an empty last fragment.
  if (ws.got_text() && !websocket::detail::check_utf8(payload.data(), payload.size())) return false;
  handler_->message(payload, ws.got_text());
  return true;
}

// tidy: allow(shared-ptr) the kernel may read it when the handler has gone; one text goes to many clients
void WebSocketSession::send(std::shared_ptr<const std::string> text) {
  assert(text && !pending());
  if (!open_ || closing_ || end_) return;
  text_ = std::move(text);
  send_until_ = Clock::now() + options_.send_timeout;
  arm(send_until_);
  ++operations_;
  beast_->stream.async_write(asio::buffer(*text_), [this](const Error& error, std::size_t bytes) {
    server_.stats.sent_bytes.add(bytes);
    on_sent(error);
  });
}

void WebSocketSession::on_sent(const Error& error) {
  text_.reset();
  send_until_ = Clock::time_point::max();
  if (error && !closing_) end(WebSocketEnd::lost);
  if (open_ && !closing_ && !end_) handler_->writable();
  finished_one();
}

void WebSocketSession::close(std::uint16_t code, std::string_view reason) {
  close_as(WebSocketEnd::by_us, code, reason);
}

void WebSocketSession::drain() {
  draining_ = true;
  if (open_) close_as(WebSocketEnd::drained, k_going_away, "the server ends");
}

void WebSocketSession::close_as(WebSocketEnd how, std::uint16_t code, std::string_view reason) {
  assert(may_be_sent(code) && reason.size() <= k_reason_bytes_max);
  if (!open_ || closing_ || end_) return;
  end_ = how;
  closing_ = true;
  close_until_ = Clock::now() + options_.close_timeout;
  arm(close_until_);
  ++operations_;
  const websocket::close_reason why(static_cast<websocket::close_code>(code),
                                    boost::beast::string_view(reason.data(), reason.size()));
  beast_->stream.async_close(why, [this](const Error& error) {
    // Whoever waits for the client's answer does so in vain.
    if (error && error != asio::error::operation_aborted) beast_->stream.next_layer().cut();
    finished_one();
  });
}

/// At once, without a word.
void WebSocketSession::end(WebSocketEnd how) {
  if (!end_) end_ = how;
  cut_ = true;
  beast_->stream.next_layer().cut();
}

void WebSocketSession::ping() {
  if (std::exchange(pinging_, true)) return;
  ++operations_;
  beast_->stream.async_ping({}, [this](const Error&) {
    pinging_ = false;
    finished_one();
  });
}

void WebSocketSession::finished_one() {
  if (--operations_ == 0) event_.notify();
}

// As a connection's timer (deadline.cpp), it is set again only when a deadline comes closer than what it waits for.

void WebSocketSession::arm(Clock::time_point deadline) {
  if (!timer_armed_ || deadline < timer_.expiry()) {
    timer_.expires_at(deadline);
    schedule_timer();
  }
}

void WebSocketSession::schedule_timer() {
  timer_armed_ = true;
  ++operations_;
  timer_.async_wait([this, generation = ++timer_generation_](const Error&) {
    if (generation == timer_generation_) {
      timer_armed_ = false;
      if (!over_) on_timer();
    }
    finished_one();
  });
}

void WebSocketSession::on_timer() {
  const auto now = Clock::now();
  if (now >= close_until_) return end(*end_);
  if (now >= send_until_) return end(WebSocketEnd::stalled);
  const bool talks = open_ && !closing_;
  if (talks && now >= heard_at_ + options_.silence_max) return end(WebSocketEnd::silent);
  if (talks && now >= pinged_at_ + options_.ping_interval) {
    pinged_at_ = now;
    ping();
  }
  arm(next_deadline());
}

Clock::time_point WebSocketSession::next_deadline() const {
  const auto sooner = std::min(send_until_, close_until_);
  if (!open_ || closing_) return sooner;
  return std::min({sooner, pinged_at_ + options_.ping_interval, heard_at_ + options_.silence_max});
}

}  // namespace histod::net::http
