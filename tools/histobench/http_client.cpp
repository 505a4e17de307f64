// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/http_client.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::size_t k_receive_bytes = 64 * 1024, k_head_bytes_max = 16 * 1024;
constexpr std::size_t k_lookahead_bytes = 32;  ///< of the line between two chunks
constexpr std::size_t k_body_bytes_max = std::size_t{4} << 30;
constexpr timeval k_patience{120, 0};

[[noreturn]] void fail_errno(const char* what) { throw Failure(fmt::format("{}: {}", what, std::strerror(errno))); }

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

template <class Number>
Number number_of(std::string_view text, int base = 10) {
  Number number = 0;
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec != std::errc{})
    throw Failure(fmt::format("the server sent \"{}\" where a number belongs", text));
  return number;
}

}  // namespace

std::optional<ReplyHead> parse_reply_head(std::string_view received) {
  const std::size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (received.size() > k_head_bytes_max) throw Failure("the server's header section does not end");
    return std::nullopt;
  }
  const std::string head = lower(received.substr(0, end + 2));
  if (!head.starts_with("http/1.") || head.size() < 12) throw Failure("the server does not speak HTTP/1");
  ReplyHead reply{.bytes = end + 4,
                  .status = number_of<unsigned>(std::string_view(head).substr(9, 3)),
                  .body_bytes = {},
                  .keeps_alive = head.starts_with("http/1.1") && !head.contains("\r\nconnection: close\r\n")};
  if (head.contains("\r\ntransfer-encoding: chunked\r\n")) return reply;
  const std::size_t length = head.find("\r\ncontent-length:");
  if (reply.status == 204) {  // has no body, and need not say so
    reply.body_bytes = 0;
    return reply;
  }
  if (length == std::string::npos) throw Failure("the server's answer has no Content-Length");
  reply.body_bytes = number_of<std::uint64_t>(std::string_view(head).substr(length + 17));
  return reply;
}

std::string request_head(std::string_view method, std::string_view target, std::string_view authorization,
                         std::size_t body_bytes, std::string_view content_type) {
  const auto field = [](std::string_view name, std::string_view value) {
    return value.empty() ? std::string() : fmt::format("{}: {}\r\n", name, value);
  };
  return fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}{}Content-Length: {}\r\n\r\n", method, target,
                     field("Authorization", authorization), field("Content-Type", content_type), body_bytes);
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const int on = 1;
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    fail_errno("cannot connect");
  }
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &k_patience, sizeof k_patience);
  return fd;
}

HttpClient::HttpClient(std::uint16_t port, std::string authorization)
    : port_(port), authorization_(std::move(authorization)), buffer_(k_receive_bytes) {}

HttpClient::~HttpClient() { close(); }

void HttpClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Reply HttpClient::ask(std::string_view method, std::string_view target, std::span<const std::byte> body) {
  if (fd_ < 0) fd_ = connect_to(port_);
  try {
    send(request_head(method, target, authorization_, body.size()), body);
    return receive();
  } catch (const Failure&) {
    close();
    throw;
  }
}

std::span<const std::byte> HttpClient::post_ok(std::string_view target, std::span<const std::byte> body) {
  const Reply reply = post(target, body);
  if (reply.status != 200)
    throw Failure(fmt::format("POST {} answers {}: {:.200}", target, reply.status, reply.text()));
  return reply.body;
}

void HttpClient::send(std::string_view head, std::span<const std::byte> body) {
  std::array<iovec, 2> parts{
      {{const_cast<char*>(head.data()), head.size()}, {const_cast<std::byte*>(body.data()), body.size()}}};
  std::size_t left = head.size() + body.size();
  while (left > 0) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // A server that refuses answers before it has read everything: what it says is worth more than EPIPE.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (sent < 0) fail_errno("cannot send");
    left -= static_cast<std::size_t>(sent);
    auto gone = static_cast<std::size_t>(sent);
    for (iovec& part : parts) {
      const std::size_t taken = std::min(gone, part.iov_len);
      part = {static_cast<char*>(part.iov_base) + taken, part.iov_len - taken};
      gone -= taken;
    }
  }
}

std::size_t HttpClient::receive_some(std::span<std::byte> into) {
  ssize_t got = -1;
  do {  // with a time-out set, a process that is stopped and goes on is told EINTR
    got = ::recv(fd_, into.data(), into.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail_errno("cannot receive");
  if (got == 0) throw Failure("the server closed the connection inside an answer");
  return static_cast<std::size_t>(got);
}

Reply HttpClient::receive() {
  std::size_t have = 0;
  std::optional<ReplyHead> head;
  while (!head) {
    have += receive_some(std::span(buffer_).subspan(have));
    head = parse_reply_head({reinterpret_cast<const char*>(buffer_.data()), have});
  }
  if (!head->body_bytes) {
    head->body_bytes = receive_chunks(head->bytes, have);
  } else {
    const std::size_t whole = head->bytes + *head->body_bytes;
    if (buffer_.size() < whole) buffer_.resize(whole);
    while (have < whole) have += receive_some(std::span(buffer_).subspan(have));
    if (have > whole) throw Failure("the server sent more than its Content-Length");
  }
  if (!head->keeps_alive) close();
  return {head->status, std::span(buffer_).subspan(head->bytes, *head->body_bytes)};
}

/// A body in chunks, of which [at, have) is in: joins them from `at` on, and returns their bytes. But for what came
/// with the lines between, they are received where they belong.
std::size_t HttpClient::receive_chunks(std::size_t at, std::size_t have) {
  std::string ahead(reinterpret_cast<const char*>(buffer_.data()) + at, have - at);
  const auto next_line = [&] {
    std::size_t end;
    while ((end = ahead.find("\r\n")) == std::string::npos) {
      if (ahead.size() > k_head_bytes_max) throw Failure("a line between the server's chunks does not end");
      std::array<std::byte, k_lookahead_bytes> some;
      const std::size_t got = receive_some(some);
      ahead.append(reinterpret_cast<const char*>(some.data()), got);
    }
    std::string line = ahead.substr(0, end);
    ahead.erase(0, end + 2);
    return line;
  };
  std::size_t end = at;
  while (auto left = number_of<std::size_t>(next_line(), 16)) {
    if (left > k_body_bytes_max - end) throw Failure("the server's answer is larger than any that is expected");
    if (buffer_.size() < end + left) buffer_.resize(end + left);
    const std::size_t here = std::min(left, ahead.size());
    std::memcpy(buffer_.data() + end, ahead.data(), here);
    ahead.erase(0, here);
    for (end += here, left -= here; left > 0;) {
      const std::size_t got = receive_some(std::span(buffer_).subspan(end, left));
      end += got;
      left -= got;
    }
    if (!next_line().empty()) throw Failure("a chunk of the server's is longer than it says");
  }
  while (!next_line().empty()) continue;  // trailers
  if (!ahead.empty()) throw Failure("the server sent more than its last chunk");
  return end - at;
}

}  // namespace histod::bench
