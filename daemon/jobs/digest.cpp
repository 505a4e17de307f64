// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/digest.hpp"

#include <algorithm>
#include <cassert>

#include <openssl/evp.h>

namespace histod::daemon::jobs {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { ::EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(::EVP_MD_CTX_new()) {
  [[maybe_unused]] const int ok = ::EVP_DigestInit_ex(context_.get(), ::EVP_sha256(), nullptr);
  assert(ok == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  [[maybe_unused]] const int ok = ::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  assert(ok == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  unsigned size = 0;
  [[maybe_unused]] const int ok = ::EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
  assert(ok == 1 && size == digest.size());
  return digest;
}

Sha256Digest sha256(std::span<const std::byte> bytes) {
  Sha256 state;
  state.update(bytes);
  return state.finish();
}

Sha256Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

std::string hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

std::string sha256_hex(std::span<const std::byte> bytes) { return hex(sha256(bytes)); }

std::string sha256_hex(std::string_view text) { return hex(sha256(text)); }

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace histod::daemon::jobs
