// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <openssl/sha.h>

namespace histod::daemon::jobs {

using Sha256Digest = std::array<unsigned char, 32>;

/// SHA-256 of bytes that come in parts.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  Sha256Digest finish();  ///< once

 private:
  SHA256_CTX context_;
};

Sha256Digest sha256(std::span<const std::byte> bytes);
Sha256Digest sha256(std::string_view text);
std::string hex(std::span<const unsigned char> bytes);  ///< lower case
void append_hex(std::string& out, std::span<const unsigned char> bytes);
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);
/// 64 lower-case hexadecimal digits.
bool is_sha256_hex(std::string_view text);

}  // namespace histod::daemon::jobs
