// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace histod::bench {

/// What the generator and the client need to know of a response's header section.
struct ReplyHead {
  std::size_t bytes = 0;  ///< of the section, with the empty line
  unsigned status = 0;
  std::optional<std::uint64_t> body_bytes;  ///< empty: it comes in chunks
  bool keeps_alive = true;
};

/// None while it is not whole. Throws Failure for what is no HTTP/1 response with a Content-Length or in chunks.
std::optional<ReplyHead> parse_reply_head(std::string_view received);

/// The header section of a request with a body of that size.
std::string request_head(std::string_view method, std::string_view target, std::string_view authorization,
                         std::size_t body_bytes, std::string_view content_type = {});

int connect_to(std::uint16_t port);  ///< 127.0.0.1, without Nagle's delay; throws Failure

struct Reply {
  unsigned status = 0;
  std::span<const std::byte> body;  ///< valid until the next request
  std::string_view text() const { return {reinterpret_cast<const char*>(body.data()), body.size()}; }
};

/// Keep-alive requests on one blocking connection, one after the other; it connects again when the server has closed.
/// Memory is kept from request to request, so that none but the first pays for it. Throws Failure.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port, std::string authorization = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Reply post(std::string_view target, std::span<const std::byte> body) { return ask("POST", target, body); }
  Reply get(std::string_view target) { return ask("GET", target, {}); }
  Reply put(std::string_view target, std::span<const std::byte> body) { return ask("PUT", target, body); }
  Reply remove(std::string_view target) { return ask("DELETE", target, {}); }
  /// As post, but anything other than 200 is a Failure that quotes the answer.
  std::span<const std::byte> post_ok(std::string_view target, std::span<const std::byte> body);

 private:
  Reply ask(std::string_view method, std::string_view target, std::span<const std::byte> body);
  void send(std::string_view head, std::span<const std::byte> body);
  Reply receive();
  std::size_t receive_chunks(std::size_t at, std::size_t have);
  std::size_t receive_some(std::span<std::byte> into);
  void close();

  std::uint16_t port_;
  std::string authorization_;
  int fd_ = -1;
  std::vector<std::byte> buffer_;
};

}  // namespace histod::bench
