// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <system_error>

/// What the values of options are checked by.
namespace histod::ctl::checks {

/// Whether all of the text is a number.
template <class T>
bool read_all(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

template <std::uint64_t low, std::uint64_t high>
bool is_whole(std::string_view text) {
  std::uint64_t number = 0;
  return read_all(text, number) && number >= low && number <= high;
}

template <int low, int high>
bool is_between(std::string_view text) {
  double number = 0;
  return read_all(text, number) && std::isfinite(number) && number >= low && number <= high;
}

}  // namespace histod::ctl::checks
