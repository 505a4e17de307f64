// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/log.hpp"

/// W3C Trace Context: which trace a request belongs to, as its field `traceparent` says. Kept as the text that version
/// 00 writes, `00-TRACE_ID-PARENT_ID-FLAGS`; empty: none. Only traceparent is passed on, no tracestate.
namespace histod::daemon {

inline constexpr std::string_view k_traceparent_field = "traceparent";

/// What a received field says, in the form of version 00; empty where it is not valid, which means that there is none.
/// Versions to come may say more behind what is known, and of their flags only `sampled` is kept.
std::string parse_traceparent(std::string_view field);

/// The 32 hexadecimal digits; empty where there is no trace. `traceparent`: as parse_traceparent() returns it.
std::string_view trace_id(std::string_view traceparent);
bool is_sampled(std::string_view traceparent);

/// Of the next request: the same trace and flags, with another parent. Where there is no trace, one begins that is not
/// sampled. `random`: bytes that nobody has had; those that would make an id of zeros are replaced.
std::string next_traceparent(std::string_view traceparent, const std::array<std::byte, 24>& random);
/// The same, with the kernel's random bytes.
std::string next_traceparent(std::string_view traceparent);

/// For a line of the log; left out where there is no trace. A view of `traceparent`.
LogField trace_field(std::string_view traceparent);
/// Of a line about a request that is as it should be: whoever samples its trace wants to see it.
LogLevel trace_level(std::string_view traceparent);

}  // namespace histod::daemon
