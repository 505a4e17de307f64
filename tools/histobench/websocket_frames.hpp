// SPDX-License-Identifier: Apache-2.0
#pragma once

// WebSocket (RFC 6455), the client's side: what measures the daemon shares no code with it. Free of sockets.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace histod::bench {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// The handshake's key: 16 random bytes as base64.
std::string websocket_key();
/// What a server answers to that key.
std::string websocket_accept(std::string_view key);
/// The request for a WebSocket, with its empty line. `authorization` is the field's value.
std::string websocket_request(std::string_view target, std::string_view authorization, std::string_view key);
/// Why an answer, from its first byte to its empty line, opens no WebSocket for that key; empty: it does.
std::string websocket_refusal(std::string_view answer, std::string_view key);

/// A whole frame as clients send them, masked; the payload has at most 125 bytes.
std::string client_frame(Opcode opcode, std::string_view payload, std::uint32_t mask);

/// Joins what a server sends, in pieces of any size, into messages.
class MessageReader {
 public:
  /// A whole message, with the opcode of its first frame, or a control frame. The payload lives as long as the call.
  using Told = std::function<void(Opcode opcode, std::string_view payload)>;

  explicit MessageReader(std::size_t message_bytes_max = std::size_t{1} << 20)
      : message_bytes_max_(message_bytes_max) {}
  /// Throws Failure at the first frame that a server must not send, and at a message over the limit.
  void take(std::string_view bytes, const Told& told);

 private:
  struct Head {
    bool last = false;
    Opcode opcode = Opcode::text;
    std::size_t bytes = 0, payload_bytes = 0;
  };
  std::optional<Head> head_of(std::string_view bytes) const;
  std::size_t take_whole(std::string_view bytes, const Told& told);
  void take_frame(const Head& head, std::string_view payload, const Told& told);

  std::size_t message_bytes_max_;
  std::string partial_;           ///< the beginning of a frame
  std::string fragments_;         ///< of the message that is coming
  std::optional<Opcode> coming_;  ///< its opcode
};

}  // namespace histod::bench
