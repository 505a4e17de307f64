// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace histod::ctl {

/// What the process ends with. The numbers are documented in --help and stay as they are.
enum class Exit : int {
  ok = 0,
  some_failed = 1,
  usage = 2,
  unreachable = 3,
  refused = 4,
  busy = 5,
  interrupted = 130,
};

/// Why something did not work, in a form that can be shown to a person or written as JSON.
struct Failure {
  Exit exit = Exit::some_failed;
  std::string text;                  ///< one line, no control characters, no full stop
  unsigned status = 0;               ///< of the HTTP response; 0: there was none
  std::string code;                  ///< last part of the problem's type, e.g. "too-large"
  std::optional<std::string> value;  ///< what was wrong, where the server said so
  std::optional<std::string> limit;
};

template <class T>
using Result = std::expected<T, Failure>;

inline std::unexpected<Failure> fail(Exit exit, std::string text) {
  return std::unexpected(
      Failure{.exit = exit, .text = std::move(text), .status = 0, .code = {}, .value = {}, .limit = {}});
}

/// `text` in one line that cannot drive a terminal: control characters become '?', at most 500 bytes are kept.
std::string one_line(std::string_view text);

/// The text with value and limit behind it: "the body is too large (value 20, limit 10)".
std::string render(const Failure& failure);

/// The failure that a response of `status` with `body` means: problem+json where it is that, else the status alone.
Failure failure_of_response(unsigned status, std::string_view body);

}  // namespace histod::ctl
