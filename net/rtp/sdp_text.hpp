// SPDX-License-Identifier: Apache-2.0
#pragma once

// The small change of parse_sdp() and write_sdp().

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace histod::net::rtp::sdp_text {

/// What stands before `separator`, which is taken away with it; all of `text` where there is none.
inline std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view front = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return front;
}

inline std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// Decimal digits and nothing else.
inline std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stopped != text.data() + text.size()) return std::nullopt;
  return value;
}

inline bool is_text(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// A name or numeric address (RFC 8866, 9, unicast-address), as far as it cannot be taken for anything else.
inline bool is_address(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == ':' ||
           c == '-';
  });
}

/// A value of a=fmtp: no separators, nothing unprintable.
inline bool is_parameter_value(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ';' && c != '='; });
}

/// For error texts: printable, in quotes, and not long.
inline std::string quoted(std::string_view text) {
  constexpr std::size_t k_shown = 32;
  std::string out = "\"";
  for (const char c : text.substr(0, k_shown)) out += c >= 0x20 && c < 0x7f && c != '"' ? c : '?';
  return out + (text.size() > k_shown ? "...\"" : "\"");
}

}  // namespace histod::net::rtp::sdp_text
