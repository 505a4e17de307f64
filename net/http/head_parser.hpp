// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "net/http/header_guard.hpp"
#include "net/http/message.hpp"
#include "net/http/refusal.hpp"

namespace histod::net::http {

struct ParsedHead {
  GuardedHead guarded;
  bool keep_alive = false;
};

/// Guard first, then Beast's parser, which yields the fields and the connection options. Where the two disagree on
/// framing the request is refused. Views point into `section`; `fields` is reused and allocates only to grow.
std::expected<ParsedHead, Refusal> parse_head(std::string_view section, const GuardLimits& limits,
                                              std::vector<Field>& fields);

struct ParsedAnswer {
  GuardedAnswer guarded;
  bool keep_alive = false;
};

/// The same for the header section of an answer.
std::expected<ParsedAnswer, Refusal> parse_answer_head(std::string_view section, const GuardLimits& limits,
                                                       std::vector<Field>& fields);

}  // namespace histod::net::http
