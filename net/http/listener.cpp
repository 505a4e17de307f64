// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "net/error.hpp"
#include "net/http/asio.hpp"
#include "net/http/server.hpp"
#include "net/stats.hpp"

namespace histod::net::http {

namespace {

constexpr std::chrono::milliseconds k_pause{100};
/// Connections taken per wake-up, so that a flood does not keep the loop from its other work.
constexpr int k_accepts_per_turn = 64;

/// Errors of the connection that was lost while it waited (accept(2)); the next one may be good.
bool is_of_one_connection(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM || error == ENETDOWN ||
         error == ENETUNREACH || error == EHOSTUNREACH || error == EHOSTDOWN || error == ENOPROTOOPT;
}

}  // namespace

struct Listener::State {
  State(asio::io_context& io, OnAccept on_accept_) : acceptor(io), timer(io), on_accept(std::move(on_accept_)) {}

  tcp::acceptor acceptor;
  asio::steady_timer timer;
  OnAccept on_accept;
  std::uint16_t port = 0;
  Counter pauses;
  bool stopped = false;
  /// Handlers that the loop still holds see that the listener is gone.
  // tidy: allow(shared-ptr) the loop may drop a cancelled handler after the listener is destroyed
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  std::error_code begin() {
    boost::system::error_code error;
    acceptor.native_non_blocking(true, error);
    const auto endpoint = acceptor.local_endpoint(error);
    if (error) return error;
    port = endpoint.port();
    // What a thread has submitted to a ring interrupts that thread, and ends with it: so the loop's thread submits.
    asio::post(acceptor.get_executor(), [this, alive = alive] {
      if (*alive && !stopped) wait();
    });
    return {};
  }

  void wait() {
    acceptor.async_wait(tcp::acceptor::wait_read, [this, alive = alive](const boost::system::error_code& error) {
      if (*alive && !stopped && error != asio::error::operation_aborted) accept_all();
    });
  }

  void accept_all() {
    for (int turn = 0; turn < k_accepts_per_turn; ++turn) {
      const int fd = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) {
        on_accept(fd);
        if (stopped) return;
        continue;
      }
      if (errno == EAGAIN) break;
      if (is_of_one_connection(errno)) continue;
      return pause();
    }
    wait();
  }

  void pause() {
    pauses.add();
    timer.expires_after(k_pause);
    timer.async_wait([this, alive = alive](const boost::system::error_code& error) {
      if (*alive && !stopped && !error) accept_all();
    });
  }

  void stop() {
    stopped = true;
    timer.cancel();
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }
};

Listener::Listener(std::unique_ptr<State> state) : state_(std::move(state)) {}

Listener::~Listener() {
  *state_->alive = false;
  state_->stop();
}

std::expected<std::unique_ptr<Listener>, std::error_code> Listener::open(asio::io_context& io,
                                                                         const std::string& address, std::uint16_t port,
                                                                         OnAccept on_accept) {
  boost::system::error_code error;
  const auto numeric = asio::ip::make_address(address, error);
  if (error) return std::unexpected(make_error_code(Errc::bad_address));
  auto state = std::make_unique<State>(io, std::move(on_accept));
  const tcp::endpoint endpoint(numeric, port);
  tcp::acceptor& acceptor = state->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && numeric.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return std::unexpected(std::error_code(error));
  if (const std::error_code failed = state->begin()) return std::unexpected(failed);
  return std::make_unique<Listener>(std::move(state));
}

std::expected<std::unique_ptr<Listener>, std::error_code> Listener::adopt(asio::io_context& io, int fd,
                                                                          OnAccept on_accept) {
  int listening = 0;
  socklen_t bytes = sizeof listening;
  sockaddr_storage local{};
  socklen_t local_bytes = sizeof local;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 || listening == 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_bytes) != 0 ||
      (local.ss_family != AF_INET && local.ss_family != AF_INET6)) {
    return std::unexpected(make_error_code(Errc::not_listening));
  }
  auto state = std::make_unique<State>(io, std::move(on_accept));
  boost::system::error_code error;
  state->acceptor.assign(local.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
  if (error) return std::unexpected(std::error_code(error));
  if (const std::error_code failed = state->begin()) return std::unexpected(failed);
  return std::make_unique<Listener>(std::move(state));
}

std::uint16_t Listener::port() const { return state_->port; }
std::uint64_t Listener::accept_pauses() const { return state_->pauses.get(); }

void Listener::stop() { state_->stop(); }

}  // namespace histod::net::http
