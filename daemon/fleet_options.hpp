// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <sys/types.h>

#include "daemon/fleet.hpp"
#include "daemon/options.hpp"

namespace histod::daemon {

/// What is wrong with the options of the fleet: one sentence each.
std::vector<std::string> check_fleet_options(const Options& options);
/// --zookeeper, one by one.
std::vector<std::string> zookeeper_servers(const Options& options);
/// Where peers reach this node: --advertise-url, else what is listened on, with the port that it has got.
std::string advertised_url(const Options& options, std::uint16_t port);
/// Whether only this machine reaches that.
bool is_loopback_url(std::string_view url);
/// Whether a file of this mode and owner is its owner's alone, or root's who lets one group read it: so Kubernetes mounts
/// secrets for a user other than root.
bool is_private(mode_t mode, uid_t owner);
/// A token that this node shows to others, or a key: one line of 16 to 512 visible ASCII characters in a file that
/// is_private. The error says what is wrong, without the secret.
std::expected<std::string, std::string> read_secret(const std::string& path);
/// Reads the credential's file; the error is one sentence.
std::expected<Fleet::Options, std::string> fleet_options(const Options& options, std::string identity,
                                                         std::uint16_t port);

}  // namespace histod::daemon
