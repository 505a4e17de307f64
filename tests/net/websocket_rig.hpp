// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/websocket.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

// Both sides of a WebSocket for tests: a handler that keeps a log, and a client that makes its frames by hand.

namespace histod::test {

enum class Opcode : unsigned { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct Frame {
  Opcode opcode = Opcode::text;
  std::string payload = {};
  bool fin = true;
  unsigned rsv = 0;  ///< the three reserved bits, RSV1 the highest
  bool masked = true;
  int length_bytes = -1;  ///< of the length behind the first seven bits: 0, 2 or 8; -1: as short as can be
  std::optional<std::uint64_t> length = {};  ///< what is said in place of the payload's

  std::uint16_t code() const {  ///< of a close frame; 0: it has none
    if (payload.size() < 2) return 0;
    return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                      static_cast<unsigned char>(payload[1]));
  }
  std::string reason() const { return payload.size() < 2 ? "" : payload.substr(2); }
};

inline std::string bytes_of(const Frame& frame) {
  const std::uint64_t length = frame.length.value_or(frame.payload.size());
  const int length_bytes = frame.length_bytes >= 0 ? frame.length_bytes : length < 126 ? 0 : length < 65'536 ? 2 : 8;
  std::string out;
  out += static_cast<char>((frame.fin ? 0x80u : 0u) | frame.rsv << 4 | static_cast<unsigned>(frame.opcode));
  const std::uint64_t first = length_bytes == 0 ? length : length_bytes == 2 ? 126 : 127;
  out += static_cast<char>((frame.masked ? 0x80u : 0u) | first);
  for (int i = length_bytes - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
  if (!frame.masked) return out + frame.payload;
  static constexpr std::array<unsigned char, 4> k_mask = {0x37, 0xfa, 0x21, 0x3d};
  for (const unsigned char c : k_mask) out += static_cast<char>(c);
  for (std::size_t i = 0; i < frame.payload.size(); ++i) {
    out += static_cast<char>(static_cast<unsigned char>(frame.payload[i]) ^ k_mask[i % 4]);
  }
  return out;
}
inline std::string text_frame(std::string_view payload) {
  return bytes_of({.opcode = Opcode::text, .payload = std::string(payload)});
}
inline std::string ping_frame(std::string_view payload) {
  return bytes_of({.opcode = Opcode::ping, .payload = std::string(payload)});
}
inline std::string close_payload(unsigned code, std::string_view reason = "") {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + std::string(reason);
}
inline std::string close_frame(unsigned code, std::string_view reason = "") {
  return bytes_of({.opcode = Opcode::close, .payload = close_payload(code, reason)});
}

inline std::string upgrade_request(std::string_view more = "", std::string_view path = "/socket") {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         std::string(more) + "\r\n";
}
constexpr std::string_view k_accept_of_the_rfc = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The next frame of whatever has read_bytes(); none at the end of the connection.
std::optional<Frame> read_frame(auto& client) {
  const std::string head = client.read_bytes(2);
  if (head.size() < 2) return std::nullopt;
  const auto byte = [](const std::string& from, std::size_t i) { return static_cast<unsigned char>(from[i]); };
  Frame frame;
  frame.fin = byte(head, 0) & 0x80;
  frame.rsv = byte(head, 0) >> 4 & 7;
  frame.opcode = static_cast<Opcode>(byte(head, 0) & 0x0f);
  frame.masked = byte(head, 1) & 0x80;
  std::uint64_t length = byte(head, 1) & 0x7f;
  if (length >= 126) {
    const std::string more = client.read_bytes(length == 126 ? 2 : 8);
    length = 0;
    for (std::size_t i = 0; i < more.size(); ++i) length = length << 8 | byte(more, i);
  }
  frame.payload = client.read_bytes(length);
  if (frame.payload.size() < length) return std::nullopt;
  return frame;
}

/// What the handlers of one test saw and shall do. Touched on the loop's thread only.
struct SocketLog {
  net::http::WebSocketOptions options;
  bool echo = true;                            ///< send every text back
  std::vector<net::http::WebSocket*> sockets;  ///< open ones
  std::vector<std::string> events;             ///< "text ...", "binary ...", "writable", "closed by_peer", ...
  int opened = 0, writable = 0, destroyed = 0;
  std::vector<net::http::WebSocketEnd> ends;
};

class LoggedSocket final : public net::http::WebSocketHandler {
 public:
  explicit LoggedSocket(SocketLog& log) : log_(log) {}
  ~LoggedSocket() override { ++log_.destroyed; }
  net::http::WebSocketOptions options() const override { return log_.options; }
  void opened(net::http::WebSocket& socket) override {
    ++log_.opened;
    log_.sockets.push_back(socket_ = &socket);
  }
  void message(std::string_view payload, bool text) override {
    log_.events.push_back((text ? "text " : "binary ") + std::string(payload));
    if (!log_.echo || !text) return;
    out_.push_back(std::make_shared<const std::string>(payload));
    send_next();
  }
  void writable() override {
    ++log_.writable;
    send_next();
  }
  void closed(net::http::WebSocketEnd end) override {
    log_.ends.push_back(end);
    std::erase(log_.sockets, socket_);
  }

 private:
  void send_next() {
    if (out_.empty() || socket_->pending()) return;
    socket_->send(std::move(out_.front()));
    out_.pop_front();
  }

  SocketLog& log_;
  net::http::WebSocket* socket_ = nullptr;
  std::deque<std::shared_ptr<const std::string>> out_;
};

/// A server whose /socket is a WebSocket with that log.
struct WebSocketRig {
  explicit WebSocketRig(net::http::WebSocketOptions wanted = {}, const TestServerOptions& options = {})
      : server(options) {
    log.options = std::move(wanted);
    server.on_loop([this] { server.handler().make_socket = [this] { return std::make_unique<LoggedSocket>(log); }; });
  }

  /// Waits for the log to be so.
  bool until(auto condition) {
    return server.eventually([&] { return condition(log); });
  }
  bool ended_as(net::http::WebSocketEnd end, std::size_t count = 1) {
    return until([&](SocketLog& seen) {
      return static_cast<std::size_t>(std::ranges::count(seen.ends, end)) == count && seen.ends.size() == count;
    });
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    server.on_loop([&] { out = log.events; });
    return out;
  }
  std::uint64_t closed(net::http::WebSocketEnd end) const {
    return server.stats().websockets_closed[static_cast<std::size_t>(end)].get();
  }
  void send(const std::string& text) {
    server.on_loop([&] { log.sockets.at(0)->send(std::make_shared<const std::string>(text)); });
  }
  void close(std::uint16_t code, std::string_view reason) {
    server.on_loop([&] { log.sockets.at(0)->close(code, reason); });
  }

  SocketLog log;  ///< outlives the server
  TestServer server;
};

/// A client with an open WebSocket, plain text.
class WebSocketClient : public HttpClient {
 public:
  explicit WebSocketClient(WebSocketRig& rig, std::string_view more = "") : HttpClient(rig.server.port()) {
    send(upgrade_request(more));
    const auto reply = read();
    open_ = reply && reply->status == 101;
  }
  bool open() const { return open_; }
  std::optional<Frame> frame() { return read_frame(*this); }
  /// The text of the next frame, or what else came.
  std::string text() {
    const auto next = frame();
    if (!next) return "(the end)";
    if (next->opcode != Opcode::text || !next->fin || next->rsv != 0 || next->masked) return "(another frame)";
    return next->payload;
  }
  /// The code of the close frame that comes next, behind which the connection ends; 0: none came; 1: it did not end.
  unsigned close_code() {
    const auto next = frame();
    if (!next || next->opcode != Opcode::close) return 0;
    send(bytes_of({.opcode = Opcode::close, .payload = next->payload}));
    return closed_by_peer() ? next->code() : 1;
  }

 private:
  bool open_ = false;
};

}  // namespace histod::test
