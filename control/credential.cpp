// SPDX-License-Identifier: Apache-2.0
#include "control/credential.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <system_error>

#include <fmt/core.h>
#include <openssl/evp.h>
#include <sys/stat.h>

namespace histod::control {

namespace {

constexpr std::size_t k_password_chars_min = 16;
constexpr std::size_t k_bytes_max = 1024;

}  // namespace

std::expected<Credential, std::string> parse_credential(std::string_view text) {
  if (text.size() > k_bytes_max) return std::unexpected(fmt::format("it is larger than {} bytes", k_bytes_max));
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.find('\n') != std::string_view::npos) return std::unexpected("it must be one line, user:password");
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; })) {
    return std::unexpected("it must be visible ASCII without blanks");
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::unexpected("it must be user:password");
  const std::size_t chars = text.size() - colon - 1;
  if (chars < k_password_chars_min) {
    return std::unexpected(
        fmt::format("the password has {} characters, but must have {} at least", chars, k_password_chars_min));
  }
  return Credential{std::string(text)};
}

std::expected<Credential, std::string> read_credential(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::unexpected(fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  if (!S_ISREG(status.st_mode)) return std::unexpected(path + ": it is no file");
  if ((status.st_mode & S_IRWXO) != 0) {
    return std::unexpected(fmt::format("{}: others may use it (mode {:o}): chmod o= it", path, status.st_mode & 0777));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(path + ": it cannot be read");
  std::string text(k_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto credential = parse_credential(text);
  if (!credential) return std::unexpected(path + ": " + credential.error());
  return credential;
}

std::string acl_user(const Credential& credential) {
  if (credential.text.empty()) return {};
  std::array<unsigned char, 20> sha1{};
  std::array<unsigned char, 29> base64{};
  ::EVP_Digest(credential.text.data(), credential.text.size(), sha1.data(), nullptr, ::EVP_sha1(), nullptr);
  ::EVP_EncodeBlock(base64.data(), sha1.data(), static_cast<int>(sha1.size()));
  return credential.text.substr(0, credential.text.find(':') + 1) + reinterpret_cast<const char*>(base64.data());
}

}  // namespace histod::control
