// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "net/buffer_pool.hpp"
#include "net/http/endpoint.hpp"
#include "net/http/message.hpp"
#include "net/stats.hpp"

namespace histod::net {
class Registration;
}

namespace histod::net::http {

struct Deadlines {
  std::chrono::milliseconds connect{2'000};  ///< the name, all of its addresses, and the TLS handshake
  std::chrono::milliseconds stall{10'000};   ///< no progress at all; the wait for the answer's first byte included
  std::chrono::milliseconds whole{60'000};   ///< from request() to the answer's last byte, retry included
};

/// A request to another server.
struct PeerRequest {
  Endpoint endpoint;
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields;  ///< without Host, Connection and framing
  std::span<const std::byte> body;                          ///< stays where it is until the reply
  Lease lease;                                              ///< keeps `body`; empty: it is static, or the caller's
  std::uint64_t response_bytes_max = 0;                     ///< of the body; a longer one is refused unread
  bool idempotent = false;  ///< may be sent again though its method (POST, PATCH) does not say so
  Deadlines deadlines;
};

struct PeerAnswer {
  unsigned status = 0;        ///< 200 to 599: a redirection or a refusal is an answer too
  std::vector<Field> fields;  ///< views into `lease`
  std::span<std::byte> body;  ///< whole and contiguous, inside `lease`
  Lease lease;
  std::string_view field(std::string_view name) const;  ///< the first of that name, or an empty view
};

struct PeerError {
  enum class Kind : std::uint8_t {
    resolve,            ///< the name is unknown, or its servers are silent
    connect,            ///< no way there, or no descriptor left
    refused,            ///< nobody listens
    timed_out_connect,  ///< which deadline passed; `limit` is it, in ms
    timed_out_stall,
    timed_out_whole,
    protocol,   ///< bad framing, or over a limit: then `value` and `limit`; or a request that cannot be sent
    closed,     ///< the connection ended before the answer was whole
    no_memory,  ///< `value` bytes for the answer did not fit into the pool
    cancelled,
    tls,  ///< no handshake: the certificate is not trusted, or not the host's
  };
  static constexpr std::size_t k_kinds = 11;
  Kind kind = Kind::closed;
  std::string text;  ///< a clause with the peer's URL
  std::uint64_t value = 0, limit = 0;
  bool sent = false;  ///< something of the request has left: the peer may have acted on it
};
std::string_view kind_name(PeerError::Kind kind);

/// Single-writer counters: written by the client's thread, read by anyone (relaxed).
struct ClientStats {
  Counter requests;
  Counter in_flight;    ///< gauge
  Counter connections;  ///< that were opened
  Counter idle;         ///< gauge: open connections that wait for a request
  Counter reused;       ///< requests begun on a connection that waited
  Counter retries;
  Counter answers;
  std::array<Counter, PeerError::k_kinds> errors;  ///< by kind
  Counter lookups;  ///< gauge: names that the resolver's thread is asked for, or has not come back with
  Counter received_bytes, sent_bytes;
  Counter copied_bytes;  ///< payload bytes that net/copy moved in user space
};

struct ClientOptions {
  std::shared_ptr<boost::asio::ssl::context> tls;  ///< null: no https
  const Registration* registration = nullptr;      ///< plain connections read into what is registered with READ_FIXED
  std::size_t idle_per_endpoint = 4;
  std::size_t idle_total = 32;
  std::chrono::milliseconds idle_timeout{30'000};  ///< shorter than the servers': they close at 60 s
  std::size_t header_bytes = 16 * 1024;
  std::size_t header_fields = 100;
};

class Exchange;
struct ClientState;

/// Sends requests to other servers, one connection each, and keeps connections for the next ones. Follows no
/// redirections. Lives on one io_context and is used on its thread only. The pool, the registration and the stats
/// outlive the last reply.
class Client {
 public:
  /// Called exactly once, from the event loop, never from within request() or cancel().
  using Reply = std::move_only_function<void(std::expected<PeerAnswer, PeerError>)>;

  /// One request in flight. Need not be kept.
  class Call {
   public:
    void cancel();  ///< the reply is `cancelled`, unless it has been given

   private:
    friend Client;
    std::weak_ptr<Exchange> exchange_;
  };

  Client(boost::asio::io_context& io, BufferPool& pool, ClientOptions options, ClientStats& stats);
  /// close(). The replies still come, from the loop: run it until they have.
  ~Client();

  /// A request that failed on a reused connection before a byte of its answer came is sent once more on a fresh one, if
  /// it is idempotent by its method (GET, HEAD, PUT, DELETE) or by the caller's word.
  Call request(PeerRequest request, Reply reply);
  void close_idle();
  /// Cancels whatever is in flight, and whatever is asked from now on.
  void close();

 private:
  // tidy: allow(shared-ptr) exchanges that are being cancelled outlive their client
  std::shared_ptr<ClientState> state_;
};

}  // namespace histod::net::http
