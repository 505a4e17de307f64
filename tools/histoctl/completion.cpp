// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/histoctl/cli.hpp"

namespace histod::ctl {
namespace {

std::string spaced(std::string_view bars) {
  std::string out(bars);
  for (char& c : out) c = c == '|' ? ' ' : c;
  return out;
}

/// For text inside single quotes of any of the three shells.
std::string quoted(std::string_view text, bool colons = false) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') out += "'\\'";
    if (colons && (c == '[' || c == ']' || c == ':')) out += '\\';
    out += c;
  }
  return out;
}

std::string bash_words(std::span<const OptionSpec> options) {
  std::string out;
  for (const OptionSpec& option : options) {
    out += fmt::format(" --{}", option.name);
    if (option.letter) out += fmt::format(" -{}", option.letter);
  }
  return out;
}

/// The branches of a case on command and word before the cursor: -r is not the same option for all commands.
std::string bash_values(std::string_view command, std::span<const OptionSpec> options) {
  std::string out;
  for (const OptionSpec& option : options) {
    if (option.value == Value::none) continue;
    std::string label = fmt::format("{}:--{}", command, option.name);
    if (option.letter) label += fmt::format("|{}:-{}", command, option.letter);
    const bool files = option.value == Value::file || option.value == Value::folder;
    const std::string words = files ? "-f" : fmt::format("-W '{}'", spaced(option.choices));
    out += fmt::format("    {}) COMPREPLY=($(compgen {} -- \"$word\")); return ;;\n", label, words);
  }
  return out;
}

std::string bash_script() {
  std::string names;
  std::string cases;
  std::string values = bash_values("*", common_options());
  for (const CommandSpec& command : commands()) {
    names += fmt::format(" {}", command.name);
    cases +=
        fmt::format("    {}) options='{}{}' operands='{}' files={} ;;\n", command.name, bash_words(command.options),
                    bash_words(common_options()), spaced(command.words), command.then_files ? "yes" : "");
    values += bash_values(command.name, command.options);
  }
  return fmt::format(
      "# bash completion of histoctl; made by `histoctl completion bash`\n"
      "_histoctl() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= options= operands= "
      "files= i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \" {} \" in *\" ${{COMP_WORDS[i]}} \"*) command=${{COMP_WORDS[i]}}; break ;; esac\n"
      "  done\n"
      "  case $command:$before in\n{}  esac\n"
      "  case $command in\n{}    *) options='{}' operands='{}' ;;\n  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
      "  elif [[ -n $operands && ( -z $files || $before == \"$command\" ) ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$operands\" -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "  fi\n"
      "}}\n"
      "complete -o filenames -F _histoctl histoctl\n",
      names, values, cases, bash_words(common_options()), names);
}

std::string zsh_option(const OptionSpec& option) {
  std::string action;
  if (option.value == Value::choice)
    action = fmt::format(":{}:({})", option.name, quoted(spaced(option.choices), true));
  if (option.value == Value::text) action = fmt::format(":{}:", option.name);
  if (option.value == Value::file || option.value == Value::folder) action = fmt::format(":{}:_files", option.name);
  const std::string tail = fmt::format("[{}]{}", quoted(option.help, true), action);
  const std::string equals = option.value == Value::none ? "" : "=";
  std::string out = fmt::format(" \\\n        '--{}{}{}'", option.name, equals, tail);
  if (option.letter) out += fmt::format(" \\\n        '-{}{}'", option.letter, tail);
  return out;
}

std::string zsh_script() {
  std::string names;
  std::string cases;
  std::string common;
  for (const OptionSpec& option : common_options()) common += zsh_option(option);
  for (const CommandSpec& command : commands()) {
    names += fmt::format("        '{}:{}'\n", command.name, quoted(command.summary));
    std::string all;
    for (const OptionSpec& option : command.options) all += zsh_option(option);
    const std::string words = fmt::format("({})", spaced(command.words));
    const std::string first = command.then_files ? fmt::format("'1:operand:{}' ", words) : "";
    const std::string rest = command.words.empty() || command.then_files ? "_files" : words;
    cases += fmt::format("      {})\n        _arguments{}{} \\\n        {}'*:operand:{}' ;;\n", command.name, all,
                         common, first, rest);
  }
  return fmt::format(
      "#compdef histoctl\n"
      "# zsh completion of histoctl; made by `histoctl completion zsh`\n"
      "_histoctl() {{\n"
      "  local state line\n"
      "  local -a names\n"
      "  _arguments -C '1:command:->command' '*::operand:->operand'\n"
      "  case $state in\n"
      "    command)\n      names=(\n{}      )\n      _describe command names ;;\n"
      "    operand)\n      case $line[1] in\n{}      esac ;;\n"
      "  esac\n"
      "}}\n"
      "compdef _histoctl histoctl\n",
      names, cases);
}

std::string fish_option(const OptionSpec& option, std::string_view condition) {
  std::string out = fmt::format("complete -c histoctl{} -l {}", condition, option.name);
  if (option.letter) out += fmt::format(" -s {}", option.letter);
  if (option.value == Value::choice) out += fmt::format(" -x -a '{}'", spaced(option.choices));
  if (option.value == Value::text) out += " -x";
  if (option.value == Value::file || option.value == Value::folder) out += " -r -F";
  return out + fmt::format(" -d '{}'\n", quoted(option.help));
}

std::string fish_script() {
  std::string out = "# fish completion of histoctl; made by `histoctl completion fish`\n";
  for (const OptionSpec& option : common_options()) out += fish_option(option, "");
  for (const CommandSpec& command : commands()) {
    out += fmt::format("complete -c histoctl -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name,
                       quoted(command.summary));
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name);
    if (!command.words.empty()) {
      const std::string words = spaced(command.words);
      const std::string only =
          command.then_files
              ? fmt::format(" -n '__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}'",
                            command.name, words)
              : condition;
      out += fmt::format("complete -c histoctl{} -f -a '{}'\n", only, words);
    }
    for (const OptionSpec& option : command.options) out += fish_option(option, condition);
  }
  return out;
}

}  // namespace

Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return fail(Exit::usage, fmt::format("completion: {} is not one of bash, zsh, fish", one_line(shell)));
}

}  // namespace histod::ctl
