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
#include "net/http/client.hpp"
#include "net/http/client_state.hpp"
#include "net/http/event.hpp"
#include "net/http/head_parser.hpp"
#include "net/http/stream.hpp"

namespace histod::net::http {

/// One request of a client and its answer: a coroutine that connects, sends, receives and replies. Owned by its
/// coroutine, its timer, and a resolver that has not come back.
class Exchange final : public std::enable_shared_from_this<Exchange> {
 public:
  // tidy: allow(shared-ptr) exchanges that are being cancelled outlive their client
  Exchange(std::shared_ptr<ClientState> client, PeerRequest request, Client::Reply reply);

  void start();
  void cancel();

  std::size_t index = 0;  ///< in ClientState::exchanges

 private:
  using Kind = PeerError::Kind;
  using Stepping = asio::awaitable<bool>;  ///< false: error_ says why

  // exchange.cpp: the life of an exchange, up to the last byte of the request
  asio::awaitable<void> run(std::shared_ptr<Exchange> self);
  Stepping attempt(bool fresh);
  bool may_retry() const;
  bool compose_head();
  Stepping connect();
  Stepping resolve();
  Stepping connect_to_one();
  Stepping handshake();
  Stepping send();
  void finish(bool ok);
  bool fail(Kind kind, std::string_view what, std::uint64_t value = 0, std::uint64_t limit = 0);
  bool fail_stopped();
  bool fail_late(const std::string& what, std::chrono::milliseconds limit);
  std::expected<PeerAnswer, PeerError> result(bool ok);

  // answer.cpp: socket -> lease
  Stepping receive_answer();
  Stepping await_first_byte();
  Stepping receive_head();
  bool parse_head(std::size_t section_bytes);
  Stepping receive_body();
  Stepping receive_sized_body(std::size_t bytes);
  Stepping receive_chunked_body();
  bool grow(std::size_t bytes);
  Stepping receive_some(std::span<std::byte> into);
  bool fail_ended(const boost::system::error_code& error);

  // One timer for all deadlines, the nearest of which counts.
  void arm(Kind kind, Clock::time_point deadline);
  void arm_stall() { arm(Kind::timed_out_stall, Clock::now() + request_.deadlines.stall); }
  void schedule_timer();
  void on_timer();
  void interrupt();
  bool stopped() const { return timed_out_ || cancelled_; }

  // tidy: allow(shared-ptr) exchanges that are being cancelled outlive their client
  std::shared_ptr<ClientState> client_;
  PeerRequest request_;
  Client::Reply reply_;
  std::optional<Stream> stream_;
  std::optional<tcp::resolver> resolver_;
  std::vector<tcp::endpoint> addresses_;
  std::optional<boost::system::error_code> resolved_;
  Event event_;
  std::optional<asio::steady_timer> timer_;
  std::uint64_t timer_generation_ = 0;
  bool timer_armed_ = false;
  Clock::time_point deadline_ = Clock::time_point::max();
  Kind deadline_kind_ = Kind::timed_out_whole;
  Clock::time_point connect_until_, whole_until_;
  bool timed_out_ = false;
  bool cancelled_ = false;
  bool finished_ = false;

  std::string out_;            ///< the header section of the request
  bool reused_ = false;        ///< the connection had waited
  bool sent_ = false;          ///< something of the request has left
  bool answer_began_ = false;  ///< a byte of the answer has come
  bool close_after_ = false;   ///< the connection cannot have another request
  Lease lease_;                ///< receives the answer
  std::size_t filled_ = 0;     ///< bytes received into lease_
  std::byte early_{};          ///< TLS: the byte whose arrival ended the wait
  bool has_early_ = false;
  std::vector<Field> fields_;
  GuardedAnswer head_;
  std::size_t head_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  PeerError error_;
};

}  // namespace histod::net::http
