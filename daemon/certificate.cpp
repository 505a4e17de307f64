// SPDX-License-Identifier: Apache-2.0
#include "daemon/certificate.hpp"

#include <ctime>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "net/http/tls.hpp"

namespace histod::daemon {

namespace {

struct Stamp {
  ino_t inode = 0;
  off_t bytes = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const Stamp&) const = default;
};

Stamp stamp_of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

}  // namespace

struct Certificate::State {
  std::string cert_path, key_path;
  Stamp cert, key;
  mutable std::mutex mutex;
  Context context;
};

std::expected<Certificate, std::string> Certificate::open(const std::string& cert_path, const std::string& key_path) {
  auto state = std::make_shared<State>();
  state->cert_path = cert_path;
  state->key_path = key_path;
  Certificate certificate(std::move(state));
  if (auto read = certificate.poll(); !read) return std::unexpected(read.error());
  return certificate;
}

Certificate::Context Certificate::context() const {
  const std::lock_guard lock(state_->mutex);
  return state_->context;
}

std::int64_t Certificate::ends_s() const {
  const Context kept = context();
  const ::X509* const certificate = ::SSL_CTX_get0_certificate(kept->native_handle());
  std::tm end{};
  if (certificate == nullptr || ::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &end) != 1) return 0;
  return ::timegm(&end);
}

std::expected<bool, std::string> Certificate::poll() {
  const Stamp cert = stamp_of(state_->cert_path), key = stamp_of(state_->key_path);
  if (state_->context && cert == state_->cert && key == state_->key) return false;
  state_->cert = cert;
  state_->key = key;
  auto made = net::http::make_tls_context(state_->cert_path, state_->key_path);
  if (!made) return std::unexpected(made.error());
  const std::lock_guard lock(state_->mutex);
  state_->context = std::move(*made);
  return true;
}

}  // namespace histod::daemon
