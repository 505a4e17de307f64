// SPDX-License-Identifier: Apache-2.0
#include "net/http/client.hpp"

#include <algorithm>
#include <cassert>

#include <boost/asio/post.hpp>

#include "net/http/client_state.hpp"
#include "net/http/exchange.hpp"
#include "net/http/text.hpp"

namespace histod::net::http {

ClientState::ClientState(asio::io_context& io_, BufferPool& pool_, ClientOptions options_, ClientStats& stats_)
    : io(io_), pool(pool_), options(std::move(options_)), stats(stats_), sweeper_(io_) {}

std::optional<Stream> ClientState::take(const Endpoint& endpoint) {
  const auto now = Clock::now();
  for (auto at = idle_.end(); at != idle_.begin();) {
    --at;
    if (at->endpoint != endpoint) continue;
    std::optional<Stream> taken;
    if (now < at->until && at->stream.quiet()) taken.emplace(std::move(at->stream));
    at = drop(at);
    if (taken) return taken;
  }
  return {};
}

void ClientState::keep(const Endpoint& endpoint, Stream stream) {
  if (closed || options.idle_per_endpoint == 0 || options.idle_total == 0) return;
  const auto to_it = [&endpoint](const Idle& idle) { return idle.endpoint == endpoint; };
  if (static_cast<std::size_t>(std::ranges::count_if(idle_, to_it)) >= options.idle_per_endpoint)
    drop(std::ranges::find_if(idle_, to_it));
  if (idle_.size() >= options.idle_total) drop(idle_.begin());
  idle_.push_back({endpoint, std::move(stream), Clock::now() + options.idle_timeout});
  stats.idle.add();
  if (!sweeping_) schedule_sweep();
}

ClientState::Position ClientState::drop(Position at) {
  stats.idle.sub();
  return idle_.erase(at);
}

void ClientState::close_idle() {
  while (!idle_.empty()) drop(idle_.begin());
  sweeper_.cancel();
}

void ClientState::schedule_sweep() {
  sweeping_ = true;
  sweeper_.expires_at(idle_.front().until);
  sweeper_.async_wait([state = myself](const boost::system::error_code&) {
    if (const auto held = state.lock()) held->sweep();
  });
}

void ClientState::sweep() {
  sweeping_ = false;
  const auto now = Clock::now();
  while (!idle_.empty() && idle_.front().until <= now) drop(idle_.begin());
  if (!idle_.empty()) schedule_sweep();
}

void ClientState::add(Exchange& exchange) {
  exchange.index = exchanges.size();
  exchanges.push_back(&exchange);
  stats.in_flight.add();
}

void ClientState::remove(Exchange& exchange) {
  assert(exchanges[exchange.index] == &exchange);
  exchanges.back()->index = exchange.index;
  std::swap(exchanges[exchange.index], exchanges.back());
  exchanges.pop_back();
  stats.in_flight.sub();
}

std::string_view kind_name(PeerError::Kind kind) {
  static constexpr std::string_view k_names[PeerError::k_kinds] = {
      "resolve",         "connect",         "refused",  "timed_out_connect",
      "timed_out_stall", "timed_out_whole", "protocol", "closed",
      "no_memory",       "cancelled",       "tls"};
  return k_names[static_cast<std::size_t>(kind)];
}

std::string_view PeerAnswer::field(std::string_view name) const {
  const auto found = std::ranges::find_if(fields, [name](const Field& field) { return iequals(field.name, name); });
  return found == fields.end() ? std::string_view() : found->value;
}

Client::Client(asio::io_context& io, BufferPool& pool, ClientOptions options, ClientStats& stats)
    // tidy: allow(shared-ptr) exchanges that are being cancelled outlive their client
    : state_(std::make_shared<ClientState>(io, pool, std::move(options), stats)) {
  assert(state_->options.header_bytes < BufferPool::k_granule_bytes && "a header section is parsed in one granule");
  state_->myself = state_;
}

Client::~Client() { close(); }

void Client::close() {
  state_->closed = true;
  for (Exchange* exchange : state_->exchanges) exchange->cancel();
  state_->close_idle();
}

Client::Call Client::request(PeerRequest request, Reply reply) {
  auto exchange = std::make_shared<Exchange>(state_, std::move(request), std::move(reply));
  state_->stats.requests.add();
  // What a thread has submitted to a ring interrupts that thread, and ends with it: so the loop's thread submits.
  asio::post(state_->io, [exchange] { exchange->start(); });
  Call call;
  call.exchange_ = exchange;
  return call;
}

void Client::close_idle() { state_->close_idle(); }

void Client::Call::cancel() {
  if (const auto exchange = exchange_.lock()) exchange->cancel();
}

}  // namespace histod::net::http
