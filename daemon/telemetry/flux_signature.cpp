// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/flux_signature.hpp"

#include <array>
#include <climits>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace histod::daemon::telemetry {

namespace {

constexpr std::string_view k_algorithm = "sha256=";
constexpr std::size_t k_signature_bytes = 32;

/// 16: none.
unsigned hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return 16;
}

}  // namespace

bool is_flux_signature(std::string_view header, std::string_view body, std::string_view key) {
  if (key.empty() || key.size() > INT_MAX || !header.starts_with(k_algorithm)) return false;
  header.remove_prefix(k_algorithm.size());
  if (header.size() != 2 * k_signature_bytes) return false;
  std::array<unsigned char, k_signature_bytes> claimed{};
  for (std::size_t i = 0; i < claimed.size(); ++i) {
    const unsigned high = hex_value(header[2 * i]);
    const unsigned low = hex_value(header[2 * i + 1]);
    if (high > 15 || low > 15) return false;
    claimed[i] = static_cast<unsigned char>(high << 4 | low);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned bytes = 0;
  const bool made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                         reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data(), &bytes);
  return made && bytes == k_signature_bytes && CRYPTO_memcmp(digest.data(), claimed.data(), k_signature_bytes) == 0;
}

}  // namespace histod::daemon::telemetry
