// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/cli.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "tools/histobench/daemon.hpp"

namespace histod::bench {

namespace {

constexpr std::string_view k_help_head = R"(histobench [--suite NAME[,NAME...]] [--quick | --tiny] [options]
Measures histod on this machine beside whichever of its peers are installed. Both take turns; medians and the ratio
pair by pair are shown, and only after the outputs were found equal to the oracle's. Without --suite: all but soak.
)";

constexpr std::string_view k_help_tail = R"(
  --quick        few rounds and one size: within a minute, and nothing to quote
  --tiny         small inputs and one round: whether it runs
  --rounds N     rounds of each comparison, 1 to 1000
  --histod FILE  the daemon to measure (histod, else histod-epoll, beside histobench)
  --photo FILE   a gray or JPEG photograph (the first of /usr/share/backgrounds)
  --json FILE    writes every value, too
  --chart FILE   draws the ratios against their targets, as SVG
Peers, by Debian package: nginx-light, libvips-tools, graphicsmagick, imagemagick, python3-flask with python3-opencv,
gstreamer1.0-tools with gstreamer1.0-plugins-good, and, when histobench is built, libopencv-imgcodecs-dev and
libgstreamer1.0-dev. What is not there is told, and left out.
Exit codes: 0 done, 1 outputs differ from the oracle's or the daemon fails, 2 wrong use.
)";

std::expected<unsigned, std::string> rounds_of(std::string_view text) {
  unsigned rounds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
  if (error != std::errc{} || end != text.data() + text.size() || rounds < 1 || rounds > 1000)
    return std::unexpected(fmt::format("--rounds takes 1 to 1000, not \"{}\"", text));
  return rounds;
}

std::string all_names() {
  std::string names;
  for (const Suite& suite : suites()) names += (names.empty() ? "" : ", ") + std::string(suite.name);
  return names;
}

std::string add_suites(std::vector<std::string>& chosen, const std::string& list) {
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    if (std::ranges::find(suites(), name, &Suite::name) == suites().end())
      return fmt::format("there is no suite \"{}\", only {}", name, all_names());
    chosen.push_back(name);
  }
  return chosen.empty() ? "--suite needs a name of " + all_names() : "";
}

/// Options with a value; returns what is wrong with it, or nothing. None: there is no such option.
std::optional<std::string> set_value(Arguments& arguments, std::string_view name, const char* value) {
  Settings& settings = arguments.settings;
  const std::pair<std::string_view, std::string*> paths[] = {{"--photo", &settings.photo},
                                                             {"--json", &arguments.json_path},
                                                             {"--chart", &arguments.chart_path},
                                                             {"--histod", &settings.daemon_program}};
  const auto path = std::ranges::find(paths, name, &std::pair<std::string_view, std::string*>::first);
  const bool known = path != std::end(paths) || name == "--rounds" || name == "--suite";
  if (!known) return std::nullopt;
  if (value == nullptr) return fmt::format("{} needs a value", name);
  if (path != std::end(paths)) *path->second = value;
  if (name == "--suite") return add_suites(settings.suites, value);
  if (name != "--rounds") return "";
  const auto rounds = rounds_of(value);
  if (!rounds) return rounds.error();
  settings.rounds = *rounds;
  return "";
}

void fill_in(Settings& settings) {
  if (settings.rounds == 0)
    settings.rounds = settings.scale == Scale::tiny ? 1 : settings.scale == Scale::quick ? 3 : 21;
  if (settings.daemon_program.empty()) settings.daemon_program = daemon_beside_us();
  if (!settings.suites.empty()) return;
  for (const Suite& suite : suites()) {
    if (!suite.by_name_only) settings.suites.emplace_back(suite.name);
  }
}

}  // namespace

std::expected<Arguments, std::string> parse_arguments(std::span<const char* const> words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--quick" || word == "--tiny") {
      arguments.settings.scale = word == "--quick" ? Scale::quick : Scale::tiny;
    } else {
      const auto wrong = set_value(arguments, word, i + 1 < words.size() ? words[i + 1] : nullptr);
      if (!wrong) return std::unexpected(fmt::format("unknown option {}", word));
      if (!wrong->empty()) return std::unexpected(*wrong);
      ++i;
    }
  }
  fill_in(arguments.settings);
  if (const std::string& program = arguments.settings.daemon_program;
      !program.empty() && ::access(program.c_str(), X_OK) != 0)
    return std::unexpected(fmt::format("--histod {}: there is no such program", program));
  return arguments;
}

std::string help_text() {
  std::string text(k_help_head);
  for (const Suite& suite : suites()) text += fmt::format("  {:<8} {}\n", suite.name, suite.says);
  return text += k_help_tail;
}

}  // namespace histod::bench
