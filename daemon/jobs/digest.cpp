// SPDX-License-Identifier: Apache-2.0
// The plain functions take no memory, which those behind EVP do for each digest: one is taken for every request.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "daemon/jobs/digest.hpp"

#include <algorithm>

namespace histod::daemon::jobs {

Sha256::Sha256() { ::SHA256_Init(&context_); }

void Sha256::update(std::span<const std::byte> bytes) { ::SHA256_Update(&context_, bytes.data(), bytes.size()); }

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  ::SHA256_Final(digest.data(), &context_);
  return digest;
}

Sha256Digest sha256(std::span<const std::byte> bytes) {
  Sha256 state;
  state.update(bytes);
  return state.finish();
}

Sha256Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

void append_hex(std::string& out, std::span<const unsigned char> bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  for (const unsigned char byte : bytes) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string out;
  append_hex(out, bytes);
  return out;
}

std::string sha256_hex(std::span<const std::byte> bytes) { return hex(sha256(bytes)); }

std::string sha256_hex(std::string_view text) { return hex(sha256(text)); }

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace histod::daemon::jobs
