// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "daemon/streams/config.hpp"

namespace histod::daemon {

inline constexpr std::string_view k_stream_tables = "stream";

/// Reads the [[stream]] tables of a configuration file; an error for each thing that is wrong, with its line.
void read_stream_tables(const toml::node& tables, const std::string& path, std::vector<streams::StreamConfig>& out,
                        std::vector<std::string>& errors);
/// What --help says of them.
std::string stream_tables_help();

}  // namespace histod::daemon
