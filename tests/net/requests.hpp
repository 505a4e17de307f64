// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

// Requests as a client would write them, for the tests of connections.

namespace histod::test {

inline std::string get(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more) + "\r\n";
}

/// A header section that announces `bytes` of body.
inline std::string post_head(std::string_view path, std::size_t bytes, std::string_view more = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(bytes) + "\r\n" +
         std::string(more) + "\r\n";
}

inline std::string post(std::string_view path, std::string_view body, std::string_view more = "") {
  return post_head(path, body.size(), more) + std::string(body);
}

inline std::string chunked_head(std::string_view path, std::string_view more = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n" + std::string(more) +
         "\r\n";
}

inline std::string chunks(std::string_view body, std::size_t chunk_bytes) {
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += chunk_bytes) {
    const auto chunk = body.substr(at, chunk_bytes);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
    out.append(size).append(chunk).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

/// Bytes without a short period that a shifted or repeated block could hide behind.
inline std::string noise(std::size_t bytes, std::uint32_t seed = 1) {
  std::string out(bytes, '\0');
  for (char& c : out) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return out;
}

}  // namespace histod::test
