// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests, responses, and the interface that whoever answers them implements. Free of Asio and Beast on purpose: the
// API in daemon/ and its tests compile without them.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/buffer_pool.hpp"
#include "net/http/websocket.hpp"

namespace histod::net::http {

struct Field {
  std::string_view name;   ///< as sent; compare without regard to case
  std::string_view value;  ///< trimmed
};

/// The header section of a request. All views point into the connection's lease and live as long as the request.
struct RequestHead {
  std::string_view method;  ///< "GET", ... as sent
  std::string_view target;  ///< as sent
  std::string_view path;    ///< target without the query, still percent-encoded
  std::string_view query;   ///< behind '?', still percent-encoded; may be empty
  std::span<const Field> fields;
  std::optional<std::uint64_t> content_length;  ///< absent: none, or chunked
  bool chunked = false;
  bool tls = false;
  std::string_view peer;       ///< numeric address without the port
  unsigned version_minor = 1;  ///< of HTTP/1
  /// The first field of that name, or an empty view.
  std::string_view field(std::string_view name) const;
};

struct Request {
  RequestHead head;
  std::span<std::byte> body;     ///< whole and contiguous, inside `lease`; empty when there is none
  Lease lease;                   ///< holds head and body; keep it while either is used
  std::uint64_t receive_ns = 0;  ///< from the first byte of the header to the last of the body
};

/// A response body that is still being made, from its first byte to its last. Used on the connection's thread.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// All of the body, the part that is not ready included, or, while nobody knows its length, what it is being made in;
  /// stays where it is.
  virtual std::span<const std::byte> bytes() const = 0;
  /// How many of the first bytes may be sent. When they are no more than `sent`, Sink::body_grew() is going to be
  /// called: there is more, the length is known, or there will be no more.
  virtual std::size_t ready(std::size_t sent) = 0;
  /// Of the whole body; empty while it is not known. A body that begins to be sent before goes out in chunks; one for
  /// HTTP/1.0, which has none, waits.
  virtual std::optional<std::size_t> length() const { return bytes().size(); }
  /// It is never going to be whole: the connection is closed, so that nobody takes it for that.
  virtual bool failed() const { return false; }
  /// A field whose value is only known at the end: the trailer of a body that goes out in chunks. Empty name: none.
  virtual std::string_view trailer_name() const { return {}; }
  virtual std::string_view trailer_value() const { return {}; }
  /// The last call: the body was sent, or nobody wants it any more.
  virtual void release() = 0;
};
struct ReleaseBody {
  void operator()(BodySource* source) const { source->release(); }
};
using StreamedBody = std::unique_ptr<BodySource, ReleaseBody>;

/// Bytes of a response that live in a lease.
struct LeasedBytes {
  Lease lease;
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct Response {
  unsigned status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> fields;  ///< without framing; no CR, LF or NUL (asserted)
  std::string_view more_fields;  ///< lines of further fields, whoever owns the body owns them; empty or ends with CRLF
  std::variant<std::monostate, std::string, std::span<const std::byte>, LeasedBytes, StreamedBody>
      body;            ///< a span is static data
  bool close = false;  ///< close the connection after this response
  /// With status 101, for a request without websocket_trouble(): the connection is a WebSocket from now on. `fields` go
  /// out with the handshake, what a handshake must have is added, the rest means nothing.
  std::unique_ptr<WebSocketHandler> websocket;

  std::size_t body_bytes() const;
};

class Connection;

/// The right, and the duty, to answer one request. Move-only. Used on its worker's thread only. Destroyed without
/// send(): the client gets 500. If the client is gone by then, send() does nothing.
class Responder {
 public:
  class Sink {  ///< implemented by Connection, and by fakes in tests
   public:
    virtual ~Sink() = default;
    virtual void respond(Response response) = 0;
    virtual bool peer_gone() const = 0;
    virtual void body_grew() = 0;  ///< of the streamed response that is being sent, if there still is one
  };
  explicit Responder(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
  Responder(Responder&&) = default;
  Responder& operator=(Responder&& other) noexcept;  ///< the one that is overwritten answers 500
  ~Responder();

  void send(Response response);
  /// As send(), for a StreamedBody: whoever makes it tells the sink that it grew.
  std::shared_ptr<Sink> send_streamed(Response response);
  bool peer_gone() const;

 private:
  std::shared_ptr<Sink> sink_;
};

/// Works on a body of known length while it comes in, and answers the request in the handler's place. Used on the
/// connection's thread; exactly one of handle() and abandoned() is the last call.
class BodyWatcher {
 public:
  virtual ~BodyWatcher() = default;
  /// More is in. `so_far` begins with the body's first byte, which stays where it is.
  virtual void received(std::span<std::byte> so_far) = 0;
  virtual void handle(Request request, Responder responder) = 0;
  /// The rest is not going to come. `lease` holds what came: it is to be kept as long as somebody reads it.
  virtual void abandoned(Lease lease) = 0;
};

struct BodyAdmission {
  std::uint64_t bytes_max = 0;     ///< a longer body gets 413 with this limit; 0: no body is expected, one gets 413
  BodyWatcher* watcher = nullptr;  ///< null: none; only for a body of known length, which is not 0
  std::uint8_t kind = 0;           ///< durations are counted by it, below k_request_kinds_max; those refused have 0
};

/// Implemented by daemon/. Both are called on the connection's worker thread and must not block.
class Handler {
 public:
  virtual ~Handler() = default;
  /// When the header section is in and before a byte of the body is read (and before 100 Continue is sent). A response
  /// refuses: it is sent, and the connection is closed if a body was announced.
  virtual std::expected<BodyAdmission, Response> admit(const RequestHead& head) = 0;
  /// When the body is in. May answer at once or later.
  virtual void handle(Request request, Responder responder) = 0;
  /// What the connection itself must refuse (400 framing, 408 slow, 411, 413, 431, 503 no memory, ...): the handler
  /// gives it the form that its API documents (problem+json). Of a header section that
  /// was not read `head` has the peer alone; null: not even that is known. `detail` says what
  /// was wrong; value and limit are 0 where they do not apply.
  virtual Response refusal(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
                           std::uint64_t limit, const RequestHead* head) = 0;
};

std::string_view reason_phrase(unsigned status);

}  // namespace histod::net::http
