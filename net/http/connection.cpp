// SPDX-License-Identifier: Apache-2.0
#include "net/http/connection.hpp"

#include <cassert>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "net/http/head_parser.hpp"
#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool announces_body(const RequestHead& head) { return head.chunked || head.content_length.value_or(0) > 0; }

}  // namespace

Connection::Connection(ServerState& server, tcp::socket socket, std::shared_ptr<asio::ssl::context> tls,
                       std::string peer)
    : server_(server),
      stream_(std::in_place, std::move(socket), std::move(tls)),
      peer_(std::move(peer)),
      event_(server.io) {
  timer_.emplace(server.io);
}

void Connection::start() {
  auto life = run(shared_from_this());
  asio::co_spawn(server_.io, std::move(life), asio::detached);
}

void Connection::drain() {
  if (websocket_) websocket_->drain();
  if (idle_) abort();
}

void Connection::abort() {
  aborted_ = true;
  interrupt();
}

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  struct Finish {
    Connection& connection;
    ~Finish() { connection.finish(); }
  };
  const Finish finish{*self};
  Step step = Step::ok;
  if (stream_->tls()) {
    auto shaking = handshake();
    step = co_await std::move(shaking);
  }
  while (step == Step::ok && !aborted_) {
    auto exchanging = exchange();
    step = co_await std::move(exchanging);
  }
}

/// A Responder may hold the connection for longer, even beyond the server and the pool: nothing of theirs stays here.
void Connection::finish() {
  ++timer_generation_;
  timer_.reset();
  stream_->close();
  stream_.reset();
  if (watcher_) std::exchange(watcher_, nullptr)->abandoned(std::move(lease_));
  response_.reset();
  refusal_.reset();
  lease_.reset();
  next_lease_.reset();
  set_in_flight(0);
  server_.remove(*this);
}

Connection::Stepping Connection::handshake() {
  arm_in(server_.limits.header_timeout);
  auto shaking = stream_->handshake();
  const auto [error] = co_await std::move(shaking);
  if (timed_out_) server_.stats.timeouts_header.add();
  if (!error && !stopped()) co_return Step::ok;
  server_.stats.tls_failures.add();
  co_return Step::closed;
}

Connection::Stepping Connection::exchange() {
  auto receiving = receive_request();
  const Step received = co_await std::move(receiving);
  if (received == Step::closed) co_return Step::closed;
  if (received == Step::refused) {
    unread_input_ = true;
    response_ = std::move(refusal_);
    refusal_.reset();
  } else if (!response_) {
    dispatch();
    auto waiting = await_response();
    co_await std::move(waiting);
    if (!response_) co_return Step::closed;
  }
  if (response_->websocket) {
    auto serving = serve_websocket();
    co_await std::move(serving);
    co_return Step::closed;
  }
  const bool close = received == Step::refused || !keep_alive_after(*response_);
  auto writing = write_response(*response_, close);
  const Step written = co_await std::move(writing);
  if (written == Step::ok) server_.stats.durations[kind_].observe(since_received_ns());
  response_.reset();
  set_in_flight(0);
  if (written == Step::ok && !close) co_return Step::ok;
  if (written == Step::ok) {
    auto lingering = linger();
    co_await std::move(lingering);
  }
  co_return Step::closed;
}

Connection::Stepping Connection::receive_request() {
  auto waiting = await_first_byte();
  if (const Step step = co_await std::move(waiting); step != Step::ok) co_return step;
  auto receiving_head = receive_head();
  if (const Step step = co_await std::move(receiving_head); step != Step::ok) co_return step;
  if (const Step step = admit(); step != Step::ok) co_return step;
  if (response_) {
    keep_leftover(head_bytes_);
    lease_ = std::move(next_lease_);
    filled_ = std::exchange(next_filled_, 0);
    co_return Step::ok;
  }
  auto receiving_body = receive_body();
  co_return co_await std::move(receiving_body);
}

/// An idle connection holds no memory of the pool.
Connection::Stepping Connection::await_first_byte() {
  has_head_ = false;
  kind_ = 0;
  is_head_request_ = false;
  is_http_1_0_ = false;
  if (filled_ > 0) co_return Step::ok;
  if (server_.draining) co_return Step::closed;
  idle_ = true;
  arm_in(server_.limits.idle_timeout);
  bool failed = false;
  if (stream_->tls()) {
    auto reading = stream_->read_some({&early_, 1}, nullptr);
    const auto [error, bytes] = co_await std::move(reading);
    failed = error.failed();
    has_early_ = bytes > 0;
  } else {
    auto waiting = stream_->wait_readable();
    const auto [error] = co_await std::move(waiting);
    failed = error.failed();
  }
  idle_ = false;
  co_return failed || stopped() ? Step::closed : Step::ok;
}

Connection::Stepping Connection::receive_head() {
  received_from_ = Clock::now();
  if (!lease_) {
    auto acquiring = acquire(BufferPool::k_granule_bytes, Use::work, lease_);
    if (const Step step = co_await std::move(acquiring); step != Step::ok) co_return step;
  }
  if (std::exchange(has_early_, false)) lease_.data()[filled_++] = early_;
  arm(received_from_ + server_.limits.header_timeout);
  for (std::size_t scanned = 0;;) {
    auto end = find_header_end(text(lease_.bytes().first(filled_)), scanned, server_.guard_limits());
    if (!end) {
      server_.stats.guard_refusals.add();
      co_return refuse(end.error());
    }
    if (*end > 0) co_return parse_head_section(*end);
    auto receiving = receive_some(lease_.bytes().subspan(filled_));
    if (const Step step = co_await std::move(receiving); step != Step::ok) co_return step;
  }
}

Connection::Step Connection::parse_head_section(std::size_t section_bytes) {
  auto parsed = parse_head(text(lease_.bytes().first(section_bytes)), server_.guard_limits(), fields_);
  if (!parsed) {
    server_.stats.guard_refusals.add();
    return refuse(parsed.error());
  }
  const GuardedHead& guarded = parsed->guarded;
  head_ = {guarded.method,         guarded.target,  guarded.path,   guarded.query, fields_,
           guarded.content_length, guarded.chunked, stream_->tls(), peer_,         guarded.version_minor};
  has_head_ = true;
  head_bytes_ = section_bytes;
  body_bytes_ = 0;
  is_head_request_ = guarded.method == "HEAD";
  is_http_1_0_ = guarded.version_minor == 0;
  expect_continue_ = guarded.expect_continue;
  client_keeps_alive_ = parsed->keep_alive;
  server_.stats.requests.add();
  return Step::ok;
}

Connection::Step Connection::admit() {
  auto admission = server_.handler.admit(head_);
  const bool body_announced = announces_body(head_);
  if (!admission) {
    (body_announced ? refusal_ : response_) = std::move(admission.error());
    return body_announced ? Step::refused : Step::ok;
  }
  body_bytes_max_ = admission->bytes_max;
  watcher_ = admission->watcher;
  kind_ = admission->kind;
  assert(kind_ < k_request_kinds_max);
  assert(!watcher_ || (body_announced && !head_.chunked));
  const std::uint64_t length = head_.content_length.value_or(0);
  if (body_announced && body_bytes_max_ == 0) return refuse(413, "too-large", "no body is expected here", length, 0);
  if (length > body_bytes_max_) return refuse(413, "too-large", "the body is too large", length, body_bytes_max_);
  if (length > 0 && !server_.pool.fits_ever(head_bytes_ + length)) {
    return refuse(413, "too-large", "the body is larger than all of the memory for bodies", length,
                  server_.pool.stats().budget_bytes - head_bytes_);
  }
  const bool wants_body = head_.method == "POST" || head_.method == "PUT" || head_.method == "PATCH";
  if (wants_body && body_bytes_max_ > 0 && !head_.content_length && !head_.chunked) {
    return refuse(411, "length-required", "neither Content-Length nor chunked", 0, 0);
  }
  return Step::ok;
}

std::uint64_t Connection::since_received_ns() const {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - received_from_).count());
}

void Connection::dispatch() {
  const bool handshake = is_websocket_upgrade(head_) && !websocket_trouble(head_);
  websocket_key_ = handshake ? head_.field("Sec-WebSocket-Key") : std::string_view();
  Request request;
  request.head = head_;
  request.body = lease_.bytes().subspan(head_bytes_, body_bytes_);
  request.lease = std::move(lease_);
  request.receive_ns = since_received_ns();
  lease_ = std::move(next_lease_);
  filled_ = std::exchange(next_filled_, 0);
  disarm();
  if (watcher_) return std::exchange(watcher_, nullptr)->handle(std::move(request), Responder(shared_from_this()));
  server_.handler.handle(std::move(request), Responder(shared_from_this()));
}

asio::awaitable<void> Connection::await_response() {
  awaiting_response_ = true;
  while (!response_ && !aborted_) {
    auto waiting = event_.wait();
    co_await std::move(waiting);
  }
  awaiting_response_ = false;
}

/// What came behind the request are the client's first frames. All that a request needs is given back: a client of a
/// feed may be idle for days.
asio::awaitable<void> Connection::serve_websocket() {
  WebSocketSession::Upgrade upgrade{std::exchange(websocket_key_, {}), std::move(lease_), std::exchange(filled_, 0)};
  websocket_ = std::make_unique<WebSocketSession>(server_, *stream_, std::move(*response_), std::move(upgrade));
  response_.reset();
  fields_ = {};
  out_ = {};
  disarm();
  if (server_.draining) websocket_->drain();
  auto running = websocket_->run();
  co_await std::move(running);
  const bool leave = !websocket_->cut() && !aborted_;
  websocket_.reset();
  if (!leave) co_return;
  unread_input_ = true;
  auto lingering = linger();
  co_await std::move(lingering);
}

void Connection::respond(Response response) {
  if (!stream_ || aborted_) return;
  if (response.status == 500 && std::holds_alternative<std::monostate>(response.body) &&
      response.content_type.empty()) {
    response = server_.handler.refusal(500, "internal", "the request was dropped without an answer", 0, 0, nullptr);
  }
  if (response.websocket && websocket_key_.empty()) {
    response =
        server_.handler.refusal(500, "internal", "a WebSocket for a request that cannot have one", 0, 0, nullptr);
  } else if (response.websocket && unread_input_) {
    response = server_.handler.refusal(503, "overloaded", "no memory for what came behind the request", 0, 0, nullptr);
  }
  response_ = std::move(response);
  if (awaiting_response_) event_.notify();
}

void Connection::body_grew() {
  if (stream_ && streaming_) event_.notify();
}

/// A client that has only shut down its sending side counts as gone, too: the two cannot be told apart before writing.
bool Connection::peer_gone() const {
  if (!stream_ || aborted_) return true;
  return const_cast<Connection*>(this)->stream_->peer_gone();
}

Connection::Step Connection::refuse(unsigned status, std::string_view code, std::string_view detail,
                                    std::uint64_t value, std::uint64_t limit) {
  RequestHead unread;
  unread.peer = peer_;
  refusal_ = server_.handler.refusal(status, code, detail, value, limit, has_head_ ? &head_ : &unread);
  const bool tells_when =
      std::ranges::any_of(refusal_->fields, [](const auto& field) { return iequals(field.first, "Retry-After"); });
  if (status == 503 && !tells_when) refusal_->fields.emplace_back("Retry-After", "1");
  return Step::refused;
}

Connection::Step Connection::refuse(const Refusal& refusal) {
  return refuse(refusal.status, refusal.code, refusal.detail, refusal.value, refusal.limit);
}

bool Connection::keep_alive_after(const Response& response) const {
  return client_keeps_alive_ && !response.close && !server_.draining && !unread_input_;
}

}  // namespace histod::net::http
