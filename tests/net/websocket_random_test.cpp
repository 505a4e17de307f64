// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/websocket_rig.hpp"

// Sequences of frames, good and bad, in pieces of any size, against a naive reading of the RFC.

namespace histod::test {
namespace {

constexpr std::size_t k_message_bytes_max = 1000;

/// Whether the text is the beginning of valid UTF-8, or, with `whole`, all of it: a table of RFC 3629's, 4.
bool reads_as_utf8(std::string_view text, bool whole) {
  struct Range {
    unsigned first_min, first_max, second_min, second_max;
    std::size_t bytes;
  };
  static constexpr Range k_ranges[] = {
      {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  for (std::size_t at = 0; at < text.size();) {
    const auto* const range = std::ranges::find_if(
        k_ranges, [&](const Range& one) { return byte(at) >= one.first_min && byte(at) <= one.first_max; });
    if (range == std::end(k_ranges)) return false;
    const std::size_t end = at + range->bytes;
    for (std::size_t i = at + 1; i < std::min(end, text.size()); ++i) {
      const unsigned low = i == at + 1 ? range->second_min : 0x80;
      const unsigned high = i == at + 1 ? range->second_max : 0xbf;
      if (byte(i) < low || byte(i) > high) return false;
    }
    if (end > text.size()) return !whole;
    at = end;
  }
  return true;
}

/// What a server must make of the frames.
struct Expected {
  std::vector<std::string> events;
  std::vector<std::string> pongs;
  unsigned code = 0;  ///< of its close frame; 0: none yet

  void read(const Frame& frame) {
    const auto opcode = static_cast<unsigned>(frame.opcode);
    const bool control = opcode >= 8;
    const bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
    const bool in_turn = control || (frame.opcode == Opcode::continuation) == in_message_;
    if (!known || frame.rsv != 0 || !frame.masked || !in_turn) code = 1002;
    if (control && (!frame.fin || frame.payload.size() > 125)) code = 1002;
    if (code == 0) control ? read_control(frame) : read_data(frame);
  }

 private:
  void read_control(const Frame& frame) {
    if (frame.opcode == Opcode::ping) pongs.push_back(frame.payload);
    if (frame.opcode != Opcode::close) return;
    const unsigned said = frame.code();
    // The RFC says nothing of 5000 and more; Beast echoes them.
    const bool allowed = (said >= 1000 && said <= 1013 && (said < 1004 || said > 1006)) || said >= 3000;
    if (frame.payload.empty()) {
      code = 1000;
    } else {
      code = allowed && reads_as_utf8(frame.reason(), true) ? said : 1002;
    }
  }
  void read_data(const Frame& frame) {
    if (!in_message_) {
      text_ = frame.opcode == Opcode::text;
      message_.clear();
    }
    message_ += frame.payload;
    in_message_ = !frame.fin;
    if (message_.size() > k_message_bytes_max) {
      code = 1009;
    } else if (text_ && !reads_as_utf8(message_, frame.fin)) {
      code = 1007;
    } else if (frame.fin) {
      events.push_back((text_ ? "text " : "binary ") + message_);
    }
  }

  bool in_message_ = false;
  bool text_ = false;
  std::string message_;
};

/// Frames that are mostly good.
class Frames {
 public:
  explicit Frames(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  bool rarely(std::size_t in) { return below(in) == 0; }

  Frame next() {
    Frame frame;
    if (rarely(4)) {
      frame.opcode = rarely(2) ? Opcode::ping : Opcode::pong;
      frame.payload = text(below(126));
    } else {
      frame.opcode = open_ ? Opcode::continuation : rarely(3) ? Opcode::binary : Opcode::text;
      frame.payload = text(rarely(30) ? below(1200) : below(120));
      frame.fin = rarely(2);
      open_ = !frame.fin;
    }
    if (rarely(25)) frame = {.opcode = Opcode::close, .payload = close_payload(code(), text(below(20)))};
    spoil(frame);
    return frame;
  }

 private:
  void spoil(Frame& frame) {
    if (rarely(60)) frame.rsv = 1 + static_cast<unsigned>(below(7));
    if (rarely(60)) frame.masked = false;
    if (rarely(60)) frame.opcode = static_cast<Opcode>(below(16));
    if (rarely(60)) frame.fin = !frame.fin;
    if (rarely(40) && !frame.payload.empty()) frame.payload[below(frame.payload.size())] = static_cast<char>(random_());
    if (rarely(60)) frame.payload.resize(below(4));
  }
  unsigned code() {
    static constexpr unsigned k_codes[] = {1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999};
    return k_codes[below(std::size(k_codes))];
  }
  std::string text(std::size_t bytes) {
    static constexpr std::string_view k_characters[] = {"a", "z", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    std::string out;
    while (out.size() < bytes) out += k_characters[below(std::size(k_characters))];
    // Now and then the end is in the middle of a character.
    out.resize(rarely(20) || out.size() == bytes ? bytes : bytes - tail(out, bytes));
    return out;
  }
  /// How many bytes before `at` belong to a character that goes beyond it.
  static std::size_t tail(const std::string& out, std::size_t at) {
    std::size_t bytes = 0;
    while (bytes < at && (static_cast<unsigned char>(out[at - bytes]) & 0xc0) == 0x80) ++bytes;
    return bytes;
  }

  std::mt19937 random_;
  bool open_ = false;
};

/// Sends a sequence of that seed and compares what comes of it.
void compare(WebSocketRig& rig, unsigned seed) {
  Frames frames(seed);
  Expected expected;
  std::string all;
  for (int i = 0; i < 40 && expected.code == 0; ++i) {
    const Frame frame = frames.next();
    all += bytes_of(frame);
    expected.read(frame);
  }
  if (expected.code == 0) {
    all += close_frame(1000);
    expected.code = 1000;
  }
  rig.server.on_loop([&] { rig.log.events.clear(); });
  WebSocketClient client(rig);
  ASSERT_TRUE(client.open());
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t bytes = std::min(all.size() - at, 1 + frames.below(frames.rarely(3) ? 10 : 2000));
    if (!client.send(std::string_view(all).substr(at, bytes))) break;
    at += bytes;
  }
  for (const std::string& payload : expected.pongs) {
    const auto pong = client.frame();
    ASSERT_TRUE(pong && pong->opcode == Opcode::pong) << "seed " << seed;
    ASSERT_EQ(pong->payload, payload) << "seed " << seed;
  }
  ASSERT_EQ(client.close_code(), expected.code) << "seed " << seed;
  ASSERT_TRUE(rig.until([](SocketLog& log) { return log.sockets.empty(); }));
  ASSERT_EQ(rig.events(), expected.events) << "seed " << seed;
}

TEST(WebSocketRandom, SequencesReadAsTheRfcSays) {
  WebSocketRig rig({.message_bytes_max = k_message_bytes_max});
  rig.log.echo = false;
  for (unsigned seed = 1; seed <= 1000 && !HasFatalFailure(); ++seed) compare(rig, seed);
}

}  // namespace
}  // namespace histod::test
