// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// What completes an option's value in a shell.
enum class Value : std::uint8_t { none, text, choice, file, folder };

/// One option: the parser, --help and the completion scripts all read this table.
struct OptionSpec {
  std::string_view name;  ///< without the dashes
  char letter = 0;        ///< its short form, or 0
  Value value = Value::none;
  std::string_view metavar;
  std::string_view choices;  ///< "a|b|c" for Value::choice
  std::string_view help;
  /// Says whether a value is good; null: any is. `expected` is what it should have been.
  bool (*check)(std::string_view value) = nullptr;
  std::string_view expected = {};
};

struct CommandSpec {
  std::string_view name;
  std::string_view operands;  ///< as --help shows them
  std::string_view summary;
  std::string_view description;
  std::span<const OptionSpec> options;
  std::string_view examples;
  std::string_view words;   ///< "a|b": what the first operand may be; empty: files
  bool then_files = false;  ///< files may follow the word
};

std::span<const CommandSpec> commands();
std::span<const OptionSpec> common_options();

struct Arguments {
  const CommandSpec* command = nullptr;                    ///< null: none was given
  std::map<std::string, std::string, std::less<>> values;  ///< by long name; flags have the value "1"
  std::vector<std::string> operands;

  bool has(std::string_view name) const { return values.contains(name); }
  /// The value, or `otherwise` when the option was not given.
  std::string get(std::string_view name, std::string_view otherwise = {}) const;
  /// Only for options whose check accepts nothing but whole numbers.
  std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;
};

/// Options may stand anywhere, before and behind the command; "--" ends them; "-" is an operand. Exit::usage.
Result<Arguments> parse(std::span<const char* const> words);

/// The text of --help: of one command, or of the program when `command` is null.
std::string help(const CommandSpec* command);

/// The completion script for bash, zsh or fish. Exit::usage for another shell.
Result<std::string> completion_script(std::string_view shell);

}  // namespace histod::ctl
