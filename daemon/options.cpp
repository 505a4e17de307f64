// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/core.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "control/paths.hpp"
#include "daemon/file_root.hpp"
#include "daemon/fleet_options.hpp"
#include "daemon/options_streams.hpp"
#include "daemon/options_table.hpp"
#include "daemon/streams/dpdk_devices.hpp"

namespace histod::daemon {
namespace {

constexpr std::size_t k_help_columns = 100, k_help_indent = 32;
constexpr std::size_t k_node_name_chars_max = 64;
constexpr std::uint64_t k_budget_default_max_bytes = 8ull << 30;

using Errors = std::vector<std::string>;

std::string unknown(std::string_view what, std::string_view name, std::string_view dashes = "") {
  const std::string_view near = nearest_option(name);
  std::string text = fmt::format("{} \"{}{}\" is unknown", what, dashes, name);
  if (!near.empty()) text += fmt::format("; did you mean \"{}{}\"?", dashes, near);
  return text;
}

/// Gathers values and errors from one source after the other; a later source beats an earlier one.
class Collector {
 public:
  void set(const OptionRow& row, std::string_view text, const std::string& origin, std::string_view shown_as) {
    if (auto error = set_option(parsed.options, row, text)) {
      errors.push_back(fmt::format("{}: {} {}", origin, shown_as, *error));
      return;
    }
    parsed.origins[std::string(row.name)] = origin;
  }
  ParsedOptions parsed;
  Errors errors;
};

struct FlagValue {
  const OptionRow* row;
  std::string text;
};

struct CommandLine {
  std::vector<FlagValue> values;
  Action action = Action::run;
};

/// Values that are separated by commas.
bool is_list(const OptionRow& row) { return row.name == "listen" || row.name == "file-root" || row.name == "dpdk-pci"; }

std::optional<Action> action_of(std::string_view argument) {
  if (argument == "--help" || argument == "-h") return Action::help;
  if (argument == "--version" || argument == "-V") return Action::version;
  if (argument == "--print-config") return Action::print_config;
  if (argument == "--check") return Action::check;
  return {};
}

/// `--name=value`, `--name value`, `--flag`, `--no-flag`. Returns how many arguments it took.
std::size_t read_flag(std::span<const std::string> args, CommandLine& line, Errors& errors) {
  std::string_view name = args.front();
  name.remove_prefix(2);
  std::optional<std::string> value;
  if (const std::size_t equals = name.find('='); equals != std::string_view::npos) {
    value = std::string(name.substr(equals + 1));
    name = name.substr(0, equals);
  }
  const OptionRow* row = find_option(name);
  if (row == nullptr && name.starts_with("no-") && !value) {
    const OptionRow* positive = find_option(name.substr(3));
    if (positive != nullptr && is_flag(*positive)) {
      line.values.push_back({positive, "false"});
      return 1;
    }
  }
  if (row == nullptr) {
    errors.push_back(unknown("flag", name, "--"));
    return 1;
  }
  if (value || is_flag(*row)) {
    line.values.push_back({row, value.value_or("true")});
    return 1;
  }
  if (args.size() < 2 || args[1].starts_with("--")) {
    errors.push_back(fmt::format("--{} needs a value: {}", name, row->value));
    return 1;
  }
  line.values.push_back({row, args[1]});
  return 2;
}

CommandLine read_command_line(std::span<const std::string> args, Errors& errors) {
  CommandLine line;
  while (!args.empty()) {
    std::size_t taken = 1;
    if (const auto action = action_of(args.front())) {
      if (line.action != Action::help) line.action = *action;
    } else if (args.front().starts_with("--") && args.front().size() > 2) {
      taken = read_flag(args, line, errors);
    } else {
      errors.push_back(fmt::format("argument \"{}\" is not an option; see --help", args.front()));
    }
    args = args.subspan(taken);
  }
  // Repeated --listen, --file-root and --dpdk-pci add up; of anything else the last one counts.
  std::vector<FlagValue> merged;
  for (FlagValue& value : line.values) {
    const auto same = std::ranges::find(merged, value.row, &FlagValue::row);
    if (same == merged.end()) {
      merged.push_back(std::move(value));
    } else {
      same->text = is_list(*value.row) ? same->text + ',' + value.text : std::move(value.text);
    }
  }
  line.values = std::move(merged);
  return line;
}

/// A TOML value as the text that a flag would have; nothing for kinds that no option has.
std::optional<std::string> toml_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  const auto* array = node.as_array();
  if (array == nullptr) return {};
  std::string text;
  for (const toml::node& item : *array) {
    if (!item.is_string()) return {};
    text += (text.empty() ? "" : ",") + item.as_string()->get();
  }
  return text;
}

void read_toml(const std::string& path, Collector& to) {
  const auto where = [&](const toml::source_region& source) { return fmt::format("{}:{}", path, source.begin.line); };
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || std::filesystem::is_directory(path)) {
    to.errors.push_back(fmt::format("config file \"{}\" cannot be read", path));
    return;
  }
  text << file.rdbuf();
  toml::table table;
  try {  // toml++ reports errors by exception
    table = toml::parse(text.str());
  } catch (const toml::parse_error& error) {
    to.errors.push_back(fmt::format("{}: {}", where(error.source()), error.description()));
    return;
  }
  for (const auto& [key, node] : table) {
    const OptionRow* row = find_option(key.str());
    const std::string origin = where(node.source());
    if (key.str() == k_stream_tables) {
      read_stream_tables(node, path, to.parsed.options.streams, to.errors);
      continue;
    }
    if (row == nullptr) {
      to.errors.push_back(fmt::format("{}: {}", origin, unknown("option", key.str())));
    } else if (row->name == "config") {
      to.errors.push_back(fmt::format("{}: config files cannot name another config file", origin));
    } else if (const auto value = toml_text(node); !value || (node.is_array() && !is_list(*row))) {
      to.errors.push_back(fmt::format("{}: {} must be one value: {}", origin, key.str(), row->value));
    } else {
      to.set(*row, *value, origin, key.str());
    }
  }
}

/// Variables that are ours but no options, and those that Kubernetes derives from a Service called histod.
bool is_known_variable(std::string_view name) {
  return name == "HISTOD_FALLBACK_REASON" || name.starts_with("HISTOD_LOSSY_") || name == "HISTOD_PORT" ||
         name.starts_with("HISTOD_PORT_") || name.starts_with("HISTOD_SERVICE_");
}

void read_environment(const Environment& environment, Collector& to) {
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("HISTOD_") || is_known_variable(name)) continue;
    const auto row = std::ranges::find_if(option_rows(), [&](const auto& r) { return variable_name(r.name) == name; });
    if (row != option_rows().end()) {
      to.set(*row, value, name, "the variable");
      continue;
    }
    std::string option = name.substr(7);
    std::ranges::transform(option, option.begin(), [](char c) {
      return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    });
    const std::string_view near = nearest_option(option);
    to.parsed.warnings.push_back(fmt::format("variable {} is no option and is ignored{}", name,
                                             near.empty() ? "" : "; did you mean " + variable_name(near) + "?"));
  }
}

void check_together(const Options& options, Errors& errors) {
  if (options.tls_cert_path.empty() != options.tls_key_path.empty()) {
    errors.emplace_back("--tls-cert and --tls-key belong together: set both, or neither");
  }
  if (options.spool_path.empty()) errors.emplace_back("--spool is empty, but jobs need a directory");
  if (const auto roots = parse_file_roots(options.file_roots); !roots) errors.push_back("--file-root " + roots.error());
  if (const auto pci = streams::read_pci_addresses(options.dpdk_pci); !pci)
    errors.push_back("--dpdk-pci " + pci.error());
  for (const streams::StreamConfig& config : options.streams)
    if (config.backend == streams::Backend::dpdk && !options.dpdk)
      errors.push_back(fmt::format("stream \"{}\" has backend dpdk, which needs --dpdk", config.name));
  for (std::string& error : check_fleet_options(options)) errors.push_back(std::move(error));
}

std::string wrap(std::string_view text, std::size_t indent, std::size_t columns) {
  std::string out;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (column > indent && column + 1 + word.size() > columns) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    at = std::min(end + 1, text.size());
  }
  return out;
}

std::string help_entry(std::string_view left, std::string_view right) {
  std::string out = fmt::format("  {}", left);
  out += out.size() + 2 > k_help_indent ? '\n' + std::string(k_help_indent, ' ')
                                        : std::string(k_help_indent - out.size(), ' ');
  return out + wrap(right, k_help_indent, k_help_columns) + '\n';
}

std::optional<std::uint64_t> read_number(const char* path) {
  std::uint64_t number = 0;
  if (std::ifstream(path) >> number) return number;
  return {};
}

}  // namespace

std::string ListenAddress::text() const {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

std::uint64_t default_memory_budget_bytes() {
  std::uint64_t bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  // "max" does not parse, and then there is no limit. Inside a cgroup namespace the root is our own group.
  if (const auto limit = read_number("/sys/fs/cgroup/memory.max")) bytes = std::min(bytes, *limit);
  const std::uint64_t half_mib = bytes / 2 >> 20;
  return std::min(half_mib << 20, k_budget_default_max_bytes);
}

std::string default_node_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == 0) return "localhost";
  for (char* c = name; *c != 0; ++c)
    if (!control::is_name(std::string("x") + *c)) *c = '-';
  name[k_node_name_chars_max] = 0;
  return name[0] == '.' ? "localhost" : name;
}

Environment environment_of(char** environ) {
  Environment environment;
  for (; environ != nullptr && *environ != nullptr; ++environ) {
    const std::string_view entry = *environ;
    const std::size_t equals = entry.find('=');
    if (equals != std::string_view::npos) environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

std::expected<ParsedOptions, std::vector<std::string>> parse_options(std::span<const std::string> args,
                                                                     const Environment& environment) {
  Collector to;
  Errors flag_errors;
  const CommandLine line = read_command_line(args, flag_errors);
  std::string config;
  if (const auto variable = environment.find("HISTOD_CONFIG"); variable != environment.end()) config = variable->second;
  for (const FlagValue& value : line.values) {
    if (value.row->name == "config") config = value.text;
  }
  if (!config.empty()) read_toml(config, to);
  read_environment(environment, to);
  for (const FlagValue& value : line.values) {
    const std::string flag = fmt::format("--{}", value.row->name);
    to.set(*value.row, value.text, flag, "the flag");
  }
  to.errors.insert(to.errors.end(), flag_errors.begin(), flag_errors.end());
  to.parsed.action = line.action;
  if (line.action == Action::help || line.action == Action::version) return std::move(to.parsed);
  check_together(to.parsed.options, to.errors);
  if (!to.errors.empty()) return std::unexpected(std::move(to.errors));
  return std::move(to.parsed);
}

std::string help_text() {
  std::string out = "Usage: histod [OPTION...]\n\nEqualizes the histograms of images that come in over HTTP.\n\n";
  out += wrap(
      "Each option can also be set by an environment variable (--max-pages: HISTOD_MAX_PAGES) and in the file that "
      "--config names (max-pages = 100). Flags beat variables, variables beat the file. Sizes take B, KiB, MiB, GiB, "
      "TiB; times take ms, s, min, h, d.",
      0, k_help_columns);
  out += '\n';
  const Options defaults;
  std::string_view group;
  for (const OptionRow& row : option_rows()) {
    if (std::exchange(group, row.group) != row.group) out += fmt::format("\n{}:\n", row.group);
    const std::string left =
        is_flag(row) ? fmt::format("--[no-]{}", row.name) : fmt::format("--{} {}", row.name, row.value);
    std::string right(row.help);
    const std::string text = option_text(defaults, row);
    const bool of_this_machine = row.name == "node-name" || row.name == "memory-budget";
    if (is_flag(row)) {
      right += fmt::format(" Default: {}.", text == "true" ? "yes" : "no");
    } else if (row.name == "node-name") {
      right += " Default: the host's name.";
    } else if (!text.empty() && !of_this_machine) {
      right += fmt::format(" Default: {}.", text);
    }
    out += help_entry(left, right);
  }
  out += help_entry("[[stream]]", stream_tables_help());
  out += "\nInstead of running:\n";
  out += help_entry("--check", "Run the start-up checks, print what is wrong and the command that cures it.");
  out += help_entry("--print-config", "Print all options as TOML, with where each value comes from.");
  out += help_entry("--version, -V", "Print the version.");
  out += help_entry("--help, -h", "Print this.");
  return out;
}

std::string print_config(const ParsedOptions& parsed) {
  std::string out;
  std::string_view group;
  for (const OptionRow& row : option_rows()) {
    if (row.name == "config") continue;
    if (std::exchange(group, row.group) != row.group)
      out += fmt::format("{}# {}\n", out.empty() ? "" : "\n", row.group);
    const auto origin = parsed.origins.find(std::string(row.name));
    out += fmt::format("{} = {}  # {}\n", row.name, option_toml(parsed.options, row),
                       origin == parsed.origins.end() ? "default" : origin->second);
  }
  for (const streams::StreamConfig& config : parsed.options.streams)
    out += fmt::format("\n# {}\n{}", parsed.options.config_path, streams::config_toml(config));
  return out;
}

}  // namespace histod::daemon
