// SPDX-License-Identifier: Apache-2.0
#include "net/http/exchange.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

bool is_target(std::string_view text) {
  const auto fits = [](char c) { return c > ' ' && c < 0x7f; };
  return text.starts_with('/') && std::ranges::all_of(text, fits);
}

bool is_ours(std::string_view name) {
  static constexpr std::string_view k_ours[] = {"Host",    "Connection", "Content-Length", "Transfer-Encoding",
                                                "Trailer", "Upgrade",    "Expect",         "TE"};
  return std::ranges::any_of(k_ours, [name](std::string_view ours) { return iequals(name, ours); });
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE";
}

}  // namespace

// tidy: allow(shared-ptr) exchanges that are being cancelled outlive their client
Exchange::Exchange(std::shared_ptr<ClientState> client, PeerRequest request, Client::Reply reply)
    : client_(std::move(client)),
      request_(std::move(request)),
      reply_(std::move(reply)),
      event_(client_->io),
      whole_until_(Clock::now() + request_.deadlines.whole),
      cancelled_(client_->closed) {
  client_->add(*this);
}

void Exchange::start() {
  timer_.emplace(client_->io);
  auto life = run(shared_from_this());
  asio::co_spawn(client_->io, std::move(life), asio::detached);
}

void Exchange::cancel() {
  if (finished_) return;
  cancelled_ = true;
  interrupt();
}

asio::awaitable<void> Exchange::run(std::shared_ptr<Exchange> self) {
  bool ok = self->compose_head();
  if (ok && cancelled_) ok = fail_stopped();
  if (ok) {
    auto attempting = attempt(false);
    ok = co_await std::move(attempting);
    if (!ok && may_retry()) {
      client_->stats.retries.add();
      auto again = attempt(true);
      ok = co_await std::move(again);
    }
  }
  finish(ok);
}

Exchange::Stepping Exchange::attempt(bool fresh) {
  close_after_ = false;
  auto waiting = fresh ? std::nullopt : client_->take(request_.endpoint);
  reused_ = waiting.has_value();
  if (reused_) {
    stream_.emplace(std::move(*waiting));
    client_->stats.reused.add();
  } else {
    auto connecting = connect();
    if (!co_await std::move(connecting)) co_return false;
  }
  auto sending = send();
  if (!co_await std::move(sending)) co_return false;
  auto receiving = receive_answer();
  co_return co_await std::move(receiving);
}

/// Whoever closes an idle connection may do so while a request is on its way: that one is innocent.
bool Exchange::may_retry() const {
  return reused_ && !answer_began_ && !stopped() && error_.kind == Kind::closed &&
         (request_.idempotent || is_idempotent(request_.method));
}

bool Exchange::compose_head() {
  if (!is_token(request_.method)) return fail(Kind::protocol, "the method cannot be sent");
  if (!is_target(request_.target)) return fail(Kind::protocol, "the target cannot be sent");
  out_.append(request_.method).append(" ").append(request_.target).append(" HTTP/1.1\r\nHost: ");
  out_.append(request_.endpoint.authority()).append("\r\n");
  const bool has_body = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (has_body || !request_.body.empty())
    out_.append("Content-Length: ").append(std::to_string(request_.body.size())).append("\r\n");
  for (const auto& [name, value] : request_.fields) {
    if (!is_token(name) || is_ours(name) || !is_field_text(value))
      return fail(Kind::protocol, "a field cannot be sent: " + (is_token(name) ? name : std::string("bad name")));
    out_.append(name).append(": ").append(value).append("\r\n");
  }
  out_.append("\r\n");
  return true;
}

Exchange::Stepping Exchange::connect() {
  if (request_.endpoint.tls && !client_->options.tls) co_return fail(Kind::tls, "no TLS is set up for requests");
  connect_until_ = Clock::now() + request_.deadlines.connect;
  auto resolving = resolve();
  if (!co_await std::move(resolving)) co_return false;
  auto connecting = connect_to_one();
  if (!co_await std::move(connecting)) co_return false;
  client_->stats.connections.add();
  boost::system::error_code ignored;
  stream_->socket().set_option(tcp::no_delay(true), ignored);
  if (!request_.endpoint.tls) co_return true;
  auto shaking = handshake();
  co_return co_await std::move(shaking);
}

/// The resolver's thread may hang for longer than anybody waits: it finds this exchange over, then.
Exchange::Stepping Exchange::resolve() {
  addresses_.clear();
  boost::system::error_code not_numeric;
  const auto numeric = asio::ip::make_address(request_.endpoint.host, not_numeric);
  if (!not_numeric) {
    addresses_.emplace_back(numeric, request_.endpoint.port);
    co_return true;
  }
  arm(Kind::timed_out_connect, connect_until_);
  resolver_.emplace(client_->io);
  client_->stats.lookups.add();
  const auto take = [self = shared_from_this()](boost::system::error_code error, const auto& found) {
    self->client_->stats.lookups.sub();
    if (self->finished_) return;
    for (const auto& entry : found) self->addresses_.push_back(entry.endpoint());
    self->resolved_ = error;
    self->event_.notify();
  };
  resolver_->async_resolve(request_.endpoint.host, std::to_string(request_.endpoint.port), take);
  while (!resolved_ && !stopped()) {
    auto waiting = event_.wait();
    co_await std::move(waiting);
  }
  if (stopped()) co_return fail_stopped();
  if (*resolved_) co_return fail(Kind::resolve, "the host cannot be resolved: " + resolved_->message());
  co_return true;
}

/// Each address gets its part of what is left of the time, so that a silent one does not stand before a good one.
Exchange::Stepping Exchange::connect_to_one() {
  boost::system::error_code last = asio::error::host_not_found;
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    const auto now = Clock::now();
    const auto left = std::max(connect_until_ - now, Clock::duration(0));
    stream_.emplace(tcp::socket(client_->io), request_.endpoint.tls ? client_->options.tls : nullptr);
    arm(Kind::timed_out_connect, now + left / static_cast<int>(addresses_.size() - i));
    auto connecting = stream_->socket().async_connect(addresses_[i], k_await);
    const auto [error] = co_await std::move(connecting);
    if (!error && !stopped()) co_return true;
    if (cancelled_ || (timed_out_ && (deadline_kind_ == Kind::timed_out_whole || i + 1 == addresses_.size())))
      co_return fail_stopped();
    last = error;
  }
  co_return fail(last == asio::error::connection_refused ? Kind::refused : Kind::connect,
                 "no connection: " + last.message());
}

Exchange::Stepping Exchange::handshake() {
  arm(Kind::timed_out_connect, connect_until_);
  auto shaking = stream_->handshake_with(request_.endpoint.host);
  const auto [error] = co_await std::move(shaking);
  if (stopped()) co_return fail_stopped();
  if (!error) co_return true;
  const std::string trouble = stream_->certificate_trouble();
  co_return fail(Kind::tls, trouble.empty() ? "the TLS handshake failed: " + error.message()
                                            : "the peer's certificate is refused: " + trouble);
}

/// A peer that answers before it has all, or that closes, has refused: the rest is not sent, but its answer is read.
Exchange::Stepping Exchange::send() {
  Stream::Buffers buffers{asio::const_buffer(out_.data(), out_.size()),
                          asio::const_buffer(request_.body.data(), request_.body.size())};
  sent_ = true;
  for (bool first = true; buffers[0].size() + buffers[1].size() > 0; first = false) {
    if (!first && !stream_->tls() && stream_->has_input()) {
      close_after_ = true;
      co_return true;
    }
    arm_stall();
    auto writing = stream_->write_some(buffers);
    const auto [error, bytes] = co_await std::move(writing);
    if (stopped()) co_return fail_stopped();
    if (error) {
      close_after_ = true;
      co_return true;
    }
    client_->stats.sent_bytes.add(bytes);
    const std::size_t of_head = std::min(bytes, buffers[0].size());
    buffers[0] += of_head;
    buffers[1] += bytes - of_head;
  }
  co_return true;
}

void Exchange::finish(bool ok) {
  finished_ = true;
  ++timer_generation_;
  timer_.reset();
  resolver_.reset();
  if (ok && !close_after_) client_->keep(request_.endpoint, std::move(*stream_));
  stream_.reset();
  request_.lease.reset();
  auto outcome = result(ok);
  lease_.reset();
  client_->remove(*this);
  if (ok) {
    client_->stats.answers.add();
  } else {
    client_->stats.errors[static_cast<std::size_t>(error_.kind)].add();
  }
  auto reply = std::move(reply_);
  reply(std::move(outcome));
}

std::expected<PeerAnswer, PeerError> Exchange::result(bool ok) {
  if (!ok) return std::unexpected(error_);
  PeerAnswer answer;
  answer.status = head_.status;
  answer.fields = std::move(fields_);
  answer.body = lease_.bytes().subspan(head_bytes_, body_bytes_);
  answer.lease = std::move(lease_);
  return answer;
}

bool Exchange::fail(Kind kind, std::string_view what, std::uint64_t value, std::uint64_t limit) {
  error_ = {kind, request_.endpoint.url(), value, limit, sent_};
  error_.text.append(": ").append(what);
  if (limit > 0) error_.text += " (" + std::to_string(value) + ", at most " + std::to_string(limit) + ")";
  return false;
}

bool Exchange::fail_stopped() {
  if (cancelled_) return fail(Kind::cancelled, "the request was cancelled");
  const Deadlines& times = request_.deadlines;
  if (deadline_kind_ == Kind::timed_out_connect) return fail_late("no connection within ", times.connect);
  if (deadline_kind_ == Kind::timed_out_stall) return fail_late("no progress for ", times.stall);
  return fail_late("no whole answer within ", times.whole);
}

bool Exchange::fail_late(const std::string& what, std::chrono::milliseconds limit) {
  fail(deadline_kind_, what + std::to_string(limit.count()) + " ms");
  error_.limit = static_cast<std::uint64_t>(limit.count());
  return false;
}

void Exchange::arm(Kind kind, Clock::time_point deadline) {
  timed_out_ = false;
  const bool whole = whole_until_ <= deadline;
  deadline_ = whole ? whole_until_ : deadline;
  deadline_kind_ = whole ? Kind::timed_out_whole : kind;
  if (!timer_armed_ || deadline_ < timer_->expiry()) schedule_timer();
}

void Exchange::schedule_timer() {
  timer_armed_ = true;
  timer_->expires_at(deadline_);
  timer_->async_wait([self = shared_from_this(), generation = ++timer_generation_](const boost::system::error_code&) {
    if (generation == self->timer_generation_) self->on_timer();
  });
}

void Exchange::on_timer() {
  timer_armed_ = false;
  if (Clock::now() < deadline_) return schedule_timer();
  timed_out_ = true;
  interrupt();
}

/// Ends whatever the coroutine waits for; it looks at the flags next. TLS may be between two operations of the socket:
/// after the shutdown the next one ends at once, too.
void Exchange::interrupt() {
  boost::system::error_code ignored;
  if (stream_) stream_->socket().shutdown(tcp::socket::shutdown_both, ignored);
  if (stream_) stream_->cancel();
  event_.notify();
}

}  // namespace histod::net::http
