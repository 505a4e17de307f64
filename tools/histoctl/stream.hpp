// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/client.hpp"

/// The words of `histoctl stream`.
namespace histod::ctl {

/// "/v1/streams/NAME"
std::string stream_target(std::string_view name);

/// Begins a stream or replaces it.
Result<Exit> set_stream(const Arguments& arguments, Client& client, const std::string& name);
/// Changes what may change while it runs.
Result<Exit> change_stream(const Arguments& arguments, Client& client, const std::string& name);
/// Plays images and patterns as live video; asks no daemon.
Result<Exit> send_stream(const Arguments& arguments);

}  // namespace histod::ctl
