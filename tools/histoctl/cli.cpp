// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/cli.hpp"

#include <cassert>
#include <charconv>

#include <fmt/format.h>

namespace histod::ctl {
namespace {

const OptionSpec* find_in(std::span<const OptionSpec> options, std::string_view name, char letter) {
  for (const OptionSpec& option : options) {
    if (letter ? option.letter == letter : option.name == name) return &option;
  }
  return nullptr;
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == value) return true;
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return false;
}

/// The option of that name or letter: of the given command, or of every command before one is known.
const OptionSpec* find_option(const CommandSpec* command, std::string_view name, char letter) {
  if (const OptionSpec* found = find_in(common_options(), name, letter)) return found;
  if (command) return find_in(command->options, name, letter);
  for (const CommandSpec& each : commands()) {
    if (const OptionSpec* found = find_in(each.options, name, letter)) return found;
  }
  return nullptr;
}

std::unexpected<Failure> usage(std::string text) { return fail(Exit::usage, std::move(text)); }

class Parser {
 public:
  explicit Parser(std::span<const char* const> words) : words_(words) {}

  Result<Arguments> run() {
    bool options_ended = false;
    while (at_ < words_.size()) {
      const std::string_view word = words_[at_++];
      Result<void> taken;
      if (!options_ended && word == "--") {
        options_ended = true;
      } else if (!options_ended && word.starts_with("--")) {
        taken = take_long(word.substr(2));
      } else if (!options_ended && word.size() > 1 && word[0] == '-') {
        taken = take_short(word.substr(1));
      } else {
        taken = take_operand(word);
      }
      if (!taken) return std::unexpected(taken.error());
    }
    return check_fit();
  }

 private:
  Result<void> take_operand(std::string_view word) {
    if (args_.command) {
      args_.operands.emplace_back(word);
      return {};
    }
    for (const CommandSpec& command : commands()) {
      if (command.name == word) args_.command = &command;
    }
    if (!args_.command) return usage(fmt::format("{}: there is no such command", one_line(word)));
    return {};
  }

  Result<void> take_long(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const OptionSpec* option = name.empty() ? nullptr : find_option(args_.command, name, 0);
    if (!option) return usage(fmt::format("--{}: there is no such option", one_line(name)));
    if (equals == std::string_view::npos) return take_value(*option, std::nullopt);
    return take_value(*option, word.substr(equals + 1));
  }

  Result<void> take_short(std::string_view letters) {
    while (!letters.empty()) {
      const OptionSpec* option = find_option(args_.command, {}, letters[0]);
      if (!option) return usage(fmt::format("-{}: there is no such option", one_line(letters.substr(0, 1))));
      letters.remove_prefix(1);
      if (option->value != Value::none && !letters.empty()) return take_value(*option, letters);
      if (const auto taken = take_value(*option, std::nullopt); !taken) return taken;
    }
    return {};
  }

  Result<void> take_value(const OptionSpec& option, std::optional<std::string_view> value) {
    if (args_.values.contains(option.name)) return usage(fmt::format("--{}: given twice", option.name));
    if (option.value == Value::none) {
      if (value) return usage(fmt::format("--{}: takes no value", option.name));
      value = "1";
    } else if (!value) {
      if (at_ == words_.size()) return usage(fmt::format("--{}: needs a value ({})", option.name, option.metavar));
      value = words_[at_++];
    }
    if (option.value == Value::choice && !is_choice(option.choices, *value)) {
      return usage(fmt::format("--{}: {} is not one of {}", option.name, one_line(*value), option.choices));
    }
    if (option.check && !option.check(*value)) {
      return usage(fmt::format("--{}: {} is not {}", option.name, one_line(*value), option.expected));
    }
    args_.values.emplace(option.name, *value);
    return {};
  }

  /// An option may stand before its command, so whether they fit is known only at the end.
  Result<Arguments> check_fit() {
    for (const auto& [name, value] : args_.values) {
      if (args_.command && !find_option(args_.command, name, 0)) {
        return usage(fmt::format("--{}: not an option of {}", name, args_.command->name));
      }
    }
    return std::move(args_);
  }

  std::span<const char* const> words_;
  std::size_t at_ = 0;
  Arguments args_;
};

std::string option_head(const OptionSpec& option) {
  std::string head =
      option.letter ? fmt::format("  -{}, --{}", option.letter, option.name) : fmt::format("      --{}", option.name);
  if (option.value != Value::none) head += fmt::format(" {}", option.metavar);
  return head;
}

void append_options(std::string& out, std::span<const OptionSpec> options) {
  constexpr std::size_t k_column = 28;
  for (const OptionSpec& option : options) {
    const std::string head = option_head(option);
    out +=
        head.size() + 2 > k_column ? head + "\n" + std::string(k_column, ' ') : fmt::format("{:<{}}", head, k_column);
    out += option.help;
    out += '\n';
    if (option.value == Value::choice) out += fmt::format("{:{}}one of {}\n", "", k_column, option.choices);
  }
}

constexpr std::string_view k_environment =
    "\nServer and token, first found wins:\n"
    "  server   --server, HISTOCTL_SERVER, `server` of the configuration file, http://127.0.0.1:8080\n"
    "  token    --token-file, HISTOCTL_TOKEN (the token itself), HISTOCTL_TOKEN_FILE, `token_file` of\n"
    "           the configuration file, ${XDG_STATE_HOME:-~/.local/state}/histod/token\n"
    "  https    --cacert, `cacert` of the configuration file, the system's certificates\n"
    "  A token file holds a bare token, or lines of ROLE TOKEN [NAME]: then the strongest role is used.\n"
    "  The configuration file is ${XDG_CONFIG_HOME:-~/.config}/histoctl.toml.\n"
    "\nExit codes:\n"
    "  0    everything worked\n"
    "  1    some inputs failed; each has a line on standard error\n"
    "  2    the command line is wrong; nothing was done\n"
    "  3    the server cannot be reached\n"
    "  4    the server refused the token, or its role does not allow this\n"
    "  5    the server was busy in every try\n"
    "  130  interrupted; no half-written file is left\n";

}  // namespace

std::string Arguments::get(std::string_view name, std::string_view otherwise) const {
  const auto found = values.find(name);
  return found == values.end() ? std::string(otherwise) : found->second;
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t otherwise) const {
  const auto found = values.find(name);
  if (found == values.end()) return otherwise;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  assert(error == std::errc());
  static_cast<void>(end);
  return number;
}

Result<Arguments> parse(std::span<const char* const> words) { return Parser(words).run(); }

std::string help(const CommandSpec* command) {
  std::string out;
  if (command) {
    out =
        fmt::format("Usage: histoctl {}{}{} [options]\n\n{}{}.\n", command->name, command->operands.empty() ? "" : " ",
                    command->operands, char(command->summary[0] - 'a' + 'A'), command->summary.substr(1));
    if (!command->description.empty()) out += fmt::format("{}\n", command->description);
    if (!command->options.empty()) out += "\nOptions:\n";
    append_options(out, command->options);
  } else {
    out =
        "Usage: histoctl COMMAND [options]\n\nEqualizes images with a histod daemon, and looks after "
        "it.\n\nCommands:\n";
    for (const CommandSpec& each : commands()) out += fmt::format("  {:<12}{}\n", each.name, each.summary);
    out += "\n`histoctl COMMAND --help` tells more.\n";
  }
  out += "\nCommon options:\n";
  append_options(out, common_options());
  out += k_environment;
  if (command && !command->examples.empty()) out += fmt::format("\nExamples:\n{}", command->examples);
  return out;
}

}  // namespace histod::ctl
