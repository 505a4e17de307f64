// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>

namespace histod::daemon {

/// The TLS certificate and key of this node, read again when their files change: new connections get the new ones.
class Certificate {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;

  static std::expected<Certificate, std::string> open(const std::string& cert_path, const std::string& key_path);
  /// Any thread.
  Context context() const;
  /// Any thread: when the certificate itself (its authorities may end sooner) is over, in seconds since 1970.
  std::int64_t ends_s() const;
  /// Call each second, from one thread. True: changed; false: not; an error: changed, but unusable (told once for each
  /// state of the files), and the old ones stay.
  std::expected<bool, std::string> poll();

 private:
  struct State;
  explicit Certificate(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace histod::daemon
