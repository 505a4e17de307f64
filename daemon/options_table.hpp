// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/options.hpp"

namespace histod::daemon {

struct CountMember {
  std::uint64_t Options::* at;
};
struct BytesMember {
  std::uint64_t Options::* at;
};
using OptionMember = std::variant<std::string Options::*, std::vector<ListenAddress> Options::*, CountMember,
                                  BytesMember, std::chrono::milliseconds Options::*, bool Options::*, Io Options::*,
                                  Isa Options::*, LogFormat Options::*, LogLevel Options::*>;

/// One option: everything there is to know about it, but for its default, which is Options' initialiser.
struct OptionRow {
  std::string_view group;
  std::string_view name;  ///< of the flag and in the TOML file; the variable is derived from it
  OptionMember member;
  std::string_view value;  ///< what --help calls the value
  std::string_view help;
  std::uint64_t min = 0;  ///< counts, bytes, or milliseconds
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max() / 2;
};

std::span<const OptionRow> option_rows();
const OptionRow* find_option(std::string_view name);
/// --max-pages -> HISTOD_MAX_PAGES
std::string variable_name(std::string_view option);

/// Sets an option from text; what is wrong with the text otherwise (a clause without the option's name).
std::optional<std::string> set_option(Options& options, const OptionRow& row, std::string_view text);
/// The value as text that set_option() takes.
std::string option_text(const Options& options, const OptionRow& row);
/// The value as TOML.
std::string option_toml(const Options& options, const OptionRow& row);
bool is_flag(const OptionRow& row);

std::string format_bytes(std::uint64_t bytes);                ///< in the largest unit that divides it
std::string format_duration(std::chrono::milliseconds time);  ///< likewise

/// The known name that `name` was probably meant to be, or an empty view.
std::string_view nearest_option(std::string_view name);

}  // namespace histod::daemon
