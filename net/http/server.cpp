// SPDX-License-Identifier: Apache-2.0
#include "net/http/server.hpp"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <utility>

#include <boost/asio/post.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http/connection.hpp"
#include "net/http/server_state.hpp"

namespace histod::net::http {

ServerState::ServerState(asio::io_context& io_, BufferPool& pool_, Handler& handler_, const Limits& limits_,
                         Stats& stats_)
    : io(io_), pool(pool_), handler(handler_), limits(limits_), stats(stats_) {}

void ServerState::remove(Connection& connection) {
  assert(connections[connection.index] == &connection);
  connections.back()->index = connection.index;
  std::swap(connections[connection.index], connections.back());
  connections.pop_back();
  stats.connections_open.sub();
  if (connections.empty()) notify_drained();
}

void ServerState::notify_drained() {
  if (draining && on_drained) asio::post(io, std::exchange(on_drained, nullptr));
}

/// Called from wherever a lease comes home; it hands out leases and posts, and resumes nobody.
void ServerState::serve_memory_waits() {
  while (!memory_waits.empty()) {
    MemoryWait& first = *memory_waits.front();
    first.lease = pool.lease(first.bytes, first.use);
    if (!first.lease) return;
    memory_waits.pop_front();
    first.event->notify();
  }
}

std::string_view ServerState::date() {
  const std::time_t now = std::time(nullptr);
  if (now == date_at_) return date_;
  static constexpr const char* k_days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* k_months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", k_days[utc.tm_wday], utc.tm_mday,
                k_months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  date_at_ = now;
  return date_ = text;
}

struct Server::State : ServerState {
  using ServerState::ServerState;
};

Server::Server(asio::io_context& io, BufferPool& pool, Handler& handler, const Limits& limits, Stats& stats)
    : state_(std::make_unique<State>(io, pool, handler, limits, stats)) {
  assert(limits.header_bytes < BufferPool::k_granule_bytes && "a header section is parsed in one granule");
  pool.on_home([state = state_.get()] { state->serve_memory_waits(); });
}

Server::~Server() {
  assert(state_->connections.empty() && "drain the server before it is destroyed");
  state_->pool.on_home(nullptr);
}

namespace {

/// Answers without a connection of its own, so that being over the cap costs nothing that could pile up.
void refuse_over_cap(int fd, bool tls, const Response& response) {
  if (!tls) {
    const std::string* body = std::get_if<std::string>(&response.body);
    const std::string_view text = body ? std::string_view(*body) : std::string_view();
    std::string out = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n";
    if (!response.content_type.empty()) out += "Content-Type: " + response.content_type + "\r\n";
    out += "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n";
    out += text;
    (void)::send(fd, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    (void)::recv(fd, nullptr, BufferPool::k_granule_bytes, MSG_DONTWAIT | MSG_TRUNC);
  }
  ::close(fd);
}

std::string peer_address(const tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};
  const auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

}  // namespace

void Server::use_registered(const Registration& registration) { state_->registration = &registration; }

void Server::adopt(int fd, std::shared_ptr<asio::ssl::context> tls) {
  State& state = *state_;
  if (state.draining || state.connections.size() >= state.limits.connections) {
    state.stats.connections_refused.add();
    const Response response = state.handler.refusal(503, "overloaded", "too many connections", state.connections.size(),
                                                    state.limits.connections, nullptr);
    return refuse_over_cap(fd, tls != nullptr, response);
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage local{};
  socklen_t bytes = sizeof local;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &bytes);
  tcp::socket socket(state.io);
  boost::system::error_code error;
  socket.assign(local.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
  if (error) {
    ::close(fd);
    return;
  }
  std::string peer = peer_address(socket);
  auto connection = std::make_shared<Connection>(state, std::move(socket), std::move(tls), std::move(peer));
  connection->index = state.connections.size();
  state.connections.push_back(connection.get());
  state.stats.connections_opened.add();
  state.stats.connections_open.add();
  connection->start();
}

void Server::drain(std::move_only_function<void()> on_drained) {
  state_->draining = true;
  state_->on_drained = std::move(on_drained);
  for (Connection* const connection : state_->connections) connection->drain();
  if (state_->connections.empty()) state_->notify_drained();
}

void Server::abort() {
  for (Connection* const connection : state_->connections) connection->abort();
}

std::uint64_t Server::bytes_in_flight() const { return state_->bytes_in_flight.get(); }

const char* io_backend() {
#if defined(BOOST_ASIO_HAS_IO_URING)
  return "io_uring";
#else
  return "epoll";
#endif
}

}  // namespace histod::net::http
