// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <expected>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "tools/histobench/machine.hpp"
#include "tools/histobench/report.hpp"
#include "tools/histobench/suites.hpp"

namespace {

using namespace histod::bench;

constexpr std::string_view k_help = R"(histobench [--quick | --tiny] [--rounds N] [--photo FILE] [--json FILE]
Measures histod's computing beside OpenCV's on this machine: both take turns, medians and the ratio round by round are
shown. A ratio above 1 says how many times faster histod is; it is printed only if both made the same bytes.
  --quick        12 MP only, and 7 rounds instead of 21
  --tiny         small inputs and one round: whether it runs
  --rounds N     rounds of each comparison, 1 to 1000
  --photo FILE   a gray or JPEG photograph (the first of /usr/share/backgrounds)
  --json FILE    writes every time, too
Exit codes: 0 done, 1 outputs differ from the peer's, 2 wrong use.
)";

struct Arguments {
  Settings settings;
  std::string json_path;
  bool help = false;
};

using Words = std::span<const char* const>;

std::expected<unsigned, std::string> rounds_of(std::string_view text) {
  unsigned rounds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
  if (error != std::errc{} || end != text.data() + text.size() || rounds < 1 || rounds > 1000)
    return std::unexpected(fmt::format("--rounds takes 1 to 1000, not \"{}\"", text));
  return rounds;
}

/// Options with a value; returns what is wrong with it, or nothing.
std::string set_value(Arguments& arguments, std::string_view name, std::string_view value) {
  if (name == "--photo") arguments.settings.photo = value;
  if (name == "--json") arguments.json_path = value;
  if (name != "--rounds") return {};
  const auto rounds = rounds_of(value);
  if (!rounds) return rounds.error();
  arguments.settings.rounds = *rounds;
  return {};
}

std::expected<Arguments, std::string> parse(Words words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--quick" || word == "--tiny") {
      (word == "--quick" ? arguments.settings.quick : arguments.settings.tiny) = true;
    } else if (word == "--photo" || word == "--json" || word == "--rounds") {
      if (i + 1 == words.size()) return std::unexpected(fmt::format("{} needs a value", word));
      if (auto wrong = set_value(arguments, word, words[++i]); !wrong.empty()) return std::unexpected(wrong);
    } else {
      return std::unexpected(fmt::format("unknown option {}", word));
    }
  }
  Settings& settings = arguments.settings;
  if (settings.rounds == 0) settings.rounds = settings.tiny ? 1 : settings.quick ? 7 : 21;
  return arguments;
}

bool write_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

Report measured(const Settings& settings) {
  Report report{.facts = machine_facts(), .inputs = {}, .notes = {}, .rows = {}};
  for (const auto& [name, value] : report.facts) fmt::print("{:<13} {}\n", name, value);
  fmt::print("\n{}", heading());
  run_kernel_suite(settings, {.input =
                                  [&](const Input& input) {
                                    report.inputs.emplace_back(input.label(), fmt::format("{:016x}", digest(input)));
                                  },
                              .row =
                                  [&](Row row) {
                                    fmt::print("{}", line(row));
                                    std::fflush(stdout);
                                    report.rows.push_back(std::move(row));
                                  },
                              .note = [&](const std::string& note) { report.notes.push_back(note); }});
  fmt::print("\n");
  for (const std::string& note : report.notes) fmt::print("{}\n", note);
  for (const auto& [label, hash] : report.inputs) fmt::print("input {} {}\n", hash, label);
  return report;
}

int fail(const std::string& what, int code) {
  fmt::print(stderr, "histobench: {}\n", what);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(Words(argv + 1, static_cast<std::size_t>(argc - 1)));
  if (!arguments) return fail(arguments.error() + "; see histobench --help", 2);
  if (arguments->help) {
    fmt::print("{}", k_help);
    return 0;
  }
  const Report report = measured(arguments->settings);
  if (!arguments->json_path.empty() && !write_file(arguments->json_path, to_json(report) + "\n"))
    return fail(fmt::format("cannot write {}: {}", arguments->json_path, std::strerror(errno)), 2);
  for (const Row& row : report.rows) {
    if (!row.exact) return fail(fmt::format("{}, {}: the bytes differ from {}'s", row.work, row.input, row.peer), 1);
  }
  return 0;
}
