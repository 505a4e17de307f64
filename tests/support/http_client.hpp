// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace histod::test {

struct HttpReply {
  unsigned status = 0;
  std::string version;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::vector<std::size_t> chunks;  ///< their sizes, the last one's 0 included; empty: the body did not come in chunks
  std::vector<std::pair<std::string, std::string>> trailers;
  /// The first field of that name without regard to case, or "".
  std::string field(std::string_view name) const;
};

/// A blocking socket that sends what it is told, well-formed or not, and reads HTTP responses. Every wait ends after
/// the receive time-out at the latest. Shares no code with the server.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port, std::chrono::milliseconds receive_timeout = std::chrono::seconds(20));
  /// Connects to a Unix socket.
  explicit HttpClient(const std::string& path, std::chrono::milliseconds receive_timeout = std::chrono::seconds(20));
  HttpClient(HttpClient&& other) noexcept;
  HttpClient(const HttpClient&) = delete;
  ~HttpClient();

  int fd() const { return fd_; }      ///< -1 when connecting failed
  bool send(std::string_view bytes);  ///< false when the peer has closed
  void shutdown_send();
  /// Closes so that the peer sees a reset.
  void reset();
  /// The next response, its body framed by Content-Length, by chunks, or by the end of the connection; none when the
  /// connection ended or the time-out passed before it was whole. `head_request`: the response has no body.
  std::optional<HttpReply> read(bool head_request = false);
  /// That many bytes; fewer when the connection ended or the time-out passed before.
  std::string read_bytes(std::size_t bytes);
  /// Everything up to the end of the connection.
  std::string read_to_end();
  /// Whether the peer has closed (waits for it up to the time-out); bytes that come instead stay readable.
  bool closed_by_peer();

 private:
  void open(int family, std::chrono::milliseconds receive_timeout);
  void connect(const sockaddr* address, socklen_t bytes);
  bool fill();
  std::optional<std::string> read_line();
  bool read_chunks(HttpReply& reply);

  int fd_ = -1;
  std::string buffered_;
  bool timed_out_ = false;
};

/// One request on one connection.
std::optional<HttpReply> http_exchange(std::uint16_t port, std::string_view request);

}  // namespace histod::test
