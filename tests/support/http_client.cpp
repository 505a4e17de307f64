// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_client.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace histod::test {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string strip(std::string text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.erase(0, 1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  return text;
}

std::optional<HttpReply> parse_head(std::string_view head) {
  HttpReply reply;
  const auto line_end = head.find("\r\n");
  const std::string line(head.substr(0, line_end));
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return std::nullopt;
  reply.version = line.substr(0, 8);
  reply.status = static_cast<unsigned>(std::strtoul(line.c_str() + 9, nullptr, 10));
  for (auto at = line_end + 2; at < head.size();) {
    const auto end = head.find("\r\n", at);
    const auto field = head.substr(at, end - at);
    const auto colon = field.find(':');
    if (field.empty() || colon == std::string_view::npos) break;
    reply.fields.emplace_back(std::string(field.substr(0, colon)), strip(std::string(field.substr(colon + 1))));
    at = end + 2;
  }
  return reply;
}

}  // namespace

std::string HttpReply::field(std::string_view name) const {
  const auto found = std::ranges::find_if(fields, [&](const auto& field) { return lower(field.first) == lower(name); });
  return found == fields.end() ? std::string() : found->second;
}

HttpClient::HttpClient(std::uint16_t port, std::chrono::milliseconds receive_timeout) {
  open(AF_INET, receive_timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

HttpClient::HttpClient(const std::string& path, std::chrono::milliseconds receive_timeout) {
  open(AF_UNIX, receive_timeout);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  connect(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

void HttpClient::open(int family, std::chrono::milliseconds receive_timeout) {
  fd_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(receive_timeout);
  timeval time{};
  time.tv_sec = seconds.count();
  time.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(receive_timeout - seconds).count();
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

void HttpClient::connect(const sockaddr* address, socklen_t bytes) {
  if (::connect(fd_, address, bytes) == 0) return;
  if (errno == EINTR) {
    // The connection goes on being made.
    pollfd made{.fd = fd_, .events = POLLOUT, .revents = 0};
    while (::poll(&made, 1, 20'000) < 0 && errno == EINTR) {
    }
    int error = 0;
    socklen_t error_bytes = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0 && error == 0) return;
  }
  ::close(fd_);
  fd_ = -1;
}

HttpClient::HttpClient(HttpClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffered_(std::move(other.buffered_)), timed_out_(other.timed_out_) {}

HttpClient::~HttpClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void HttpClient::shutdown_send() { ::shutdown(fd_, SHUT_WR); }

void HttpClient::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(std::exchange(fd_, -1));
}

bool HttpClient::fill() {
  char chunk[64 * 1024];
  for (;;) {
    const auto got = ::recv(fd_, chunk, sizeof chunk, 0);
    if (got < 0 && errno == EINTR) continue;
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (got <= 0) return false;
    buffered_.append(chunk, static_cast<std::size_t>(got));
    return true;
  }
}

std::optional<HttpReply> HttpClient::read(bool head_request) {
  std::size_t end = 0;
  while ((end = buffered_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return std::nullopt;
  }
  auto reply = parse_head(std::string_view(buffered_).substr(0, end + 2));
  buffered_.erase(0, end + 4);
  if (!reply || head_request || reply->status < 200 || reply->status == 204 || reply->status == 304) return reply;
  if (lower(reply->field("transfer-encoding")) == "chunked") {
    if (!read_chunks(*reply)) return std::nullopt;
    return reply;
  }
  if (reply->field("content-length").empty()) {
    reply->body = read_to_end();
    return reply;
  }
  const auto length = std::strtoull(reply->field("content-length").c_str(), nullptr, 10);
  while (buffered_.size() < length) {
    if (!fill()) return std::nullopt;
  }
  reply->body = buffered_.substr(0, length);
  buffered_.erase(0, length);
  return reply;
}

std::optional<std::string> HttpClient::read_line() {
  std::size_t end = 0;
  while ((end = buffered_.find("\r\n")) == std::string::npos) {
    if (!fill()) return std::nullopt;
  }
  std::string line = buffered_.substr(0, end);
  buffered_.erase(0, end + 2);
  return line;
}

bool HttpClient::read_chunks(HttpReply& reply) {
  for (;;) {
    const auto line = read_line();
    if (!line || line->empty()) return false;
    const auto bytes = std::strtoull(line->c_str(), nullptr, 16);
    reply.chunks.push_back(bytes);
    if (bytes == 0) break;
    while (buffered_.size() < bytes + 2) {
      if (!fill()) return false;
    }
    reply.body.append(buffered_, 0, bytes);
    if (buffered_.compare(bytes, 2, "\r\n") != 0) return false;
    buffered_.erase(0, bytes + 2);
  }
  for (;;) {
    const auto line = read_line();
    if (!line) return false;
    if (line->empty()) return true;
    const auto colon = line->find(':');
    if (colon == std::string::npos) return false;
    reply.trailers.emplace_back(line->substr(0, colon), strip(line->substr(colon + 1)));
  }
}

std::string HttpClient::read_bytes(std::size_t bytes) {
  while (buffered_.size() < bytes && fill()) {
  }
  const std::string out = buffered_.substr(0, bytes);
  buffered_.erase(0, out.size());
  return out;
}

std::string HttpClient::read_to_end() {
  while (fill()) {
  }
  return std::exchange(buffered_, {});
}

bool HttpClient::closed_by_peer() { return buffered_.empty() && !fill() && !timed_out_; }

std::optional<HttpReply> http_exchange(std::uint16_t port, std::string_view request) {
  HttpClient client(port);
  if (client.fd() < 0 || !client.send(request)) return std::nullopt;
  return client.read();
}

}  // namespace histod::test
