// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace histod::control {

/// For ZooKeeper's digest scheme: "user:password", the whole of it secret. It comes from a file only, because what is
/// in arguments and the environment is seen by others, and no error text holds any of it.
struct Credential {
  std::string text;  ///< empty: none; znodes are then open to all
};

/// One line "user:password" of visible ASCII, the password of 16 characters at least. The error says what is wrong.
std::expected<Credential, std::string> parse_credential(std::string_view text);
/// The same from a file, which only its owner and its group may read.
std::expected<Credential, std::string> read_credential(const std::string& path);

/// The user and the digest of both, as ZooKeeper shows them in ACLs; empty when there is no credential.
std::string acl_user(const Credential& credential);

}  // namespace histod::control
