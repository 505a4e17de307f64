// SPDX-License-Identifier: Apache-2.0
#pragma once

// WebSocket (RFC 6455), the server's side: what a handler of requests gives and gets, and the rules of the upgrade
// request. Free of Asio and Beast, as message.hpp.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/refusal.hpp"

namespace histod::net::http {

struct RequestHead;
struct Response;
class Handler;

/// How a WebSocket ended. The first reason counts.
enum class WebSocketEnd : std::uint8_t {
  by_peer,   ///< the client sent a close frame
  by_us,     ///< WebSocket::close()
  drained,   ///< the server ends (1001)
  protocol,  ///< the client broke a rule or a limit (1002, 1007, 1009)
  lost,      ///< the connection broke without a close frame
  silent,    ///< no frame for silence_max
  stalled,   ///< a message did not get out within send_timeout: the client does not read
  aborted,   ///< Server::abort()
};
constexpr std::size_t k_websocket_ends = 8;
std::string_view websocket_end_name(WebSocketEnd end);  ///< "by_peer", ...

/// What a handler wants of its WebSocket.
struct WebSocketOptions {
  std::size_t message_bytes_max = 4 * 1024;  ///< of the client's messages; a longer one gets 1009; at least 1
  std::chrono::milliseconds ping_interval{20'000};
  std::chrono::milliseconds silence_max{40'000};   ///< without any frame, a pong included
  std::chrono::milliseconds send_timeout{10'000};  ///< for each message to get out, and for the handshake
  std::chrono::milliseconds close_timeout{5'000};  ///< for the client to answer a close frame
  std::string subprotocol = {};  ///< said in the handshake; one that the client offered, or empty: none is said
};

/// An open WebSocket, as its handler sees it. Used on the connection's thread only.
class WebSocket {
 public:
  /// Sends one text message, valid UTF-8. Only when !pending(). Nothing is copied: the text may be shared by any number
  /// of WebSockets. After close() it does nothing. Calls nobody: WebSocketHandler::writable() comes from the event
  /// loop.
  // tidy: allow(shared-ptr) the kernel may read it when the handler has gone; one text goes to many clients
  virtual void send(std::shared_ptr<const std::string> text) = 0;
  /// A message is on its way out.
  virtual bool pending() const = 0;
  /// Begins to close, behind a message that is on its way. `code` is one that may be sent (1000 to 4999, without 1004
  /// to 1006 and 1015); `reason` has at most 123 bytes, for the client and whoever debugs it. A second call does
  /// nothing.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;

 protected:
  ~WebSocket() = default;
};

/// Implemented by daemon/. All calls come on the connection's thread and must not block; each may call the WebSocket.
class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;
  /// Asked once, before the handshake.
  virtual WebSocketOptions options() const { return {}; }
  /// The handshake is done; the first call. `socket` lives until closed() has returned. Where the handshake fails, the
  /// handler is destroyed without any call.
  virtual void opened(WebSocket& socket) = 0;
  /// A whole message; `payload` lives as long as the call. A text is valid UTF-8. None comes after close().
  virtual void message(std::string_view payload, bool text) = 0;
  /// The message that was sent is in the kernel's hands: the next one may follow.
  virtual void writable() = 0;
  /// The last call; the handler is destroyed next.
  virtual void closed(WebSocketEnd end) = 0;
};

/// Whether the request asks for a WebSocket (by its field Upgrade), well or badly.
bool is_websocket_upgrade(const RequestHead& head);
/// Why a request that asks for one cannot have it: status 426 for another version than 13, else 400, and the rule that
/// was broken. Empty: it is a valid handshake (RFC 6455, 4.2.1), so a Response may carry a WebSocketHandler.
std::optional<Refusal> websocket_trouble(const RequestHead& head);
/// The response to that trouble, worded by the handler, with the fields that 426 must have.
Response websocket_refusal(Handler& handler, const RequestHead& head, const Refusal& trouble);
/// What the client offers in Sec-WebSocket-Protocol, in its order. Views point into the head.
std::vector<std::string_view> websocket_subprotocols(const RequestHead& head);

}  // namespace histod::net::http
