// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/asio.hpp"
#include "net/http/event.hpp"
#include "net/http/message.hpp"
#include "net/http/refusal.hpp"
#include "net/http/server_state.hpp"
#include "net/http/stream.hpp"
#include "net/http/websocket_session.hpp"

namespace histod::net::http {

/// One connection: a coroutine that receives a request, hands it to the handler, waits for the answer and sends it,
/// again and again. Owned by its coroutine and by the Responder of the request in hand.
class Connection final : public Responder::Sink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerState& server, tcp::socket socket, std::shared_ptr<asio::ssl::context> tls, std::string peer);

  void start();
  void drain();  ///< closes now if idle, a WebSocket with 1001, else after the response in hand
  void abort();

  void respond(Response response) override;
  bool peer_gone() const override;
  void body_grew() override;

  std::size_t index = 0;  ///< in ServerState::connections

 private:
  /// How a step of an exchange ended. `refused`: refusal_ holds the response to send before the connection closes.
  enum class Step : std::uint8_t { ok, refused, closed };
  using Stepping = asio::awaitable<Step>;

  // connection.cpp: the life of the connection
  asio::awaitable<void> run(std::shared_ptr<Connection> self);
  Stepping exchange();
  Stepping receive_request();
  Stepping await_first_byte();
  Stepping handshake();
  Stepping receive_head();
  Step parse_head_section(std::size_t section_bytes);
  Step admit();
  asio::awaitable<void> await_response();
  asio::awaitable<void> serve_websocket();
  void dispatch();
  std::uint64_t since_received_ns() const;
  void finish();
  Step refuse(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
              std::uint64_t limit);
  Step refuse(const Refusal& refusal);
  bool keep_alive_after(const Response& response) const;

  // body.cpp: socket -> lease
  Stepping receive_body();
  Stepping receive_sized_body(std::uint64_t bytes);
  Stepping receive_chunked_body();
  Stepping grow(std::size_t bytes);
  Stepping acquire(std::size_t bytes, Use use, Lease& lease);
  Stepping receive_some(std::span<std::byte> into);
  Step refuse_late();
  void move_to(Lease lease);
  void keep_leftover(std::size_t from);
  void arm_body_deadline(std::uint64_t body_bytes);
  Stepping send_continue();
  void set_in_flight(std::uint64_t bytes);

  // response.cpp: response -> socket
  Stepping write_response(const Response& response, bool close);
  Stepping write_all(Stream::Buffers buffers);
  Stepping write_streamed(const Response& response, bool close, BodySource& source);
  Stepping await_growth();
  void append_last_chunk(const BodySource& source);
  void compose_head(const Response& response, bool close);
  void count_response(unsigned status);
  asio::awaitable<void> linger();

  // deadline.cpp: one timer for all of it
  void arm(Clock::time_point deadline);
  void arm_in(std::chrono::milliseconds time) { arm(Clock::now() + time); }
  void disarm() { deadline_ = Clock::time_point::max(); }
  void schedule_timer();
  void on_timer();
  void interrupt();
  bool stopped() const { return timed_out_ || aborted_; }

  ServerState& server_;
  std::optional<Stream> stream_;  ///< empty when the connection is over, though a Responder may still hold it
  std::string peer_;
  std::optional<asio::steady_timer> timer_;
  Event event_;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::uint64_t timer_generation_ = 0;
  bool timer_armed_ = false;
  bool timed_out_ = false;
  bool aborted_ = false;
  bool idle_ = false;
  bool unread_input_ = false;  ///< closing now would reset the connection before the client has read the response

  Lease lease_;             ///< receives the request
  std::size_t filled_ = 0;  ///< bytes received into lease_
  Lease next_lease_;        ///< what came behind the request in hand: the beginning of the next one
  std::size_t next_filled_ = 0;
  std::byte early_{};  ///< TLS: the byte whose arrival ended the idle time
  bool has_early_ = false;
  std::vector<Field> fields_;
  RequestHead head_;
  bool has_head_ = false;
  bool is_head_request_ = false;
  bool expect_continue_ = false;
  bool is_http_1_0_ = false;
  bool client_keeps_alive_ = false;
  std::size_t head_bytes_ = 0;
  std::uint64_t body_bytes_max_ = 0;
  BodyWatcher* watcher_ = nullptr;  ///< of the request that is being received
  std::uint8_t kind_ = 0;
  std::size_t body_bytes_ = 0;
  Clock::time_point received_from_;  ///< first byte of the header
  Clock::time_point body_from_;
  std::uint64_t in_flight_bytes_ = 0;

  bool awaiting_response_ = false;
  bool streaming_ = false;
  std::optional<Response> response_;
  std::optional<Response> refusal_;
  std::string websocket_key_;  ///< of the request in hand, if it is a valid handshake
  std::unique_ptr<WebSocketSession> websocket_;
  std::string out_;  ///< head of the response; its memory is kept
};

}  // namespace histod::net::http
