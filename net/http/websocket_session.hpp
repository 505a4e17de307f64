// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http/asio.hpp"
#include "net/http/event.hpp"
#include "net/http/message.hpp"
#include "net/http/server_state.hpp"
#include "net/http/stream.hpp"
#include "net/http/websocket.hpp"

namespace histod::net::http {

/// The life of one WebSocket on a connection, from the answer to its upgrade request on. Framing is Beast's. Owned by
/// the connection, whose coroutine runs it; when run() has ended nothing of it is under way any more.
class WebSocketSession final : public WebSocket {
 public:
  /// What the upgrade request left: its key, and the `early_bytes` that came behind it at the beginning of `early`.
  struct Upgrade {
    std::string key;
    Lease early;
    std::size_t early_bytes = 0;
  };

  /// `response` carries the handler and the fields of the 101 response. `server` and `stream` outlive the session.
  WebSocketSession(ServerState& server, Stream& stream, Response response, Upgrade upgrade);
  ~WebSocketSession();

  asio::awaitable<void> run();
  void drain();  ///< closes with 1001, as soon as the handshake is done
  void abort() { end(WebSocketEnd::aborted); }
  /// It ended without a word: there is no leave to be taken.
  bool cut() const { return cut_; }

  // tidy: allow(shared-ptr) the kernel may read it when the handler has gone; one text goes to many clients
  void send(std::shared_ptr<const std::string> text) override;
  bool pending() const override { return text_ != nullptr; }
  void close(std::uint16_t code, std::string_view reason) override;

 private:
  struct Beast;  ///< keeps its many headers out of the connection's
  using Error = boost::system::error_code;

  asio::awaitable<bool> handshake();
  asio::awaitable<void> receive();
  bool deliver(std::size_t bytes);
  void on_sent(const Error& error);
  void close_as(WebSocketEnd how, std::uint16_t code, std::string_view reason);
  void end(WebSocketEnd how);
  void end_by_read(const Error& error);
  void ping();
  void finished_one();

  void arm(Clock::time_point deadline);
  void schedule_timer();
  void on_timer();
  Clock::time_point next_deadline() const;
  void heard() { heard_at_ = Clock::now(); }

  ServerState& server_;
  Response response_;
  std::unique_ptr<WebSocketHandler> handler_;
  const WebSocketOptions options_;
  std::string key_;
  std::unique_ptr<Beast> beast_;
  asio::steady_timer timer_;
  Event event_;
  int operations_ = 0;  ///< under way, besides the one that run() waits for
  std::uint64_t timer_generation_ = 0;
  bool timer_armed_ = false;

  // tidy: allow(shared-ptr) the kernel may read it when the handler has gone; one text goes to many clients
  std::shared_ptr<const std::string> text_;  ///< on its way out
  std::array<char, 512> received_;           ///< what most messages fit into
  std::string message_;                      ///< a longer one, so far
  Clock::time_point heard_at_, pinged_at_;
  Clock::time_point send_until_ = Clock::time_point::max();
  Clock::time_point close_until_ = Clock::time_point::max();
  std::optional<WebSocketEnd> end_;
  bool open_ = false;
  bool draining_ = false;
  bool closing_ = false;
  bool pinging_ = false;
  bool cut_ = false;
  bool over_ = false;  ///< run() waits for the rest
};

}  // namespace histod::net::http
