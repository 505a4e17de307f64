// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/websocket_frames.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <random>
#include <span>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::size_t k_control_bytes_max = 125;
constexpr unsigned k_two_bytes_follow = 126, k_eight_bytes_follow = 127;

std::string base64(std::span<const unsigned char> bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP ends it with a NUL
  ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  out.pop_back();
  return out;
}

bool is_control(Opcode opcode) { return static_cast<unsigned>(opcode) >= 8; }

bool is_known(unsigned opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

/// The value of a field, spaces taken off; empty where there is none.
std::string_view header_value(std::string_view head, std::string_view lower_name) {
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const std::string_view name = line.substr(0, line.find(':'));
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    if (name.size() == line.size() || !std::ranges::equal(name, lower_name, same)) continue;
    const std::size_t from = std::min(line.find_first_not_of(' ', name.size() + 1), line.size());
    return line.substr(from, line.find_last_not_of(' ') + 1 - from);
  }
  return {};
}

}  // namespace

std::string websocket_key() {
  std::random_device random;
  std::array<unsigned char, 16> bytes{};
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
  return base64(bytes);
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned bytes = 0;
  if (::EVP_Digest(text.data(), text.size(), digest.data(), &bytes, ::EVP_sha1(), nullptr) != 1)
    throw Failure("there is no SHA-1");
  return base64(std::span(digest).first(bytes));
}

std::string websocket_request(std::string_view target, std::string_view authorization, std::string_view key) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
      target, authorization, key);
}

std::string websocket_refusal(std::string_view answer, std::string_view key) {
  if (!answer.starts_with("HTTP/1.1 101 "))
    return fmt::format("it answers \"{}\", not 101", answer.substr(0, answer.find("\r\n")));
  const std::string_view accept = header_value(answer, "sec-websocket-accept");
  if (accept != websocket_accept(key)) return fmt::format("its Sec-WebSocket-Accept is \"{}\", not the key's", accept);
  return {};
}

std::string client_frame(Opcode opcode, std::string_view payload, std::uint32_t mask) {
  if (payload.size() > k_control_bytes_max) throw Failure("a frame of the client's is too long");
  std::string out{static_cast<char>(0x80 | static_cast<unsigned>(opcode)), static_cast<char>(0x80 | payload.size())};
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(mask >> shift);
  for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ out[2 + i % 4]);
  return out;
}

/// None while it is not whole.
std::optional<MessageReader::Head> MessageReader::head_of(std::string_view bytes) const {
  if (bytes.size() < 2) return std::nullopt;
  const unsigned first = byte_at(bytes, 0), second = byte_at(bytes, 1);
  if ((first & 0x70) != 0 || !is_known(first & 0xF))
    throw Failure(fmt::format("the server's frame begins with 0x{:02x}, which means nothing", first));
  if ((second & 0x80) != 0) throw Failure("the server masks a frame");
  const unsigned length = second & 0x7F;
  const std::size_t more = length == k_two_bytes_follow ? 2 : length == k_eight_bytes_follow ? 8 : 0;
  if (bytes.size() < 2 + more) return std::nullopt;
  std::uint64_t payload_bytes = more == 0 ? length : 0;
  for (std::size_t i = 0; i < more; ++i) payload_bytes = payload_bytes << 8 | byte_at(bytes, 2 + i);
  const std::uint64_t least = more == 0 ? 0 : more == 2 ? 126 : 65'536;
  if (payload_bytes < least) throw Failure(fmt::format("{} bytes of length say {}", more, payload_bytes));
  if (payload_bytes > message_bytes_max_)
    throw Failure(fmt::format("a frame has {} bytes, more than {}", payload_bytes, message_bytes_max_));
  return Head{(first & 0x80) != 0, static_cast<Opcode>(first & 0xF), 2 + more, payload_bytes};
}

void MessageReader::take_frame(const Head& head, std::string_view payload, const Told& told) {
  if (is_control(head.opcode)) {
    if (!head.last || payload.size() > k_control_bytes_max) throw Failure("a control frame is in parts, or too long");
    return told(head.opcode, payload);
  }
  if ((head.opcode == Opcode::continuation) != coming_.has_value())
    throw Failure(coming_ ? "a message begins inside another one" : "a message goes on that never began");
  if (!coming_ && head.last) return told(head.opcode, payload);
  if (!coming_) coming_ = head.opcode;
  if (fragments_.size() + payload.size() > message_bytes_max_)
    throw Failure(fmt::format("a message has more than {} bytes", message_bytes_max_));
  fragments_ += payload;
  if (!head.last) return;
  const Opcode opcode = *coming_;
  const std::string whole = std::move(fragments_);
  coming_.reset();
  fragments_.clear();
  told(opcode, whole);
}

/// The bytes of the frames that are whole.
std::size_t MessageReader::take_whole(std::string_view bytes, const Told& told) {
  for (std::size_t at = 0;;) {
    const auto head = head_of(bytes.substr(at));
    if (!head || bytes.size() - at < head->bytes + head->payload_bytes) return at;
    take_frame(*head, bytes.substr(at + head->bytes, head->payload_bytes), told);
    at += head->bytes + head->payload_bytes;
  }
}

void MessageReader::take(std::string_view bytes, const Told& told) {
  if (partial_.empty()) {
    partial_ = bytes.substr(take_whole(bytes, told));
    return;
  }
  partial_ += bytes;
  partial_.erase(0, take_whole(partial_, told));
}

}  // namespace histod::bench
