// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/event_sink.hpp"

/// The words of `histoctl events`.
namespace histod::ctl {

/// A tool's lines, as events, into the sink.
Result<Exit> send_events(const Arguments& arguments, EventSink& sink);
/// Recorded events, in the time that they took.
Result<Exit> replay_events(const Arguments& arguments, const Settings& settings, EventSink& sink);
/// What the daemon has, and with --follow what comes.
Result<Exit> tail_events(const Arguments& arguments, const Settings& settings);

}  // namespace histod::ctl
